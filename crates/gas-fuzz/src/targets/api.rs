use core::fmt::Debug;

use gas_api::{Keys, Problem, Want, cloud, company, pay};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::Target;

pub(super) const TARGET: Target = Target {
    name: "api",
    about: "JSON bodies of all HTTP APIs: what is read is written so that it reads back",
    run,
    seeds,
    smoke_runs: 6_000,
};

/// A kind of body: its name, and whether bytes are one. Panics where one does not read back.
type Body = (&'static str, fn(&[u8]) -> bool);

macro_rules! bodies {
    ($($body:ty,)*) => { &[$((stringify!($body), body::<$body>),)*] };
}

const BODIES: &[Body] = bodies![
    Keys,
    Problem,
    Want,
    cloud::NonceWanted,
    cloud::Nonce,
    cloud::AsksWanted,
    cloud::Asks,
    cloud::VendWanted,
    cloud::TenderAsked,
    cloud::TokenDelivered,
    cloud::TokenTaken,
    cloud::EventsQuery,
    cloud::MeterQuery,
    cloud::DemoBridge,
    cloud::Consent,
    cloud::ReceiptDelivered,
    cloud::Vend,
    cloud::VendQuery,
    cloud::EnrolmentWanted,
    cloud::EnrolmentRevoked,
    cloud::Enrolment,
    cloud::RecordsUploaded,
    cloud::RecordsKept,
    cloud::Meter,
    cloud::VendSummary,
    company::NoncesWanted,
    company::Nonces,
    company::StateReported,
    company::BelievedState,
    company::QuoteWanted,
    company::QuoteMade,
    company::ReservationWanted,
    company::Reserved,
    company::SaleWanted,
    company::Sale,
    company::ReceiptReported,
    company::ReceiptBelieved,
    company::RecordsReported,
    company::RecordsBelieved,
    pay::TenderWanted,
    pay::PaymentRequest,
    pay::Tender,
    pay::TenderQuery,
    pay::TenderEvent,
];

fn run(bytes: &[u8]) {
    for (_, is_one) in BODIES {
        is_one(bytes);
    }
}

fn body<T: DeserializeOwned + Serialize + PartialEq + Debug>(bytes: &[u8]) -> bool {
    serde_json::from_slice::<T>(bytes).is_ok_and(|value| {
        super::json_reads_back(&value);
        true
    })
}

/// At least one of every kind.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let id = "019aa0b2-6d5c-7c3e-8f3a-5b6c7d8e9f01";
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let meter = "26110000012345";
    let want = json!({"amount_fen": 5000});
    let state = json!({"meter": meter, "unit": "fen", "last_seq": 16_777_219, "total": 1,
        "balance": -950, "register_centi_m3": 964_200, "meter_time": 1_795_393_815, "flags": 23,
        "battery_percent": 90, "believed_at_ms": 1, "old": false, "message_sha256": hash});
    let request = json!({"provider": "wechat", "presentation": "native", "code_url": "weixin://a",
        "link": "http://a", "amount_fen": 5000, "expires_at_ms": 2});
    let tender = json!({"vend_id": id, "quote_hash": hash, "state": "paid", "amount_fen": 5000,
        "order_no": "01KAGB4VAWFGZ8YEJVDHYRX7R101", "payment_request": request, "payment": "a.b.c"});
    let sale = json!({"vend_id": id, "meter": meter, "state": "settled", "seq": 1,
        "amount_fen": 5000, "token": "0101", "issue": "a.b.c", "settlement": "a.b.c"});
    let vend = json!({"vend_id": id, "meter": meter, "want": want, "state": "accepted", "version": 7,
        "quote": "a.b.c", "quote_hash": hash, "consented_at_ms": 1, "payment_request": request,
        "payment": "a.b.c", "token": "0101", "issue": "a.b.c", "receipt": "0181",
        "settlement": "a.b.c", "timeline": [{"state": "quoted", "at_ms": 1}],
        "obstacle": {"code": "a", "detail": "b", "vend_id": id}});
    let summary = json!({"vend_id": id, "state": "quoted", "begun_at_ms": 1, "want": want});
    let bodies = [
        want.clone(),
        json!({"volume_centi_m3": 1250}),
        json!({"company": hash, "pay": hash}),
        json!({"type": "about:blank", "status": 409, "code": "a", "title": "b", "detail": "c",
            "hint": "d", "vend_id": id}),
        json!({"meter": meter, "phone_key": hash}),
        json!({"ask": "0140", "expires_at_ms": 1}),
        json!({"meter": meter, "status": "01c0", "want": want}),
        json!({"meter": meter, "want": want}),
        json!({"count": 4}),
        json!({"asks": ["0140"], "expires_at_ms": 1}),
        json!({"quote_hash": hash}),
        json!({"quote_hash": hash, "presentation": "h5"}),
        json!({"waiting": "0101"}),
        json!({"after_version": 3}),
        json!({"records": false}),
        json!({"origin": "ws://127.0.0.1:8004"}),
        json!({"receipt": "0181"}),
        json!({"after_version": 3, "wait_ms": 25_000}),
        json!({"meter": meter, "status": "01c0"}),
        json!({"meter": meter}),
        json!({"phone_key": hash, "meter": meter, "enrolled_at_ms": 1}),
        json!({"records": ["01c1", ""]}),
        json!({"new": 1, "newest": 2}),
        json!({"meter": meter, "state": state, "records": ["01c1"], "vends": [summary]}),
        json!({"meter": meter, "count": 8}),
        json!({"asks": ["0140"], "expires_at_ms": 1}),
        json!({"quote": "a.b.c", "quote_hash": hash}),
        json!({"vend_id": id}),
        json!({"payment": "a.b.c"}),
        json!({"sale": sale, "state": state}),
        json!({"meter": meter, "records": ["01c1"]}),
        json!({"quote": "a.b.c", "way": "native"}),
        json!({"ask": true}),
        json!({"tender": tender}),
        state,
        request,
        tender,
        sale,
        vend,
        summary,
    ];
    bodies.map(|body| body.to_string().into_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_body_has_a_seed_and_every_seed_is_one() {
        let seeds = seeds();
        for (name, is_one) in BODIES {
            assert!(seeds.iter().any(|seed| is_one(seed)), "{name}");
        }
        for seed in &seeds {
            let kinds = BODIES.iter().filter(|(_, is_one)| is_one(seed));
            assert!(kinds.count() > 0, "{}", String::from_utf8_lossy(seed));
        }
    }
}
