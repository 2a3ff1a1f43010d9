//! Bars, as SVG.

use std::fmt::Write as _;

const WIDTH: u64 = 760;
const NAMES: u64 = 250;
const BARS: u64 = 400;
const ROW: u64 = 20;

/// One bar.
pub(crate) struct Bar<'a> {
    pub(crate) name: &'a str,
    pub(crate) count: u64,
}

/// Bars that belong together.
pub(crate) struct Panel<'a> {
    title: &'a str,
    bars: Vec<Bar<'a>>,
}

impl<'a> Panel<'a> {
    pub(crate) fn new(title: &'a str, bars: impl Iterator<Item = Bar<'a>>) -> Self {
        Self {
            title,
            bars: bars.collect(),
        }
    }

    fn height(&self) -> u64 {
        let bars = u64::try_from(self.bars.len()).unwrap_or(u64::MAX);
        ROW * (bars + 2)
    }
}

/// Panels one below the other, in a picture that reads on light and dark pages.
pub(crate) fn picture(title: &str, panels: &[Panel<'_>]) -> String {
    let height = 40 + panels.iter().map(Panel::height).sum::<u64>();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\" role=\"img\" aria-label=\"{title}\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"26\" font-size=\"17\" fill=\"#1a1a1a\">{title}</text>\n"
    );
    let mut top = 40;
    for panel in panels {
        draw(&mut svg, panel, top);
        top += panel.height();
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw(svg: &mut String, panel: &Panel<'_>, top: u64) {
    let most = panel.bars.iter().map(|bar| bar.count).max().unwrap_or(0);
    // Writing to a String cannot fail.
    let _always = writeln!(
        svg,
        "<text x=\"16\" y=\"{}\" font-weight=\"bold\" fill=\"#1a1a1a\">{}</text>",
        top + ROW,
        panel.title
    );
    let mut y = top + ROW + 8;
    for Bar { name, count } in &panel.bars {
        let width = (count.saturating_mul(BARS))
            .checked_div(most)
            .unwrap_or(0)
            .max(u64::from(*count > 0));
        let (text, end) = (y + 13, NAMES + width + 6);
        let _always = writeln!(
            svg,
            "<text x=\"{}\" y=\"{text}\" text-anchor=\"end\" fill=\"#333333\">{name}</text>\
             <rect x=\"{NAMES}\" y=\"{}\" width=\"{width}\" height=\"14\" fill=\"#1f6f8b\"/>\
             <text x=\"{end}\" y=\"{text}\" fill=\"#333333\">{count}</text>",
            NAMES - 8,
            y + 2
        );
        y += ROW;
    }
}
