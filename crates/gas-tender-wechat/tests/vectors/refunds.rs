//! Refunds: what is sent, what is read, what is not believed.

use gas_tender_wechat::{
    Class, Doubt, ErrorCode, ProviderError, Refund, RefundNumber, RefundNumberError,
    RefundOrderError, RefundStatus, SignatureError,
};
use gas_units::{Money, UnixMillis};

use super::{Message, Vectors, refund_order};

#[test]
fn every_refund_status_is_read() {
    let vectors = Vectors::load();
    let done_at = UnixMillis::from_millis(vectors.now().millis() - 15_000);
    for (name, status) in [
        ("refund done", RefundStatus::Success(done_at)),
        ("refund under way", RefundStatus::Processing),
        ("refund closed", RefundStatus::Closed),
        ("refund abnormal", RefundStatus::Abnormal),
    ] {
        let expected = Refund {
            refund_id: "50300001232025112400000000001".to_owned(),
            amount: Money::from_fen(20_000),
            status,
        };
        assert_eq!(vectors.refund(name), Ok(Some(expected)), "{name}");
    }
}

#[test]
fn a_refund_that_is_another_or_cannot_be_is_not_believed() {
    let vectors = Vectors::load();
    for (name, field) in [
        ("other refund", "out_refund_no"),
        ("refund of another order", "out_trade_no"),
        ("refund in another currency", "amount.currency"),
    ] {
        let fault = ProviderError::Unknown(Doubt::Mismatch(field));
        assert_eq!(vectors.refund(name), Err(fault), "{name}");
    }
    for name in [
        "refund dreaming",
        "refund done, nobody knows when",
        "refund of nothing",
    ] {
        let fault = vectors.refund(name);
        assert!(
            matches!(fault, Err(ProviderError::Unknown(Doubt::Body(_)))),
            "{name}: {fault:?}"
        );
    }
    let mut forged = vectors.message("answers", "refund under way");
    forged.body = forged.body.replace("PROCESSING", "CLOSED");
    let read = vectors.merchant().read_refund_answer(
        &vectors.refund_number(),
        vectors.number(),
        &forged.answer(),
        vectors.now(),
    );
    let fault = Doubt::Signature(SignatureError::Wrong);
    assert_eq!(read, Err(ProviderError::Unknown(fault)));
}

#[test]
fn a_refund_that_the_provider_does_not_know_never_arrived() {
    let vectors = Vectors::load();
    let mut message = vectors.message("answers", "refund done");
    message.status = 404;
    message.body = r#"{"code":"RESOURCE_NOT_EXISTS","message":"x"}"#.to_owned();
    let read = |message: &Message| {
        vectors.merchant().read_refund_answer(
            &vectors.refund_number(),
            vectors.number(),
            &message.answer(),
            vectors.now(),
        )
    };
    assert_eq!(read(&message), Ok(None));
    message.status = 403;
    message.body = r#"{"code":"NOT_ENOUGH","message":"x"}"#.to_owned();
    let fault = read(&message).unwrap_err();
    assert_eq!(
        (fault.class(), fault.code()),
        (Class::Definite, Some(&ErrorCode::NotEnough))
    );
    message.status = 500;
    assert_eq!(
        read(&message),
        Err(ProviderError::Unknown(Doubt::Status(500)))
    );
}

#[test]
fn no_refund_is_made_that_the_provider_would_refuse() {
    let vectors = Vectors::load();
    for fen in [0, -1, 20_001] {
        let refused = refund_order(&vectors, fen, "x");
        assert_eq!(refused, Err(RefundOrderError::Amount), "{fen}");
    }
    for reason in [String::new(), "气".repeat(27)] {
        let refused = refund_order(&vectors, 1, &reason);
        assert_eq!(refused, Err(RefundOrderError::Reason));
    }
    for number in [
        String::new(),
        "a".repeat(65),
        "a/b".to_owned(),
        "气".to_owned(),
    ] {
        assert_eq!(number.parse::<RefundNumber>(), Err(RefundNumberError));
    }
}
