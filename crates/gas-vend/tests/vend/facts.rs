use gas_api::cloud::Obstacle;
use gas_api::company::{Sale, SaleState};
use gas_api::pay::{PaymentRequest, Presentation};
use gas_api::{Digest, HexBytes, Jws, codes};
use gas_statement::{
    Currency, Evidence, Issue, Payment, Quote, QuoteHash, RefundOrder, Refunded, Settlement,
    Sha256Digest, Signed, SigningKey,
};
use gas_tariff::{Explanation, QuoteBasis, Tariff, Want};
use gas_token::{Kind, MeterState, Receipt, ReceiptResult, Seq, StateFlags, Tag, Tagged, Total};
use gas_units::{MeterNumber, Money, RefundId, Unit, UnixMillis, UnixTime, VendId, Volume};
use gas_vend::{Asked, ConfirmedPayment, IssuedToken, MoneyBack, OrderedRefund, SignedQuote, Vend};

pub(crate) const NOW: UnixMillis = UnixMillis::from_millis(1_760_000_000_000);
pub(crate) const VALID_UNTIL: UnixMillis = UnixMillis::from_millis(1_760_000_900_000);
const SEQ: u32 = 7;

pub(crate) fn company() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

pub(crate) fn pay() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

pub(crate) fn vend_id() -> VendId {
    VendId::from_parts(1_760_000_000_000, [7; 10])
}

pub(crate) fn meter() -> MeterNumber {
    "33010000000001".parse().unwrap()
}

pub(crate) fn asked() -> Asked {
    let want = gas_api::Want::AmountFen(Money::from_fen(20_000));
    Asked {
        vend_id: vend_id(),
        meter: meter(),
        want,
    }
}

fn explanation() -> Explanation {
    let bounds = [Volume::from_centi_m3(35_000), Volume::from_centi_m3(50_000)];
    let tariff = Tariff::new(1, bounds, [261, 283, 423]).unwrap();
    let basis = QuoteBasis {
        unit: Unit::Fen,
        register_centi_m3: Volume::from_centi_m3(10_000),
        year_start_register_centi_m3: Volume::ZERO,
        purchased_this_year_centi_m3: Volume::ZERO,
        used_before_centi_m3: Volume::ZERO,
        undelivered: 0,
        balance: 500,
    };
    tariff
        .quote(
            basis,
            Want::Amount(Money::from_fen(20_000)),
            Money::from_fen(100_000),
        )
        .unwrap()
}

pub(crate) fn quote() -> Signed<Quote> {
    let quote = Quote {
        vend_id: vend_id(),
        meter: meter(),
        explanation: explanation(),
        last_seq: SEQ - 1,
        meter_time: UnixTime::from_seconds(1_760_000_000),
        status_sha256: Sha256Digest([3; 32]),
        created_at_ms: NOW,
        valid_until_ms: VALID_UNTIL,
    };
    Signed::sign(&company(), quote).unwrap()
}

pub(crate) fn quote_hash() -> Digest {
    Digest(quote().sha256().0)
}

pub(crate) fn signed_quote() -> SignedQuote {
    let jws = Jws(quote().compact().into());
    SignedQuote::verify(&jws, &company().verifying_key()).unwrap()
}

pub(crate) fn new_vend() -> Vend {
    Vend::quoted(asked(), &signed_quote()).unwrap().vend
}

fn payment_facts() -> Payment {
    Payment {
        vend_id: vend_id(),
        meter: meter(),
        quote_hash: QuoteHash(quote().sha256()),
        amount_fen: Money::from_fen(20_000),
        currency: Currency::Cny,
        provider: "wechat".to_owned(),
        order_no: format!("{}01", vend_id().to_base32()),
        transaction_id: "4200001".to_owned(),
        paid_at_ms: NOW,
    }
}

/// A payment that pay has signed, after `change`.
pub(crate) fn payment(change: impl FnOnce(&mut Payment)) -> ConfirmedPayment {
    let mut facts = payment_facts();
    change(&mut facts);
    let jws = Jws(Signed::sign(&pay(), facts).unwrap().compact().into());
    ConfirmedPayment::verify(&jws, &pay().verifying_key()).unwrap()
}

fn token() -> Tagged<Total> {
    let message = Total {
        generation: 1,
        meter: meter(),
        seq: Seq::from_bits(SEQ),
        unit: Unit::Fen,
        total: 120_000,
        amount: 20_000,
        tid_floor: 9,
        tariff: 1,
        issued: UnixTime::from_seconds(1_760_000_000),
        reference: vend_id().reference(),
    };
    Tagged {
        message,
        tag: Tag([9; 16]),
    }
}

