//! What anyone can check offline.

use gas_api::cloud::VendState;
use gas_api::{HexBytes, Jws};
use gas_phone::{Distrust, Ending, Event, FORMAT, ReceiptFile, ReceiptFileError, Step};
use gas_statement::{ChainError, Evidence, Sha256Digest, StatementError};
use gas_token::{ParseError, Seq};

use crate::trust::phone_at;
use crate::world::{
    company, meter, other_meter, other_vend_id, papers, pay, receipt, receipt_again, receipt_with,
    signed, status, trust, vend_id,
};

/// The file at the end of a vend that an honest cloud shows so.
fn file_of(vend: gas_api::cloud::Vend) -> ReceiptFile {
    let mut phone = phone_at(&papers(), &[VendState::Quoted]);
    phone.apply(Event::Vend(vend), &trust()).unwrap();
    let step = phone.next(&trust()).unwrap();
    let Step::End(Ending::Accepted(file)) = step else {
        panic!("not the end: {step:?}");
    };
    *file
}

fn file() -> ReceiptFile {
    file_of(papers().vend(VendState::Accepted, 9))
}

#[test]
fn it_holds_everything_proves_and_reads_back() {
    let papers = papers();
    let file = file();
    let jws = |compact: &str| Jws(compact.into());
    let whole = ReceiptFile {
        format: FORMAT.to_owned(),
        vend_id: vend_id(),
        meter: meter(),
        quote: jws(papers.quote.compact()),
        payment: jws(papers.payment.compact()),
        issue: Some(jws(papers.issue.compact())),
        settlement: Some(jws(papers.settlement.compact())),
        token: Some(HexBytes(papers.token.to_bytes())),
        receipt: Some(receipt()),
        refund_order: None,
        refunded: None,
    };
    assert_eq!(file, whole);
    let proven = file.prove(&trust()).unwrap();
    assert_eq!(proven.quote, papers.quote);
    assert_eq!(proven.payment, papers.payment);
    assert_eq!(proven.issue, Some(papers.issue));
    assert_eq!(proven.settlement, Some(papers.settlement));
    assert_eq!((proven.refund_order, proven.refunded), (None, None));
    let text = serde_json::to_string_pretty(&file).unwrap();
    assert_eq!(serde_json::from_str::<ReceiptFile>(&text).unwrap(), file);
}

#[test]
fn a_file_with_anything_more_in_it_is_not_read() {
    let mut value = serde_json::to_value(file()).unwrap();
    value["refund_fen"] = 5_000.into();
    let error = serde_json::from_value::<ReceiptFile>(value).unwrap_err();
    assert!(error.to_string().contains("refund_fen"), "{error}");
}

