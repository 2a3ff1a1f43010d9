//! Each rule by which a statement, or a chain of them, is refused.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use ed25519_dalek::Signer as _;
use gas_statement::{
    COMPACT_MAX, ChainError, Currency, Evidence, Issue, Payment, Quote, QuoteCheckError, QuoteHash,
    RefundOrder, Refunded, Settlement, Sha256Digest, Signed, SigningKey, Statement, StatementError,
    VerifyingKey, check_chain, check_refund, quote_hash,
};
use gas_tariff::{CheckError, QuoteBasis, Tariff, Want};
use gas_units::{Money, RefundId, Unit, UnixMillis, UnixTime, VendId, Volume};
use proptest::prelude::*;

const COMPANY: [u8; 32] = [1; 32];
const PAY: [u8; 32] = [2; 32];

fn company() -> SigningKey {
    SigningKey::from_bytes(&COMPANY)
}

fn pay() -> SigningKey {
    SigningKey::from_bytes(&PAY)
}

fn a_quote() -> Quote {
    let basis = QuoteBasis {
        unit: Unit::Fen,
        register_centi_m3: Volume::from_centi_m3(123_456),
        year_start_register_centi_m3: Volume::from_centi_m3(100_000),
        purchased_this_year_centi_m3: Volume::ZERO,
        used_before_centi_m3: Volume::ZERO,
        undelivered: 0,
        balance: 700,
    };
    let want = Want::Amount(Money::from_fen(5_000));
    let limit = Money::from_fen(100_000);
    Quote {
        vend_id: VendId::from_parts(1_795_422_615_000, [7; 10]),
        meter: "00110000123456".parse().unwrap(),
        explanation: Tariff::default().quote(basis, want, limit).unwrap(),
        last_seq: 7,
        meter_time: UnixTime::from_seconds(1_795_422_000),
        status_sha256: Sha256Digest::of(b"status"),
        created_at_ms: UnixMillis::from_millis(1_795_422_615_000),
        valid_until_ms: UnixMillis::from_millis(1_795_423_515_000),
    }
}

fn a_payment(quote: &Signed<Quote>) -> Payment {
    Payment {
        vend_id: quote.statement().vend_id,
        meter: quote.statement().meter,
        quote_hash: quote_hash(quote),
        amount_fen: quote.statement().payable(),
        currency: Currency::Cny,
        provider: "wechat".to_owned(),
        order_no: "order".to_owned(),
        transaction_id: "transaction".to_owned(),
        paid_at_ms: UnixMillis::from_millis(1_795_422_700_000),
    }
}

fn an_issue(quote: &Signed<Quote>, payment: &Signed<Payment>) -> Issue {
    Issue {
        vend_id: quote.statement().vend_id,
        meter: quote.statement().meter,
        quote_hash: quote_hash(quote),
        payment_sha256: payment.sha256(),
        amount_fen: quote.statement().payable(),
        seq: 8,
        unit: Unit::Fen,
        total: 115_000,
        credit: 5_000,
        token_sha256: Sha256Digest::of(b"token"),
        issued_at_ms: UnixMillis::from_millis(1_795_422_701_000),
    }
}

fn a_settlement(issue: &Signed<Issue>) -> Settlement {
    Settlement {
        vend_id: issue.statement().vend_id,
        meter: issue.statement().meter,
        seq: issue.statement().seq,
        evidence: Evidence::ReceiptApplied,
        message_sha256: Sha256Digest::of(b"receipt"),
        last_seq: 8,
        total: 115_000,
        balance: 5_700,
        register_centi_m3: Volume::from_centi_m3(123_456),
        settled_at_ms: UnixMillis::from_millis(1_795_422_800_000),
    }
}

fn verify(compact: &str) -> Result<Signed<Quote>, StatementError> {
    Signed::verify(compact, &company().verifying_key())
}

/// A JWS as an attacker with the right key (a later version of us) would make it.
fn forge(header: &str, payload: &str) -> String {
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(payload)
    );
    let signature = ed25519_dalek::SigningKey::from_bytes(&COMPANY).sign(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

fn header() -> String {
    let kid = company().verifying_key().key_id();
    format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"pilotlight-quote+jws"}}"#)
}