/// A sale that the company has issued, with the statement after `change`.
pub(crate) fn sale(change: impl FnOnce(&mut Issue)) -> Sale {
    let token = token();
    let mut issue = Issue {
        vend_id: vend_id(),
        meter: meter(),
        quote_hash: QuoteHash(quote().sha256()),
        payment_sha256: Sha256Digest([4; 32]),
        amount_fen: Money::from_fen(20_000),
        seq: SEQ,
        unit: Unit::Fen,
        total: 120_000,
        credit: 20_000,
        token_sha256: Sha256Digest::of(&token.to_bytes()),
        issued_at_ms: NOW,
    };
    change(&mut issue);
    Sale {
        vend_id: vend_id(),
        meter: meter(),
        state: SaleState::Issued,
        seq: SEQ,
        amount_fen: Money::from_fen(20_000),
        token: HexBytes(token.to_bytes()),
        resealed: None,
        issue: Jws(Signed::sign(&company(), issue).unwrap().compact().into()),
        settlement: None,
    }
}

pub(crate) fn issued(change: impl FnOnce(&mut Issue)) -> IssuedToken {
    IssuedToken::verify(&sale(change), &company().verifying_key()).unwrap()
}

/// The meter's answer to the token, after `change`.
pub(crate) fn receipt(change: impl FnOnce(&mut Receipt)) -> Tagged<Receipt> {
    let mut message = Receipt {
        generation: 1,
        meter: meter(),
        result: ReceiptResult::Applied,
        answered: Kind::Total,
        state: MeterState {
            last_seq: Seq::from_bits(SEQ),
            last_tag: token().tag.short(),
            total: 120_000,
            keypad: 0,
            balance: 20_500,
            volume: Volume::from_centi_m3(10_000),
            time: UnixTime::from_seconds(1_760_000_100),
            flags: StateFlags(0),
        },
    };
    change(&mut message);
    Tagged {
        message,
        tag: Tag([8; 16]),
    }
}

pub(crate) fn settlement(change: impl FnOnce(&mut Settlement)) -> gas_vend::Settlement {
    let mut facts = Settlement {
        vend_id: vend_id(),
        meter: meter(),
        seq: SEQ,
        evidence: Evidence::ReceiptApplied,
        message_sha256: Sha256Digest([5; 32]),
        last_seq: SEQ,
        total: 120_000,
        balance: 20_500,
        register_centi_m3: Volume::from_centi_m3(10_000),
        settled_at_ms: NOW,
    };
    change(&mut facts);
    let jws = Jws(Signed::sign(&company(), facts).unwrap().compact().into());
    gas_vend::Settlement::verify(&jws, &company().verifying_key()).unwrap()
}

fn signed_order(change: impl FnOnce(&mut RefundOrder)) -> Signed<RefundOrder> {
    let payment = Signed::sign(&pay(), payment_facts()).unwrap();
    let mut facts = RefundOrder {
        refund_id: RefundId::from_parts(1_760_000_000_000, [5; 10]),
        vend_id: vend_id(),
        meter: meter(),
        payment_sha256: payment.sha256(),
        amount_fen: Money::from_fen(20_000),
        seq: SEQ + 1,
        message_sha256: Sha256Digest([6; 32]),
        ordered_at_ms: NOW,
    };
    change(&mut facts);
    Signed::sign(&company(), facts).unwrap()
}

/// The company's order to give the money back, after `change`.
pub(crate) fn order(change: impl FnOnce(&mut RefundOrder)) -> OrderedRefund {
    let jws = Jws(signed_order(change).compact().into());
    OrderedRefund::verify(&jws, &company().verifying_key()).unwrap()
}

/// The payment server's word that the money went back, after `change`.
pub(crate) fn money_back(change: impl FnOnce(&mut Refunded)) -> MoneyBack {
    let order = signed_order(|_| {});
    let mut facts = Refunded {
        refund_id: order.statement().refund_id,
        vend_id: vend_id(),
        meter: meter(),
        order_sha256: order.sha256(),
        provider: "wechat".to_owned(),
        provider_refund_id: "50300001".to_owned(),
        amount_fen: Money::from_fen(20_000),
        refunded_at_ms: NOW,
    };
    change(&mut facts);
    let jws = Jws(Signed::sign(&pay(), facts).unwrap().compact().into());
    MoneyBack::verify(&jws, &pay().verifying_key()).unwrap()
}

pub(crate) fn request(amount_fen: i64) -> PaymentRequest {
    PaymentRequest {
        provider: "wechat".to_owned(),
        presentation: Presentation::Native,
        code_url: "weixin://wxpay/bizpayurl?pr=1".to_owned(),
        link: None,
        amount_fen: Money::from_fen(amount_fen),
        expires_at_ms: VALID_UNTIL,
    }
}

pub(crate) fn why(code: &str) -> Obstacle {
    Obstacle {
        code: code.to_owned(),
        detail: "as the other server said".to_owned(),
        vend_id: None,
    }
}

pub(crate) fn over_limit() -> Obstacle {
    why(codes::OVER_LIMIT)
}
