//! What the other servers and the meter say of a vend, as far as the cloud's core asks for it.

use gas_api::cloud::Obstacle;
use gas_api::company::{Sale, SaleState};
use gas_api::pay::{PaymentRequest, Presentation};
use gas_api::{Digest, HexBytes, Jws, Want};
use gas_statement::{
    Currency, Evidence, Issue, Payment, Quote, RefundOrder, Refunded, Sha256Digest, Signed,
    SigningKey, quote_hash,
};
use gas_tariff::{QuoteBasis, Tariff};
use gas_token::{Kind, MeterState, Receipt, ReceiptResult, Seq, StateFlags, Tag, Tagged, Total};
use gas_units::{MeterNumber, Money, RefundId, Unit, UnixMillis, UnixTime, VendId, Volume};
use gas_vend::{
    Applied, Asked, ConfirmedPayment, IssuedToken, MoneyBack, OrderedRefund, Settlement,
    SignedQuote, Vend,
};

pub(crate) const BEGIN: UnixMillis = UnixMillis::from_millis(1_760_000_000_000);
const AMOUNT: Money = Money::from_fen(20_000);

/// One vend, from its quote to its settlement, and back.
pub(crate) struct Facts {
    pub(crate) vend_id: VendId,
    pub(crate) quoted: Applied,
    pub(crate) hash: Digest,
    pub(crate) request: PaymentRequest,
    pub(crate) payment: ConfirmedPayment,
    pub(crate) issued: IssuedToken,
    pub(crate) receipt: Tagged<Receipt>,
    pub(crate) settlement: Settlement,
    pub(crate) order: OrderedRefund,
    pub(crate) money_back: MoneyBack,
}

pub(crate) fn meter(number: u8) -> MeterNumber {
    format!("330100000000{:02}", number % 2).parse().unwrap()
}

pub(crate) fn why(code: &str) -> Obstacle {
    Obstacle {
        code: code.to_owned(),
        detail: "as the other server said".to_owned(),
        vend_id: None,
    }
}

impl Facts {
    pub(crate) fn of(number: u8) -> Self {
        let key = SigningKey::from_bytes(&[1; 32]);
        let verifying = key.verifying_key();
        let vend_id = VendId::from_parts(1_760_000_000_000, [number; 10]);
        let asked = Asked {
            vend_id,
            meter: meter(number),
            want: Want::AmountFen(AMOUNT),
        };
        let quote = Signed::sign(&key, quote(vend_id, asked.meter)).unwrap();
        let signed = SignedQuote::verify(&Jws(quote.compact().into()), &verifying).unwrap();
        let payment = Signed::sign(&key, payment(&quote)).unwrap();
        let payment_jws = Jws(payment.compact().into());
        let token = token(number, vend_id);
        let issue = Signed::sign(&key, issue(&quote, &payment, &token)).unwrap();
        let sale = Sale {
            vend_id,
            meter: asked.meter,
            state: SaleState::Issued,
            seq: token.message.seq.bits(),
            amount_fen: AMOUNT,
            token: HexBytes(token.to_bytes()),
            resealed: None,
            issue: Jws(issue.compact().into()),
            settlement: None,
        };
        let settlement = Signed::sign(&key, settlement(vend_id, &token)).unwrap();
        let settlement = Jws(settlement.compact().into());
        let order = Signed::sign(&key, order(&payment)).unwrap();
        let order_jws = Jws(order.compact().into());
        let refunded = Signed::sign(&key, refunded(&order)).unwrap();
        let refunded = Jws(refunded.compact().into());
        Self {
            vend_id,
            quoted: Vend::quoted(asked, &signed).unwrap(),
            hash: signed.hash(),
            request: PaymentRequest {
                provider: "wechat".to_owned(),
                presentation: Presentation::Native,
                code_url: "weixin://wxpay/bizpayurl?pr=1".to_owned(),
                link: None,
                amount_fen: AMOUNT,
                expires_at_ms: quote.statement().valid_until_ms,
            },
            payment: ConfirmedPayment::verify(&payment_jws, &verifying).unwrap(),
            issued: IssuedToken::verify(&sale, &verifying).unwrap(),
            receipt: receipt(&token),
            settlement: Settlement::verify(&settlement, &verifying).unwrap(),
            order: OrderedRefund::verify(&order_jws, &verifying).unwrap(),
            money_back: MoneyBack::verify(&refunded, &verifying).unwrap(),
        }
    }
}