/// A file with one thing changed, and how that is found out.
type Swap = (&'static str, fn(&mut ReceiptFile), ReceiptFileError);

fn refused(swaps: Vec<Swap>) {
    for (name, swap, found) in swaps {
        let mut file = file();
        swap(&mut file);
        assert_eq!(file.prove(&trust()).unwrap_err(), found, "{name}");
    }
}

#[test]
fn each_name_and_statement_swapped_is_refused() {
    let distrust = ReceiptFileError::Distrust;
    let chain = |error| ReceiptFileError::Distrust(Distrust::Chain(error));
    refused(vec![
        (
            "format",
            |file| file.format = "pilotlight-receipt-2".to_owned(),
            ReceiptFileError::Format("pilotlight-receipt-2".to_owned()),
        ),
        (
            "vend",
            |file| file.vend_id = other_vend_id(),
            ReceiptFileError::Other("vend"),
        ),
        (
            "meter",
            |file| file.meter = other_meter(),
            ReceiptFileError::Other("meter"),
        ),
        (
            "meter, without its receipt",
            |file| (file.meter, file.receipt) = (other_meter(), None),
            ReceiptFileError::Other("meter"),
        ),
        (
            "quote",
            |file| {
                let mut quote = papers().quote.statement().clone();
                quote.created_at_ms = quote.created_at_ms.plus_millis(1);
                file.quote = signed(&company(), quote);
            },
            chain(ChainError::QuoteHash("payment")),
        ),
        (
            "payment",
            |file| file.payment = papers().payment_with(|it| it.order_no.push('1')),
            chain(ChainError::Payment),
        ),
        (
            "issue",
            |file| file.issue = Some(papers().issue_with(|it| it.credit += 1)),
            chain(ChainError::Credit),
        ),
        (
            "issue of another token",
            |file| file.issue = Some(papers().issue_with(|it| it.total += 1)),
            distrust(Distrust::Other("token")),
        ),
        (
            "settlement",
            |file| file.settlement = Some(papers().settlement_with(|it| it.seq += 1)),
            chain(ChainError::Settled),
        ),
        (
            "settlement by something else",
            |file| {
                let other = Sha256Digest::of(b"another message");
                file.settlement = Some(papers().settlement_with(|it| it.message_sha256 = other));
            },
            ReceiptFileError::Evidence,
        ),
    ]);
}

#[test]
fn a_file_that_lacks_something_is_refused() {
    let chain = |error| ReceiptFileError::Distrust(Distrust::Chain(error));
    refused(vec![
        (
            "no issue",
            |file| file.issue = None,
            ReceiptFileError::Missing("issue"),
        ),
        (
            "no token",
            |file| file.token = None,
            ReceiptFileError::Missing("token"),
        ),
        (
            "no settlement",
            |file| file.settlement = None,
            ReceiptFileError::Missing("settlement"),
        ),
        (
            "refund without its order",
            |file| file.refunded = Some(papers().refunded_with(|_| {})),
            chain(ChainError::Missing("refund order")),
        ),
    ]);
}

#[test]
fn each_message_swapped_is_refused() {
    refused(vec![
        (
            "token",
            |file| file.token = Some(papers().token_with(|it| it.seq = Seq::from_bits(1))),
            ReceiptFileError::Distrust(Distrust::Other("token")),
        ),
        (
            "receipt",
            |file| file.receipt = Some(receipt_again()),
            ReceiptFileError::Evidence,
        ),
        (
            "receipt of another meter",
            |file| file.receipt = Some(receipt_with(|it| it.meter = other_meter())),
            ReceiptFileError::Other("meter"),
        ),
        (
            "receipt that is none",
            |file| file.receipt = Some(status()),
            ReceiptFileError::Receipt(ParseError::Type(0xC0)),
        ),
    ]);
}

#[test]
fn each_statement_is_signed_by_whom_it_must_be() {
    let right = |key: gas_statement::SigningKey| key.verifying_key().key_id();
    let papers = papers();
    let by_pay = |name| {
        let (expected, found) = (right(company()), right(pay()).to_string());
        Distrust::Forged(name, StatementError::Key { expected, found })
    };
    let mut forged = file();
    forged.quote = signed(&pay(), papers.quote.statement().clone());
    assert_eq!(forged.prove(&trust()).unwrap_err(), by_pay("quote").into());
    let mut forged = file();
    forged.issue = Some(signed(&pay(), papers.issue.statement().clone()));
    assert_eq!(forged.prove(&trust()).unwrap_err(), by_pay("issue").into());
    let mut forged = file();
    forged.settlement = Some(signed(&pay(), papers.settlement.statement().clone()));
    let found = forged.prove(&trust()).unwrap_err();
    assert_eq!(found, by_pay("settlement").into());
    let mut forged = file();
    forged.payment = signed(&company(), papers.payment.statement().clone());
    let (expected, found) = (right(pay()), right(company()).to_string());
    let by_company = Distrust::Forged("payment", StatementError::Key { expected, found });
    assert_eq!(forged.prove(&trust()).unwrap_err(), by_company.into());
}

#[test]
fn a_receipt_that_did_not_settle_the_vend_is_left_out_and_the_file_proves() {
    let papers = papers();
    // Settled by a later status: what the cloud shows as receipt may be anything.
    let mut later = papers.vend(VendState::Accepted, 9);
    later.settlement = Some(papers.settlement_with(|it| {
        it.evidence = Evidence::LaterState;
        it.message_sha256 = Sha256Digest::of(&status().0);
    }));
    let garbage = HexBytes(vec![1, 2, 3]);
    for shown in [Some(receipt()), Some(garbage), None] {
        later.receipt = shown;
        let file = file_of(later.clone());
        assert_eq!(file.receipt, None);
        assert_eq!(file.prove(&trust()).unwrap().quote, papers.quote);
    }
    // Settled by this phone's first receipt, while the cloud shows its second.
    let mut second = papers.vend(VendState::Accepted, 9);
    second.receipt = Some(receipt_again());
    let file = file_of(second);
    assert_eq!(file.receipt, None);
    assert_eq!(file.prove(&trust()).unwrap().quote, papers.quote);
}
