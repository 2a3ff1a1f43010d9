//! What the user sees. Results go to stdout, progress to stderr.

use std::io::{self, Write as _};

use gas_api::cloud::{Step, Vend, VendState};
use gas_api::pay::PaymentRequest;
use gas_statement::{Evidence, Quote, Settlement};
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
pub(crate) fn settlement(unit: Unit, settlement: &Settlement) -> String {
    let how = match settlement.evidence {
        Evidence::ReceiptApplied => "the meter answered: applied",
        Evidence::ReceiptDuplicate => "the meter answered: applied before",
        Evidence::LaterState => "a later answer of the meter shows it",
    };
    format!(
        "  Credited    {how}; all ever credited {}, balance {}, register {} m³",
        amount(unit, settlement.total.into()),
        amount(unit, settlement.balance.into()),
        settlement.register_centi_m3,
    )
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
