//! What the user sees. Results go to stdout, progress to stderr.

use std::io::{self, Write as _};

use gas_api::cloud::{Step, Vend, VendState};
use gas_api::pay::PaymentRequest;
use gas_phone::Proven;
use gas_statement::{Evidence, Quote, RefundOrder, Refunded, Settlement, Signed};
use gas_tariff::Want;
use gas_units::{Money, Unit, UnixMillis, Volume};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use qrcode::QrCode;
use qrcode::render::unicode;

/// One line of progress, on stderr. A terminal that has gone must not stop a payment.
pub(crate) fn progress(line: &str) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}

/// A result, on stdout.
pub(crate) fn show(text: &str) {
    drop(writeln!(io::stdout().lock(), "{text}"));
}

/// What a state is called.
pub(crate) const fn state_name(state: VendState) -> &'static str {
    match state {
        VendState::Quoted => "Quoted",
        VendState::TenderRequested => "TenderRequested",
        VendState::Expired => "Expired",
        VendState::TenderConfirmed => "TenderConfirmed",
        VendState::TokenIssued => "TokenIssued",
        VendState::Delivered => "Delivered",
        VendState::Accepted => "Accepted",
        VendState::RefundPending => "RefundPending",
        VendState::Refunded => "Refunded",
    }
}

/// What a state means.
pub(crate) const fn state_words(state: VendState) -> &'static str {
    match state {
        VendState::Quoted => "the gas company has quoted",
        VendState::TenderRequested => "payment was asked for",
        VendState::Expired => "not paid in time",
        VendState::TenderConfirmed => "the provider confirms the payment",
        VendState::TokenIssued => "the gas company has issued the recharge data",
        VendState::Delivered => "the meter has answered",
        VendState::Accepted => "the gas company believes the meter: the gas is yours",
        VendState::RefundPending => "the gas was taken back: the money is on its way back to you",
        VendState::Refunded => "the provider confirms that the money went back",
    }
}

