//! What a browser takes, and what it has already (RFC 9110, sections 12.5.3 and 13.1.2).

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT_ENCODING, GetAll, HeaderName, IF_NONE_MATCH};

/// How a file is compressed beside the plain one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Encoding {
    Brotli,
    Gzip,
}

impl Encoding {
    /// The smaller ones first.
    const ALL: [Self; 2] = [Self::Brotli, Self::Gzip];

    /// The coding's registered name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    const fn ending(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Gzip => ".gz",
        }
    }

    /// How the file of this name is compressed.
    pub(super) fn of(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|encoding| name.ends_with(encoding.ending()))
    }

    /// The name of `plain`, compressed so.
    pub(super) fn file_of(self, plain: &str) -> String {
        format!("{plain}{}", self.ending())
    }

    /// Those that the browser takes.
    pub(super) fn wanted(headers: &HeaderMap) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|encoding| {
            list(headers, ACCEPT_ENCODING)
                .iter()
                .any(|item| encoding.is_taken_by(item))
        })
    }

    /// Whether an item like `br;q=0.9` names it, and not with `q=0`, which is a no.
    fn is_taken_by(self, item: &str) -> bool {
        let mut parts = item.split(';').map(str::trim);
        let named = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case(self.name()));
        let refused = parts.any(|parameter| {
            let weight = parameter
                .strip_prefix("q=")
                .or_else(|| parameter.strip_prefix("Q="));
            weight.is_some_and(|weight| weight.bytes().all(|byte| matches!(byte, b'0' | b'.')))
        });
        named && !refused
    }
}

/// Whether the browser says that it has what this tag names.
pub(super) fn knows(headers: &HeaderMap, tag: &str) -> bool {
    list(headers, IF_NONE_MATCH).iter().any(|item| {
        // Compared weakly: a proxy may have weakened it.
        *item == "*" || item.strip_prefix("W/").unwrap_or(item) == tag
    })
}

/// The items of a comma-separated header.
fn list(headers: &HeaderMap, name: HeaderName) -> Vec<&str> {
    let values: GetAll<'_, _> = headers.get_all(name);
    let texts = values.iter().filter_map(|value| value.to_str().ok());
    texts
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .collect()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(name: HeaderName, values: &[&'static str]) -> HeaderMap {
        let values = values.iter().map(|value| HeaderValue::from_static(value));
        values.map(|value| (name.clone(), value)).collect()
    }

    #[test]
    fn a_coding_is_sent_only_to_who_takes_it() {
        for (accepted, wanted) in [
            (&[][..], &[][..]),
            (&[""], &[]),
            (&["identity"], &[]),
            (&["*"], &[]),
            (&["gzip"], &[Encoding::Gzip]),
            (&["gzip, deflate, br"], &[Encoding::Brotli, Encoding::Gzip]),
            (&["gzip", "BR"], &[Encoding::Brotli, Encoding::Gzip]),
            (&["br;q=0, gzip; q=0.5"], &[Encoding::Gzip]),
            (&["br;q=0.000"], &[]),
            (&["br;q=0.001"], &[Encoding::Brotli]),
            (&["brotli, xgzip"], &[]),
        ] {
            let headers = headers(ACCEPT_ENCODING, accepted);
            let found: Vec<Encoding> = Encoding::wanted(&headers).collect();
            assert_eq!(found, wanted, "{accepted:?}");
        }
    }

    #[test]
    fn a_tag_is_known_by_itself_only() {
        for (told, known) in [
            (&[][..], false),
            (&[r#""a""#], true),
            (&[r#"W/"a""#], true),
            (&[r#""b", "a""#], true),
            (&[r#""b""#, r#""a""#], true),
            (&["*"], true),
            (&["a"], false),
            (&[r#""ab""#], false),
        ] {
            let headers = headers(IF_NONE_MATCH, told);
            assert_eq!(knows(&headers, r#""a""#), known, "{told:?}");
        }
    }
}