fn payload() -> String {
    serde_json::to_string(&a_quote()).unwrap()
}

#[test]
fn what_was_signed_is_read_back() {
    let signed = Signed::sign(&company(), a_quote()).unwrap();
    let read = verify(signed.compact()).unwrap();
    assert_eq!(read, signed);
    assert_eq!(read.statement(), &a_quote());
    assert_eq!(signed.compact(), forge(&header(), &payload()));
    assert_eq!(
        quote_hash(&read),
        QuoteHash(Sha256Digest::of(signed.compact().as_bytes()))
    );
    assert_eq!(read.statement().check(), Ok(()));
}

#[test]
fn another_key_is_refused() {
    let signed = Signed::sign(&pay(), a_quote()).unwrap();
    assert!(matches!(
        verify(signed.compact()),
        Err(StatementError::Key { .. })
    ));
    // The right key's name on the wrong key's signature.
    let (_, rest) = signed.compact().split_once('.').unwrap();
    let claimed = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header()));
    assert_eq!(verify(&claimed), Err(StatementError::Signature));
}

#[test]
fn a_key_that_remembers_judges_like_one_that_does_not() {
    let compact = Signed::sign(&company(), a_quote()).unwrap().into_parts().0;
    let (plain, remembering) = (
        company().verifying_key(),
        company().verifying_key().remembering(4),
    );
    let judge = |text: &str| {
        let verdict = Signed::<Quote>::verify(text, &remembering);
        assert_eq!(verdict, Signed::verify(text, &plain), "{text}");
        verdict.is_ok()
    };
    // The genuine one is shown again between all that is not.
    for at in 0..compact.len() {
        let mut changed = compact.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        assert!(judge(&compact));
        assert!(!judge(&String::from_utf8(changed).unwrap()));
        assert!(!judge(&compact[..at]));
    }
    // A statement of another kind is no quote, remembered or not.
    let payment = a_payment(&Signed::sign(&company(), a_quote()).unwrap());
    let payment = Signed::sign(&company(), payment).unwrap();
    assert!(Signed::<Payment>::verify(payment.compact(), &remembering).is_ok());
    assert!(!judge(payment.compact()));
}

#[test]
fn what_is_remembered_is_not_read_again() {
    let quote = Signed::sign(&company(), a_quote()).unwrap();
    let read = |key: &VerifyingKey| Signed::<Quote>::verify(quote.compact(), key).unwrap();
    let same = |one: &Signed<Quote>, other: &Signed<Quote>| {
        std::ptr::eq(one.statement(), other.statement())
    };
    let key = company().verifying_key().remembering(1);
    let shared = key.clone();
    assert!(same(&read(&key), &read(&shared)), "clones share the memory");
    let once = read(&key);
    let again = key.remembering(0);
    assert!(same(&once, &read(&again)), "it keeps its memory");
    let forgetful = company().verifying_key();
    assert!(
        !same(&read(&forgetful), &read(&forgetful)),
        "off by default"
    );
}

#[test]
fn a_signer_that_remembers_knows_its_own_statements() {
    let signer = company().remembering(1);
    let sign = |last_seq| {
        let quote = Quote {
            last_seq,
            ..a_quote()
        };
        Signed::sign(&signer, quote).unwrap()
    };
    let own = signer.verifying_key();
    let known = |quote: &Signed<Quote>| {
        let read = Signed::<Quote>::verify(quote.compact(), &own).unwrap();
        assert_eq!(read, *quote);
        std::ptr::eq(read.statement(), quote.statement())
    };
    let (first, second) = (sign(1), sign(2));
    assert!(known(&second));
    assert!(!known(&first), "the oldest is forgotten and read anew");
}

