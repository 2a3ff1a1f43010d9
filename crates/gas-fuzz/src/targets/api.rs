use core::fmt::Debug;

use gas_api::{Keys, Problem, Want, cloud, company, pay};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Target;

pub(super) const TARGET: Target = Target {
    name: "api",
    about: "JSON bodies of all HTTP APIs: what is read is written so that it reads back",
    run,
    seeds,
    smoke_runs: 6_000,
};

fn seeds() -> Vec<Vec<u8>> {
    let id = "019aa0b2-6d5c-7c3e-8f3a-5b6c7d8e9f01";
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    [
        r#"{"amount_fen":5000}"#.to_owned(),
        r#"{"volume_centi_m3":1250}"#.to_owned(),
        r#"{"meter":"26110000012345","generation":1}"#.to_owned(),
        r#"{"nonce":"1122334455667788","ask":"0140","valid_until_ms":1}"#.to_owned(),
        format!(r#"{{"vend_id":"{id}","want":{{"amount_fen":5000}},"status":"01c0"}}"#),
        format!(r#"{{"quote_hash":"{hash}"}}"#),
        format!(r#"{{"vend_id":"{id}","quote_hash":"{hash}","amount_fen":5000,"quote":"a.b.c"}}"#),
        format!(
            r#"{{"vend_id":"{id}","state":"quoted","timeline":[{{"state":"quoted","at_ms":1}}]}}"#
        ),
        format!(r#"{{"public_key":"{hash}","receipt":"0181","records":["01c1"]}}"#),
        r#"{"type":"a","title":"b","status":404,"code":"c","detail":"d","hint":"e"}"#.to_owned(),
        r#"{"wait_s":20,"after":"quoted"}"#.to_owned(),
    ]
    .map(String::into_bytes)
    .into()
}

fn run(bytes: &[u8]) {
    body::<Keys>(bytes);
    body::<Problem>(bytes);
    body::<Want>(bytes);
    body::<cloud::NonceWanted>(bytes);
    body::<cloud::Nonce>(bytes);
    body::<cloud::VendWanted>(bytes);
    body::<cloud::Consent>(bytes);
    body::<cloud::ReceiptDelivered>(bytes);
    body::<cloud::Vend>(bytes);
    body::<cloud::VendQuery>(bytes);
    body::<cloud::EnrolmentWanted>(bytes);
    body::<cloud::EnrolmentRevoked>(bytes);
    body::<cloud::Enrolment>(bytes);
    body::<cloud::RecordsUploaded>(bytes);
    body::<cloud::RecordsKept>(bytes);
    body::<cloud::Meter>(bytes);
    body::<cloud::VendSummary>(bytes);
    body::<company::NoncesWanted>(bytes);
    body::<company::Nonces>(bytes);
    body::<company::StateReported>(bytes);
    body::<company::BelievedState>(bytes);
    body::<company::QuoteWanted>(bytes);
    body::<company::QuoteMade>(bytes);
    body::<company::ReservationWanted>(bytes);
    body::<company::Reserved>(bytes);
    body::<company::SaleWanted>(bytes);
    body::<company::Sale>(bytes);
    body::<company::ReceiptReported>(bytes);
    body::<company::ReceiptBelieved>(bytes);
    body::<company::RecordsReported>(bytes);
    body::<company::RecordsBelieved>(bytes);
    body::<pay::TenderWanted>(bytes);
    body::<pay::PaymentRequest>(bytes);
    body::<pay::Tender>(bytes);
    body::<pay::TenderQuery>(bytes);
    body::<pay::TenderEvent>(bytes);
}

fn body<T: DeserializeOwned + Serialize + PartialEq + Debug>(bytes: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<T>(bytes) {
        super::json_reads_back(&value);
    }
}
