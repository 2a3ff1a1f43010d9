use core::fmt::{Debug, Display};
use core::str::FromStr;

use gas_api::{Digest, PublicKeyHex};
use gas_http::AccessKey;
use gas_link::CardNumber;
use gas_meter::{Household, Prices, Provision};
use gas_statement::{QuoteHash, Sha256Digest, VerifyingKey};
use gas_tariff::{QuoteBasis, Tariff, Want};
use gas_tender_wechat::{ErrorCode, OrderNumber};
use gas_units::{MeterNumber, Money, VendId, Volume};

use crate::Target;

pub(super) const TARGET: Target = Target {
    name: "text",
    about: "what people and programs write: ids in one spelling, amounts exactly, a tariff that computes",
    run,
    seeds,
    smoke_runs: 20_000,
};

fn seeds() -> Vec<Vec<u8>> {
    [
        "199.50",
        "-92233720368547758.07",
        "42949672.95",
        "26110000012345",
        "2611000000000042",
        "019aa0b2-6d5c-7c3e-8f3a-5b6c7d8e9f01",
        "01KAGB4VAWFGZ8YEJVDHYRX7R101",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        r#"{"meter":"26110000012345","generation":1,"meter_key_hex":"000102030405060708090a0b0c0d0e0f","unit":"fen"}"#,
        r#"{"version":3,"bounds_centi_m3":[35000,50000],"prices_fen_per_m3":[261,283,423]}"#,
        concat!(
            r#"{"version":3,"bounds_centi_m3":[35000,50000],"prices_fen_per_m3":[261,283,423]}"#,
            "\n",
            r#"{"unit":"fen","register_centi_m3":964200,"year_start_register_centi_m3":931200,"purchased_this_year_centi_m3":0,"undelivered":0,"balance":-950}"#,
            "\n",
            r#"{"amount_fen":5000}"#
        ),
        "5.1\n0\n3.25",
        "ORDER_NOT_EXIST",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

fn run(bytes: &[u8]) {
    if let Ok(prices) = Prices::parse(bytes) {
        assert_eq!(prices.to_bytes().as_slice(), bytes);
    }
    let Ok(text) = core::str::from_utf8(bytes) else {
        return;
    };
    one_spelling::<CardNumber>(text);
    one_spelling::<Digest>(text);
    one_spelling::<MeterNumber>(text);
    one_spelling::<OrderNumber>(text);
    one_spelling::<PublicKeyHex>(text);
    one_spelling::<QuoteHash>(text);
    one_spelling::<Sha256Digest>(text);
    one_spelling::<VendId>(text);
    one_spelling::<VerifyingKey>(text);
    reads_back::<Money>(text);
    reads_back::<Volume>(text);
    if let Ok(id) = VendId::from_base32(text) {
        assert_eq!(id.to_base32(), text);
    }
    if let Ok(id) = serde_json::from_value::<VendId>(text.into()) {
        assert_eq!(id.to_string(), text, "an id in JSON has two spellings");
    }
    if let Ok(household) = Household::from_days(text.lines()) {
        let week = household.wants(0, 7 * 86_400);
        let days = (0..7_u64).map(|day| household.wants(day * 86_400, 86_400).centi_m3());
        let sum: u64 = days.map(u64::from).sum();
        assert_eq!(u64::from(week.centi_m3()), sum.min(u32::MAX.into()));
    }
    let _code = ErrorCode::parse(text);
    let _key = AccessKey::parse(text);
    if let Err(error) = Provision::parse(text) {
        assert!(!error.to_string().is_empty());
    }
    quotes(text);
}

fn one_spelling<T: FromStr + Display>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string(), text, "one value, two spellings");
    }
}

fn reads_back<T: FromStr<Err: Debug + PartialEq> + Display + PartialEq + Debug>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string().parse(), Ok(value));
    }
}

/// Any tariff, basis and wish, on one line each: a quote that holds, or none.
fn quotes(text: &str) {
    let mut lines = text.lines();
    let mut line = || lines.next().unwrap_or_default();
    let (tariff, basis, want) = (line(), line(), line());
    let Ok(tariff) = serde_json::from_str::<Tariff>(tariff) else {
        return;
    };
    super::json_reads_back(&tariff);
    let basis = serde_json::from_str::<QuoteBasis>(basis);
    if let (Ok(basis), Ok(want)) = (basis, serde_json::from_str::<Want>(want))
        && let Ok(quote) = tariff.quote(basis, want, Money::from_fen(i64::MAX))
    {
        assert_eq!(quote.check(), Ok(()));
        super::json_reads_back(&quote);
    }
}