#[test]
fn a_signer_shares_the_memory_of_its_public_half_and_of_no_other() {
    let shared = company().verifying_key().remembering(4);
    let known = |signer: SigningKey| {
        let quote = Signed::sign(&signer, a_quote()).unwrap();
        let read = Signed::<Quote>::verify(quote.compact(), &shared);
        std::ptr::eq(read.unwrap().statement(), quote.statement())
    };
    assert!(!known(company()), "one by itself: read anew");
    let other = SigningKey::from_bytes(&[9; 32]).verifying_key();
    assert!(!known(company().sharing(&other.remembering(4))));
    let shared = company().verifying_key().remembering(4);
    let quote = Signed::sign(&company().sharing(&shared), a_quote()).unwrap();
    let read = Signed::<Quote>::verify(quote.compact(), &shared).unwrap();
    assert!(std::ptr::eq(read.statement(), quote.statement()));
}

#[test]
fn threads_share_a_memory_and_none_is_fooled() {
    let key = company().verifying_key().remembering(3);
    let genuine = |number| {
        let mut quote = a_quote();
        quote.last_seq = number;
        Signed::sign(&company(), quote).unwrap().into_parts().0
    };
    std::thread::scope(|threads| {
        for first in 0..4 {
            let key = key.clone();
            threads.spawn(move || {
                for round in 0..20 {
                    let good = genuine((first + round) % 5);
                    let forged = format!("{}AAAA", &good[..good.len() - 4]);
                    assert!(Signed::<Quote>::verify(&forged, &key).is_err());
                    assert!(Signed::<Quote>::verify(&good, &key).is_ok());
                    assert!(Signed::<Quote>::verify(&forged, &key).is_err());
                }
            });
        }
    });
}

#[test]
fn another_kind_of_statement_is_refused() {
    let quote = Signed::sign(&company(), a_quote()).unwrap();
    let payment = Signed::sign(&company(), a_payment(&quote)).unwrap();
    assert_eq!(
        verify(payment.compact()),
        Err(StatementError::Type {
            expected: "pilotlight-quote+jws",
            found: "pilotlight-payment+jws".to_owned()
        })
    );
}

