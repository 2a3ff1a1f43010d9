use core::fmt::Write as _;

use crate::store::{Order, State};
use crate::time;

use super::return_address::ReturnAddress;
use super::words::{Ending, Language, Words};

/// What the page shows.
pub(super) enum Scene {
    Payable(Order),
    Paid {
        order: Order,
        transaction_id: String,
        paid_ms: i64,
    },
    Closed(Order),
    Expired(Order),
    /// No order has this token (any more).
    Unknown,
    /// An H5 payer who does not come from the merchant's page, or would not go back to it.
    NotFromMerchant,
}

impl Scene {
    pub(super) fn of(order: Order, now_ms: i64) -> Self {
        match &order.state {
            State::Paid {
                transaction_id,
                paid_ms,
                refunding: _,
            } => Self::Paid {
                transaction_id: transaction_id.clone(),
                paid_ms: *paid_ms,
                order,
            },
            State::Closed => Self::Closed(order),
            State::NotPaid if order.is_payable(now_ms) => Self::Payable(order),
            State::NotPaid => Self::Expired(order),
        }
    }
}

/// How long a payer looks at how it ended before the page leads back, s.
const BACK_AFTER_S: u8 = 2;

/// The page's query, to be put behind `?`.
pub(super) fn query(language: Language, back: Option<&ReturnAddress>) -> String {
    let mut query = format!("lang={}", language.tag());
    if let Some(back) = back {
        query.push('&');
        query.push_str(&back.encoded());
    }
    query
}

/// The whole page. Everything that came from outside is escaped.
pub(super) fn render(
    scene: &Scene,
    merchant: &str,
    language: Language,
    back: Option<&ReturnAddress>,
) -> String {
    let words = language.words();
    let merchant = escape(merchant);
    let content = match scene {
        Scene::Payable(order) => {
            let rows = [
                (words.description, order.description.as_str()),
                (words.order_number, &order.out_trade_no),
                (
                    words.pay_before,
                    &time::for_people(order.expires_ms.min(order.token_ends_ms)),
                ),
            ];
            format!(
                "<p class=payee>{} <b>{merchant}</b></p>{}{}\
                 <form method=post action=\"/cashier/{}/pay?{}\">\
                 <button type=submit>{} {}</button></form><p class=fine>{}</p>",
                words.pay_to,
                amount(order),
                list(&rows),
                order.token,
                escape(&query(language, back)),
                words.confirm,
                yuan(order.total_fen),
                words.once,
            )
        }
        Scene::Paid {
            order,
            transaction_id,
            paid_ms,
        } => {
            let rows = [
                (words.pay_to, merchant.as_str()),
                (words.description, &order.description),
                (words.order_number, &order.out_trade_no),
                (words.transaction, transaction_id),
                (words.paid_at, &time::for_people(*paid_ms)),
            ];
            format!(
                "{}{}{}",
                ending("paid", CHECK, &words.paid),
                amount(order),
                list(&rows)
            )
        }
        Scene::Closed(order) => over("closed", CROSS, &words.closed, order, language),
        Scene::Expired(order) => over("expired", CLOCK, &words.expired, order, language),
        Scene::Unknown => ending("closed", CROSS, &words.unknown),
        Scene::NotFromMerchant => ending("closed", CROSS, &words.not_from_merchant),
    };
    let (way_back, refresh) =
        back.map_or_else(Default::default, |back| way_back(scene, words, back));
    let other = language.other();
    format!(
        "<!doctype html>\n<html lang=\"{tag}\"><head><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\
         <meta name=color-scheme content=\"light dark\"><meta name=robots content=noindex>{refresh}\
         <title>{title} · {merchant}</title><link rel=stylesheet href=\"/cashier/style.css\"></head>\
         <body><header><span class=mark>{sandbox}</span>\
         <a href=\"?{other_query}\" lang=\"{other_tag}\" hreflang=\"{other_tag}\">{other_name}</a>\
         </header><main>{content}{way_back}</main></body></html>\n",
        tag = language.tag(),
        title = words.title,
        sandbox = words.sandbox,
        other_tag = other.tag(),
        other_query = escape(&query(other, back)),
        other_name = other.words().name,
    )
}