fn quote(vend_id: VendId, meter: MeterNumber) -> Quote {
    let bounds = [Volume::from_centi_m3(35_000), Volume::from_centi_m3(50_000)];
    let tariff = Tariff::new(1, bounds, [261, 283, 423]).unwrap();
    let basis = QuoteBasis {
        unit: Unit::Fen,
        register_centi_m3: Volume::ZERO,
        year_start_register_centi_m3: Volume::ZERO,
        purchased_this_year_centi_m3: Volume::ZERO,
        used_before_centi_m3: Volume::ZERO,
        undelivered: 0,
        balance: 0,
    };
    Quote {
        vend_id,
        meter,
        explanation: tariff
            .quote(basis, gas_tariff::Want::Amount(AMOUNT), AMOUNT)
            .unwrap(),
        last_seq: 0,
        meter_time: UnixTime::from_seconds(0),
        status_sha256: Sha256Digest([0; 32]),
        created_at_ms: BEGIN,
        valid_until_ms: BEGIN.plus_millis(900_000),
    }
}

fn payment(quote: &Signed<Quote>) -> Payment {
    let stated = quote.statement();
    Payment {
        vend_id: stated.vend_id,
        meter: stated.meter,
        quote_hash: quote_hash(quote),
        amount_fen: AMOUNT,
        currency: Currency::Cny,
        provider: "wechat".to_owned(),
        order_no: format!("{}01", stated.vend_id.to_base32()),
        transaction_id: "4200001".to_owned(),
        paid_at_ms: BEGIN,
    }
}

fn token(number: u8, vend_id: VendId) -> Tagged<Total> {
    let message = Total {
        generation: 1,
        meter: meter(number),
        seq: Seq::from_bits(u32::from(number) + 1),
        unit: Unit::Fen,
        total: 120_000,
        amount: 20_000,
        tid_floor: 9,
        tariff: 1,
        issued: UnixTime::from_seconds(1_760_000_000),
        reference: vend_id.reference(),
    };
    let tag = Tag([number; 16]);
    Tagged { message, tag }
}

fn issue(quote: &Signed<Quote>, payment: &Signed<Payment>, token: &Tagged<Total>) -> Issue {
    let stated = quote.statement();
    Issue {
        vend_id: stated.vend_id,
        meter: stated.meter,
        quote_hash: quote_hash(quote),
        payment_sha256: payment.sha256(),
        amount_fen: AMOUNT,
        seq: token.message.seq.bits(),
        unit: token.message.unit,
        total: token.message.total,
        credit: token.message.amount,
        token_sha256: Sha256Digest::of(&token.to_bytes()),
        issued_at_ms: BEGIN,
    }
}

fn receipt(token: &Tagged<Total>) -> Tagged<Receipt> {
    let message = Receipt {
        generation: 1,
        meter: token.message.meter,
        result: ReceiptResult::Applied,
        answered: Kind::Total,
        state: MeterState {
            last_seq: token.message.seq,
            last_tag: token.tag.short(),
            total: token.message.total,
            keypad: 0,
            balance: 20_500,
            volume: Volume::from_centi_m3(10_000),
            time: UnixTime::from_seconds(1_760_000_100),
            flags: StateFlags(0),
        },
    };
    let tag = Tag([8; 16]);
    Tagged { message, tag }
}

fn order(payment: &Signed<Payment>) -> RefundOrder {
    let paid = payment.statement();
    RefundOrder {
        refund_id: RefundId::from_parts(1_760_000_000_000, [1; 10]),
        vend_id: paid.vend_id,
        meter: paid.meter,
        payment_sha256: payment.sha256(),
        amount_fen: paid.amount_fen,
        seq: 8,
        message_sha256: Sha256Digest([6; 32]),
        ordered_at_ms: BEGIN,
    }
}

fn refunded(order: &Signed<RefundOrder>) -> Refunded {
    let ordered = order.statement();
    Refunded {
        refund_id: ordered.refund_id,
        vend_id: ordered.vend_id,
        meter: ordered.meter,
        order_sha256: order.sha256(),
        provider: "wechat".to_owned(),
        provider_refund_id: "5".to_owned(),
        amount_fen: ordered.amount_fen,
        refunded_at_ms: BEGIN,
    }
}

fn settlement(vend_id: VendId, token: &Tagged<Total>) -> gas_statement::Settlement {
    gas_statement::Settlement {
        vend_id,
        meter: token.message.meter,
        seq: token.message.seq.bits(),
        evidence: Evidence::ReceiptApplied,
        message_sha256: Sha256Digest([5; 32]),
        last_seq: token.message.seq.bits(),
        total: token.message.total,
        balance: 20_500,
        register_centi_m3: Volume::from_centi_m3(10_000),
        settled_at_ms: BEGIN,
    }
}