#[test]
fn headers_other_than_ours_are_refused() {
    let good = header();
    let with = |from: &str, to: &str| verify(&forge(&good.replace(from, to), &payload()));
    assert_eq!(
        with("EdDSA", "none"),
        Err(StatementError::Algorithm("none".to_owned()))
    );
    assert_eq!(
        with("EdDSA", "HS256"),
        Err(StatementError::Algorithm("HS256".to_owned()))
    );
    for (from, to, says) in [
        (r#"{"alg""#, r#"{"alg":"EdDSA","alg""#, "duplicate field"),
        (r#"{"alg""#, r#"{"crit":[],"alg""#, "unknown field"),
        (r#""alg":"EdDSA","#, "", "missing field"),
        (r#""alg":"#, r#""alg": "#, "spelling"),
        (r#""EdDSA""#, r#""\u0045dDSA""#, "spelling"),
        ("}", "}}", "not JSON"),
    ] {
        match with(from, to) {
            Err(StatementError::Header(why)) => assert!(why.contains(says), "{to}: {why}"),
            other => assert!(matches!(other, Err(StatementError::Header(_))), "{to}"),
        }
    }
}

#[test]
fn payloads_other_than_ours_are_refused() {
    let good = payload();
    for (from, to, says) in [
        (r#"{"vend_id""#, r#"{"more":1,"vend_id""#, "unknown field"),
        (
            r#""last_seq":7"#,
            r#""last_seq":7,"last_seq":8"#,
            "duplicate field",
        ),
        (r#""last_seq":7,"#, "", "missing field"),
        (r#""last_seq":7"#, r#""last_seq":7.5"#, "integers"),
        (
            r#""payable_fen":5000"#,
            r#""payable_fen":"5000""#,
            "invalid type",
        ),
    ] {
        let changed = good.replace(from, to);
        assert_ne!(changed, good, "{from}");
        match verify(&forge(&header(), &changed)) {
            Err(StatementError::Payload(why)) => assert!(why.contains(says), "{to}: {why}"),
            other => assert!(matches!(other, Err(StatementError::Payload(_))), "{to}"),
        }
    }
}

#[test]
fn other_spellings_of_a_genuine_statement_are_refused() {
    let compact = Signed::sign(&company(), a_quote()).unwrap().into_parts().0;
    let padded: Vec<String> = compact
        .split('.')
        .map(|part| URL_SAFE.encode(URL_SAFE_NO_PAD.decode(part).unwrap()))
        .collect();
    assert_eq!(
        verify(&padded.join(".")),
        Err(StatementError::Base64("signature"))
    );
    for text in [
        String::new(),
        ".".to_owned(),
        format!("{compact}."),
        format!(".{compact}"),
        compact.replacen('.', "", 1),
    ] {
        assert_eq!(verify(&text), Err(StatementError::Parts), "{text}");
    }
    for text in [
        format!(" {compact}"),
        format!("{compact}\n"),
        compact.replacen('.', "+.", 1),
    ] {
        assert!(
            matches!(verify(&text), Err(StatementError::Base64(_))),
            "{text}"
        );
    }
    // The last character's unused bits: 86 characters hold 64 bytes and 4 bits more.
    let last = compact.chars().next_back().unwrap();
    let other = if last == 'A' { 'B' } else { 'h' };
    let respelled = format!("{}{other}", &compact[..compact.len() - 1]);
    assert!(verify(&respelled).is_err());
}

#[test]
fn a_statement_broken_anywhere_is_refused() {
    let compact = Signed::sign(&company(), a_quote()).unwrap().into_parts().0;
    for end in 0..compact.len() {
        assert!(verify(&compact[..end]).is_err(), "cut at {end}");
    }
    let mut changed = a_quote();
    changed.explanation.credit += 1;
    let other = serde_json::to_string(&changed).unwrap();
    let mut parts: Vec<&str> = compact.split('.').collect();
    let payload = URL_SAFE_NO_PAD.encode(other);
    parts[1] = &payload;
    assert_eq!(verify(&parts.join(".")), Err(StatementError::Signature));
}

#[test]
fn too_long_is_neither_made_nor_read() {
    let quote = Signed::sign(&company(), a_quote()).unwrap();
    let mut payment = a_payment(&quote);
    payment.order_no = "x".repeat(COMPACT_MAX);
    assert_eq!(Signed::sign(&pay(), payment), Err(StatementError::TooLong));
    assert_eq!(
        verify(&"x".repeat(COMPACT_MAX + 1)),
        Err(StatementError::TooLong)
    );
    assert_eq!(verify(&"x".repeat(COMPACT_MAX)), Err(StatementError::Parts));
}

#[test]
fn a_quote_with_wrong_arithmetic_does_not_check_though_signed() {
    let mut quote = a_quote();
    quote.explanation.credit -= 1;
    let signed = Signed::sign(&company(), quote).unwrap();
    let differs = CheckError::Differs("what will be credited");
    assert_eq!(
        signed.statement().check(),
        Err(QuoteCheckError::Arithmetic(differs))
    );
    let mut quote = a_quote();
    quote.valid_until_ms = quote.created_at_ms;
    assert_eq!(quote.check(), Err(QuoteCheckError::Validity));
}

struct Bundle {
    quote: Signed<Quote>,
    payment: Signed<Payment>,
    issue: Signed<Issue>,
    settlement: Signed<Settlement>,
}

impl Bundle {
    fn check(&self) -> Result<(), ChainError> {
        check_chain(
            &self.quote,
            Some(&self.payment),
            Some(&self.issue),
            Some(&self.settlement),
        )
    }
}

fn bundle(
    payment: impl Fn(&mut Payment),
    issue: impl Fn(&mut Issue),
    settlement: impl Fn(&mut Settlement),
) -> Bundle {
    let quote = Signed::sign(&company(), a_quote()).unwrap();
    let mut paid = a_payment(&quote);
    payment(&mut paid);
    let paid = Signed::sign(&pay(), paid).unwrap();
    let mut issued = an_issue(&quote, &paid);
    issue(&mut issued);
    let issued = Signed::sign(&company(), issued).unwrap();
    let mut settled = a_settlement(&issued);
    settlement(&mut settled);
    let settled = Signed::sign(&company(), settled).unwrap();
    Bundle {
        quote,
        payment: paid,
        issue: issued,
        settlement: settled,
    }
}

#[test]
fn a_whole_chain_holds_and_so_does_its_beginning() {
    let good = bundle(|_| (), |_| (), |_| ());
    assert_eq!(good.check(), Ok(()));
    assert_eq!(check_chain(&good.quote, None, None, None), Ok(()));
    assert_eq!(
        check_chain(&good.quote, Some(&good.payment), None, None),
        Ok(())
    );
    assert_eq!(
        check_chain(&good.quote, None, Some(&good.issue), None),
        Err(ChainError::Missing("payment"))
    );
    let payment = Some(&good.payment);
    assert_eq!(
        check_chain(&good.quote, payment, None, Some(&good.settlement)),
        Err(ChainError::Missing("issue"))
    );
}

type Change<T> = Box<dyn Fn(&mut T)>;

#[test]
fn a_chain_with_a_foreign_link_does_not_hold() {
    let other_vend = VendId::from_parts(5, [5; 10]);
    let other_meter = "00110000123457".parse().unwrap();
    let other_hash = QuoteHash::from_bytes([9; 32]);
    let one = Money::from_fen(1);
    let payments: Vec<(Change<Payment>, ChainError)> = vec![
        (
            Box::new(move |p| p.vend_id = other_vend),
            ChainError::Vend("payment"),
        ),
        (
            Box::new(move |p| p.meter = other_meter),
            ChainError::Meter("payment"),
        ),
        (
            Box::new(move |p| p.quote_hash = other_hash),
            ChainError::QuoteHash("payment"),
        ),
        (
            Box::new(move |p| p.amount_fen = one),
            ChainError::Amount("payment"),
        ),
    ];
    for (change, why) in payments {
        assert_eq!(bundle(change, |_| (), |_| ()).check(), Err(why));
    }
    let issues: Vec<(Change<Issue>, ChainError)> = vec![
        (
            Box::new(move |i| i.vend_id = other_vend),
            ChainError::Vend("issue"),
        ),
        (
            Box::new(move |i| i.meter = other_meter),
            ChainError::Meter("issue"),
        ),
        (
            Box::new(move |i| i.quote_hash = other_hash),
            ChainError::QuoteHash("issue"),
        ),
        (
            Box::new(|i| i.payment_sha256 = Sha256Digest([9; 32])),
            ChainError::Payment,
        ),
        (
            Box::new(move |i| i.amount_fen = one),
            ChainError::Amount("issue"),
        ),
        (Box::new(|i| i.credit -= 1), ChainError::Credit),
        (
            Box::new(|i| i.unit = Unit::CentiCubicMetre),
            ChainError::Credit,
        ),
    ];
    for (change, why) in issues {
        assert_eq!(bundle(|_| (), change, |_| ()).check(), Err(why));
    }
}

#[test]
fn a_settlement_of_something_else_does_not_hold() {
    let other_vend = VendId::from_parts(5, [5; 10]);
    let other_meter = "00110000123457".parse().unwrap();
    let settlements: Vec<(Change<Settlement>, ChainError)> = vec![
        (
            Box::new(move |s| s.vend_id = other_vend),
            ChainError::Vend("settlement"),
        ),
        (
            Box::new(move |s| s.meter = other_meter),
            ChainError::Meter("settlement"),
        ),
        (Box::new(|s| s.seq -= 1), ChainError::Settled),
        // It says that a later token holds the sale, and not that the meter has that one.
        (Box::new(|s| s.seq += 1), ChainError::Settled),
        (Box::new(|s| s.last_seq -= 1), ChainError::Settled),
    ];
    for (change, why) in settlements {
        assert_eq!(bundle(|_| (), |_| (), change).check(), Err(why));
    }
}

fn an_order(payment: &Signed<Payment>) -> RefundOrder {
    RefundOrder {
        refund_id: RefundId::from_parts(1_795_422_900_000, [3; 10]),
        vend_id: payment.statement().vend_id,
        meter: payment.statement().meter,
        payment_sha256: payment.sha256(),
        amount_fen: payment.statement().amount_fen,
        seq: 9,
        message_sha256: Sha256Digest::of(b"receipt"),
        ordered_at_ms: UnixMillis::from_millis(1_795_422_900_000),
    }
}

fn a_refund(order: &Signed<RefundOrder>) -> Refunded {
    Refunded {
        refund_id: order.statement().refund_id,
        vend_id: order.statement().vend_id,
        meter: order.statement().meter,
        order_sha256: order.sha256(),
        provider: "wechat".to_owned(),
        provider_refund_id: "refund".to_owned(),
        amount_fen: order.statement().amount_fen,
        refunded_at_ms: UnixMillis::from_millis(1_795_422_901_000),
    }
}

/// A refund of the usual payment: its order and how it was done, changed.
fn refund(
    order: impl Fn(&mut RefundOrder),
    refunded: impl Fn(&mut Refunded),
) -> Result<(), ChainError> {
    let payment = bundle(|_| (), |_| (), |_| ()).payment;
    let mut ordered = an_order(&payment);
    order(&mut ordered);
    let ordered = sign(&company(), ordered);
    let mut done = a_refund(&ordered);
    refunded(&mut done);
    check_refund(&payment, &ordered, None)?;
    check_refund(&payment, &ordered, Some(&sign(&pay(), done)))
}

fn sign<T: Statement>(key: &SigningKey, statement: T) -> Signed<T> {
    Signed::sign(key, statement).unwrap()
}

#[test]
fn a_refund_gives_back_exactly_what_was_paid_and_ordered() {
    let other_vend = VendId::from_parts(5, [5; 10]);
    let other_meter = "00110000123457".parse().unwrap();
    let other_refund = RefundId::from_parts(5, [5; 10]);
    let one = Money::from_fen(1);
    assert_eq!(refund(|_| (), |_| ()), Ok(()));
    let orders: Vec<(Change<RefundOrder>, ChainError)> = vec![
        (
            Box::new(move |o| o.vend_id = other_vend),
            ChainError::Vend("refund order"),
        ),
        (
            Box::new(move |o| o.meter = other_meter),
            ChainError::Meter("refund order"),
        ),
        (
            Box::new(|o| o.payment_sha256 = Sha256Digest([9; 32])),
            ChainError::Payment,
        ),
        (
            Box::new(move |o| o.amount_fen = one),
            ChainError::Amount("refund order"),
        ),
    ];
    for (change, why) in orders {
        assert_eq!(refund(change, |_| ()), Err(why));
    }
    let refunds: Vec<(Change<Refunded>, ChainError)> = vec![
        (
            Box::new(move |r| r.vend_id = other_vend),
            ChainError::Vend("refund"),
        ),
        (
            Box::new(move |r| r.meter = other_meter),
            ChainError::Meter("refund"),
        ),
        (
            Box::new(move |r| r.refund_id = other_refund),
            ChainError::Order,
        ),
        (
            Box::new(|r| r.order_sha256 = Sha256Digest([9; 32])),
            ChainError::Order,
        ),
        (
            Box::new(move |r| r.amount_fen = one),
            ChainError::Amount("refund"),
        ),
    ];
    for (change, why) in refunds {
        assert_eq!(refund(|_| (), change), Err(why));
    }
}

#[test]
fn an_order_is_no_refund_and_a_refund_no_order() {
    let payment = bundle(|_| (), |_| (), |_| ()).payment;
    let order = Signed::sign(&company(), an_order(&payment)).unwrap();
    let key = company().verifying_key();
    assert_eq!(Signed::verify(order.compact(), &key), Ok(order.clone()));
    assert!(matches!(
        Signed::<Refunded>::verify(order.compact(), &key),
        Err(StatementError::Type { .. })
    ));
    let refunded = Signed::sign(&pay(), a_refund(&order)).unwrap();
    let key = pay().verifying_key();
    assert_eq!(Signed::verify(refunded.compact(), &key), Ok(refunded));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "[A-Za-z0-9_.=-]{0,200}") {
        prop_assert!(verify(&text).is_err());
    }

    #[test]
    fn one_changed_character_is_refused(at in 0..1_000_usize, to in "[A-Za-z0-9_-]") {
        let compact = Signed::sign(&company(), a_quote()).unwrap().into_parts().0;
        let at = at % compact.len();
        let changed = format!("{}{to}{}", &compact[..at], &compact[at + 1..]);
        prop_assume!(changed != compact);
        prop_assert!(verify(&changed).is_err());
    }
}