/// The link by which an H5 payer leaves; and, once it is paid, what goes into the head to do so by itself.
fn way_back(scene: &Scene, words: &Words, back: &ReturnAddress) -> (String, String) {
    let address = escape(back.as_str());
    let (class, text, refresh) = match scene {
        Scene::Payable(_) => ("cancel", words.cancel, String::new()),
        // A form's answer may lead nowhere else (`form-action`), so the way back begins on this page.
        Scene::Paid { .. } => (
            "back",
            words.back,
            format!("<meta http-equiv=refresh content=\"{BACK_AFTER_S};url={address}\">"),
        ),
        Scene::Closed(_) | Scene::Expired(_) | Scene::Unknown | Scene::NotFromMerchant => {
            ("back", words.back, String::new())
        }
    };
    let link = format!("<p class={class}><a href=\"{address}\">{text}</a></p>");
    (link, refresh)
}

fn over(class: &str, picture: &str, how: &Ending, order: &Order, language: Language) -> String {
    let words = language.words();
    let rows = [
        (words.description, order.description.as_str()),
        (words.order_number, &order.out_trade_no),
    ];
    format!(
        "{}{}{}",
        ending(class, picture, how),
        amount(order),
        list(&rows)
    )
}

fn ending(class: &str, picture: &str, how: &Ending) -> String {
    format!(
        "<div class=\"ending {class}\" role=status>\
         <svg viewBox=\"0 0 48 48\" aria-hidden=true><circle cx=24 cy=24 r=22 />{picture}</svg>\
         <h1>{}</h1><p>{}</p></div>",
        how.headline, how.hint,
    )
}

const CHECK: &str = "<path d=\"M14 25l7 7 14-15\" />";
const CROSS: &str = "<path d=\"M17 17l14 14M31 17L17 31\" />";
const CLOCK: &str = "<path d=\"M24 12v13l8 5\" />";

fn amount(order: &Order) -> String {
    format!("<p class=amount>{}</p>", yuan(order.total_fen))
}

/// `¥ 200.00`
fn yuan(fen: i64) -> String {
    let fen = fen.unsigned_abs();
    format!(
        "<span class=currency>¥</span>{}.{:02}",
        fen / 100,
        fen % 100
    )
}

fn list(rows: &[(&str, &str)]) -> String {
    let mut list = "<dl>".to_owned();
    for (name, value) in rows {
        // Writing to a String does not fail.
        let _ = write!(list, "<div><dt>{name}</dt><dd>{}</dd></div>", escape(value));
    }
    list.push_str("</dl>");
    list
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::TradeType;

    fn order(description: &str, state: State) -> Order {
        Order {
            out_trade_no: "01KAGB4VAWFGZ8YEJVDHYRX7R101".to_owned(),
            request: String::new(),
            description: description.to_owned(),
            attach: String::new(),
            notify_url: String::new(),
            total_fen: 20_005,
            expires_ms: 1_764_000_900_000,
            token: "0123".to_owned(),
            token_ends_ms: 1_764_007_200_000,
            by_public_key: false,
            trade_type: TradeType::Native,
            state,
        }
    }

    #[test]
    fn what_a_merchant_writes_cannot_become_markup() {
        let order = order("<script>alert('\"&')</script>", State::NotPaid);
        let page = render(&Scene::of(order, 0), "<b>", Language::English, None);
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(&#39;&quot;&amp;&#39;)&lt;/script&gt;"));
        assert!(page.contains("&lt;b&gt;"));
    }

    #[test]
    fn the_button_is_there_only_while_it_can_be_paid() {
        let paid = State::Paid {
            transaction_id: "4200".to_owned(),
            paid_ms: 0,
            refunding: false,
        };
        for (state, now_ms, button, headline) in [
            (State::NotPaid, 1_764_000_899_999, true, "Confirm payment"),
            (
                State::NotPaid,
                1_764_000_900_000,
                false,
                "The time to pay is over",
            ),
            (State::Closed, 0, false, "Order closed"),
            (paid, 0, false, "Paid"),
        ] {
            let page = render(
                &Scene::of(order("gas", state), now_ms),
                "m",
                Language::English,
                None,
            );
            assert_eq!(page.contains("<button"), button, "{headline}");
            assert!(page.contains(headline), "{page}");
            assert!(page.contains("200.05"), "{page}");
        }
    }

    #[test]
    fn chinese_comes_first() {
        for (tags, language) in [
            ("", Language::Chinese),
            ("fr-FR,fr;q=0.9", Language::Chinese),
            ("en-GB,en;q=0.9,zh;q=0.8", Language::English),
            ("fr,zh-TW;q=0.5,en;q=0.1", Language::Chinese),
        ] {
            assert_eq!(Language::choose(tags), language, "{tags}");
        }
    }
}