/// A time as this machine's clock shows it.
pub(crate) fn time(at: UnixMillis) -> String {
    let Ok(at) = Timestamp::from_millisecond(at.millis()) else {
        return format!("{} ms", at.millis());
    };
    let zoned = at.to_zoned(TimeZone::system());
    zoned.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

/// An amount in a meter's unit.
pub(crate) fn amount(unit: Unit, number: i64) -> String {
    match unit {
        Unit::Fen => format!("{} CNY", Money::from_fen(number)),
        Unit::CentiCubicMetre => {
            let sign = if number < 0 { "-" } else { "" };
            let volume = Volume::from_centi_m3(u32::try_from(number.abs()).unwrap_or(u32::MAX));
            format!("{sign}{volume} m³")
        }
    }
}

/// What is to be paid, and why, line by line.
pub(crate) fn quote(quote: &Quote) -> String {
    let explanation = &quote.explanation;
    let basis = &explanation.basis;
    let mut text = String::from("\nThe quote (signed by the gas company, computed again here):\n");
    let wanted = match explanation.want {
        Want::Amount(money) => format!("gas for {money} CNY"),
        Want::Volume(volume) => format!("{volume} m³ of gas"),
    };
    text += &format!("  Asked for   {wanted}\n");
    text += &format!(
        "  The meter   register {} m³, balance {}\n",
        basis.register_centi_m3,
        amount(basis.unit, basis.balance.into()),
    );
    text += &format!(
        "  This year   {} m³ used or bought before\n",
        explanation.position_centi_m3
    );
    for line in &explanation.lines {
        text += &format!("  {line}\n");
    }
    text += &format!("  To pay      {} CNY\n", quote.payable());
    text += &format!(
        "  You get     {} on the meter\n",
        amount(quote.unit(), quote.credit().into())
    );
    text += &format!("  Valid until {}", time(quote.valid_until_ms));
    text
}

/// What a provider is called by people.
pub(crate) fn provider(name: &str) -> &str {
    match name {
        "wechat" => "WeChat Pay",
        other => other,
    }
}

/// The payment request, as a QR code and a link.
pub(crate) fn payment_request(request: &PaymentRequest) -> String {
    let mut text = format!(
        "\nPay {} CNY with {} until {}:\n",
        request.amount_fen,
        provider(&request.provider),
        time(request.expires_at_ms)
    );
    if request.code_url.is_empty() {
        // Asked for by another program, with the browser at its hand.
        let link = request.link.as_deref().unwrap_or("(not known yet)");
        return text + &format!("  In a browser:      {link}");
    }
    if let Ok(code) = QrCode::new(request.code_url.as_bytes()) {
        let picture = code
            .render::<unicode::Dense1x2>()
            .dark_color(unicode::Dense1x2::Light)
            .light_color(unicode::Dense1x2::Dark)
            .build();
        text += &picture;
        text += "\n";
    }
    text += &format!("  Scan with the app: {}", request.code_url);
    if let Some(link) = &request.link {
        text += &format!("\n  Or in a browser:   {link}");
    }
    text
}

/// The states under one vend id, each with its time.
pub(crate) fn timeline(vend: &Vend) -> String {
    let mut text = format!("\nVend {}", vend.vend_id);
    let mut before: Option<UnixMillis> = None;
    for Step { state, at_ms } in &vend.timeline {
        let waited = before.map_or_else(String::new, |before| {
            format!("+{} ms", at_ms.millis().saturating_sub(before.millis()))
        });
        before = Some(*at_ms);
        text += &format!(
            "\n  {:<16} {}  {waited:>9}  {}",
            state_name(*state),
            time(*at_ms),
            state_words(*state)
        );
    }
    text
}

/// What the company signed when it was over.
fn settlement(unit: Unit, settlement: &Settlement) -> String {
    let how = match settlement.evidence {
        Evidence::ReceiptApplied => "the meter answered: applied",
        Evidence::ReceiptDuplicate => "the meter answered: applied before",
        Evidence::LaterState => "a later answer of the meter shows it",
        Evidence::CarriedOver { new_meter, .. } => {
            return format!(
                "  Credited    meter {new_meter}, which stands in its place now, has shown it; all ever \
                 credited there {}, balance {}",
                amount(unit, settlement.total.into()),
                amount(unit, settlement.balance.into()),
            );
        }
    };
    format!(
        "  Credited    {how}; all ever credited {}, balance {}, register {} m³",
        amount(unit, settlement.total.into()),
        amount(unit, settlement.balance.into()),
        settlement.register_centi_m3,
    )
}

/// How a vend ended: credited, and perhaps taken back.
pub(crate) fn end(proven: &Proven) -> Vec<String> {
    let unit = proven.quote.statement().unit();
    let settled = proven.settlement.as_ref();
    let settled = settled.map(|signed| settlement(unit, signed.statement()));
    let refunded = proven.refunded.as_ref().map(Signed::statement);
    let taken_back = proven.refund_order.as_ref();
    let taken_back = taken_back.map(|order| refund(order.statement(), refunded));
    settled.into_iter().chain(taken_back).collect()
}

/// What the company and the payment server signed when it was taken back.
fn refund(order: &RefundOrder, refunded: Option<&Refunded>) -> String {
    let taken_back = format!(
        "  Taken back  by the gas company at {}, number {} of this meter, refund {}",
        time(order.ordered_at_ms),
        order.seq & 0x00FF_FFFF,
        order.refund_id,
    );
    let paid_back = refunded.map_or_else(
        || format!("{} CNY are on their way", order.amount_fen),
        |done| {
            let (amount, at) = (done.amount_fen, time(done.refunded_at_ms));
            let (provider, number) = (provider(&done.provider), &done.provider_refund_id);
            format!("{amount} CNY at {at}, {provider} refund {number}")
        },
    );
    format!("{taken_back}\n  Paid back   {paid_back}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_show_their_unit_and_sign() {
        assert_eq!(amount(Unit::Fen, -1_205), "-12.05 CNY");
        assert_eq!(amount(Unit::CentiCubicMetre, 1_205), "12.05 m³");
        assert_eq!(amount(Unit::CentiCubicMetre, -5), "-0.05 m³");
    }
}
