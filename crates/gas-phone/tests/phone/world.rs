//! A company, a payment server and a meter that say the truth, and one vend of theirs.

use gas_api::cloud::{Obstacle, Vend, VendState};
use gas_api::pay::{PaymentRequest, Presentation};
use gas_api::{Digest, HexBytes, Jws, Problem, Want};
use gas_link::{OperationCode, Recall, RequestId, Response, Status as CardStatus};
use gas_phone::Trust;
use gas_statement::{
    Currency, Evidence, Issue, Payment, Quote, RefundOrder, Refunded, Settlement, Sha256Digest,
    Signed, SigningKey, Statement, quote_hash,
};
use gas_tariff::{QuoteBasis, Tariff};
use gas_token::{
    Kind, MeterState, Nonce, Receipt, ReceiptResult, Seq, StateFlags, Status, Tag, Tagged, Total,
};
use gas_units::{MeterNumber, Money, RefundId, Unit, UnixMillis, UnixTime, VendId, Volume};

pub(crate) const WANT: Want = Want::AmountFen(Money::from_fen(5_000));
pub(crate) const NOW: UnixMillis = UnixMillis::from_millis(1_795_422_610_000);
const SEQ: Seq = Seq::from_bits(0x0100_0008);
const TAG: Tag = Tag([0x5A; 16]);

pub(crate) fn company() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

pub(crate) fn pay() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

pub(crate) fn trust() -> Trust {
    Trust {
        company: company().verifying_key(),
        pay: pay().verifying_key(),
    }
}

pub(crate) fn meter() -> MeterNumber {
    "00110000123456".parse().unwrap()
}

pub(crate) fn other_meter() -> MeterNumber {
    "00110000654321".parse().unwrap()
}

pub(crate) fn vend_id() -> VendId {
    VendId::from_parts(1_795_422_610_000, [7; 10])
}

pub(crate) fn other_vend_id() -> VendId {
    VendId::from_parts(1_795_422_610_000, [8; 10])
}

fn state(last_seq: Seq, tag: Tag, total: u32) -> MeterState {
    MeterState {
        last_seq,
        last_tag: tag.short(),
        total,
        keypad: 0,
        balance: 700,
        volume: Volume::from_centi_m3(123_456),
        time: UnixTime::from_seconds(1_795_422_600),
        flags: StateFlags(0),
    }
}

/// The status of any meter, answering any nonce.
pub(crate) fn status_of(meter: MeterNumber, nonce: u8) -> HexBytes {
    let status = Tagged {
        message: Status {
            generation: 1,
            meter,
            nonce: Nonce([nonce; 8]),
            state: state(Seq::from_bits(0x0100_0007), Tag([0; 16]), 15_000),
            battery_percent: 90,
            settings: [1; 5],
        },
        tag: Tag([0x33; 16]),
    };
    HexBytes(status.to_bytes())
}

pub(crate) fn status() -> HexBytes {
    status_of(meter(), 1)
}

/// What the meter may answer to a token.
pub(crate) fn receipt_with(change: impl FnOnce(&mut Receipt)) -> HexBytes {
    let mut message = Receipt {
        generation: 1,
        meter: meter(),
        result: ReceiptResult::Applied,
        answered: Kind::Total,
        state: state(SEQ, TAG, 20_000),
    };
    change(&mut message);
    let tag = Tag([0x44; 16]);
    HexBytes(Tagged { message, tag }.to_bytes())
}

/// The meter's first answer to the token.
pub(crate) fn receipt() -> HexBytes {
    receipt_with(|_| {})
}

/// Its answer to the same token, delivered again.
pub(crate) fn receipt_again() -> HexBytes {
    receipt_with(|receipt| receipt.result = ReceiptResult::Duplicate)
}

/// A genuine statement of anything, as it travels.
pub(crate) fn signed<T: Statement>(key: &SigningKey, statement: T) -> Jws {
    Jws(Signed::sign(key, statement).unwrap().compact().into())
}

/// What one vend leaves behind, each part genuine and about the part before.
#[derive(Clone)]
pub(crate) struct Papers {
    pub(crate) quote: Signed<Quote>,
    pub(crate) payment: Signed<Payment>,
    pub(crate) issue: Signed<Issue>,
    pub(crate) settlement: Signed<Settlement>,
    pub(crate) order: Signed<RefundOrder>,
    pub(crate) refunded: Signed<Refunded>,
    pub(crate) token: Tagged<Total>,
}

pub(crate) fn a_quote() -> Quote {
    quote_of(gas_tariff::Want::Amount(Money::from_fen(5_000)))
}

pub(crate) fn quote_of(want: gas_tariff::Want) -> Quote {
    let basis = QuoteBasis {
        unit: Unit::Fen,
        register_centi_m3: Volume::from_centi_m3(123_456),
        year_start_register_centi_m3: Volume::from_centi_m3(100_000),
        purchased_this_year_centi_m3: Volume::ZERO,
        used_before_centi_m3: Volume::ZERO,
        undelivered: 0,
        balance: 700,
    };
    let limit = Money::from_fen(100_000);
    Quote {
        vend_id: vend_id(),
        meter: meter(),
        explanation: Tariff::default().quote(basis, want, limit).unwrap(),
        last_seq: 0x0100_0007,
        meter_time: UnixTime::from_seconds(1_795_422_600),
        status_sha256: Sha256Digest::of(&status().0),
        created_at_ms: NOW,
        valid_until_ms: NOW.plus_millis(900_000),
    }
}

fn a_payment(quote: &Signed<Quote>) -> Payment {
    Payment {
        vend_id: vend_id(),
        meter: meter(),
        quote_hash: quote_hash(quote),
        amount_fen: quote.statement().payable(),
        currency: Currency::Cny,
        provider: "wechat".to_owned(),
        order_no: "order".to_owned(),
        transaction_id: "transaction".to_owned(),
        paid_at_ms: NOW.plus_millis(60_000),
    }
}

fn an_issue(quote: &Signed<Quote>, payment: &Signed<Payment>, token: &Tagged<Total>) -> Issue {
    Issue {
        vend_id: vend_id(),
        meter: meter(),
        quote_hash: quote_hash(quote),
        payment_sha256: payment.sha256(),
        amount_fen: quote.statement().payable(),
        seq: token.message.seq.bits(),
        unit: token.message.unit,
        total: token.message.total,
        credit: token.message.amount,
        token_sha256: Sha256Digest::of(&token.to_bytes()),
        issued_at_ms: NOW.plus_millis(61_000),
    }
}

fn a_settlement() -> Settlement {
    Settlement {
        vend_id: vend_id(),
        meter: meter(),
        seq: SEQ.bits(),
        evidence: Evidence::ReceiptApplied,
        message_sha256: Sha256Digest::of(&receipt().0),
        last_seq: SEQ.bits(),
        total: 20_000,
        balance: 5_700,
        register_centi_m3: Volume::from_centi_m3(123_456),
        settled_at_ms: NOW.plus_millis(120_000),
    }
}

fn an_order(payment: &Signed<Payment>) -> RefundOrder {
    RefundOrder {
        refund_id: RefundId::from_parts(1_795_422_900_000, [3; 10]),
        vend_id: vend_id(),
        meter: meter(),
        payment_sha256: payment.sha256(),
        amount_fen: payment.statement().amount_fen,
        seq: SEQ.bits() + 1,
        message_sha256: Sha256Digest([4; 32]),
        ordered_at_ms: NOW.plus_millis(300_000),
    }
}

fn a_refund(order: &Signed<RefundOrder>) -> Refunded {
    Refunded {
        refund_id: order.statement().refund_id,
        vend_id: vend_id(),
        meter: meter(),
        order_sha256: order.sha256(),
        provider: "wechat".to_owned(),
        provider_refund_id: "refund".to_owned(),
        amount_fen: order.statement().amount_fen,
        refunded_at_ms: NOW.plus_millis(360_000),
    }
}

fn a_token() -> Tagged<Total> {
    let message = Total {
        generation: 1,
        meter: meter(),
        seq: SEQ,
        unit: Unit::Fen,
        total: 20_000,
        amount: 5_000,
        tid_floor: 0,
        tariff: 1,
        issued: UnixTime::from_seconds(1_795_422_671),
        reference: vend_id().reference(),
    };
    Tagged { message, tag: TAG }
}

pub(crate) fn papers() -> Papers {
    let quote = Signed::sign(&company(), a_quote()).unwrap();
    let payment = Signed::sign(&pay(), a_payment(&quote)).unwrap();
    let token = a_token();
    let issue = Signed::sign(&company(), an_issue(&quote, &payment, &token)).unwrap();
    let settlement = Signed::sign(&company(), a_settlement()).unwrap();
    let order = Signed::sign(&company(), an_order(&payment)).unwrap();
    let refunded = Signed::sign(&pay(), a_refund(&order)).unwrap();
    Papers {
        quote,
        payment,
        issue,
        settlement,
        order,
        refunded,
        token,
    }
}

impl Papers {
    /// The payment with something changed, signed by the payment server.
    pub(crate) fn payment_with(&self, change: impl FnOnce(&mut Payment)) -> Jws {
        let mut payment = self.payment.statement().clone();
        change(&mut payment);
        signed(&pay(), payment)
    }

    /// The issue with something changed, signed by the company.
    pub(crate) fn issue_with(&self, change: impl FnOnce(&mut Issue)) -> Jws {
        let mut issue = self.issue.statement().clone();
        change(&mut issue);
        signed(&company(), issue)
    }

    /// The settlement with something changed, signed by the company.
    pub(crate) fn settlement_with(&self, change: impl FnOnce(&mut Settlement)) -> Jws {
        let mut settlement = self.settlement.statement().clone();
        change(&mut settlement);
        signed(&company(), settlement)
    }

    /// The order with something changed, signed by the company.
    pub(crate) fn order_with(&self, change: impl FnOnce(&mut RefundOrder)) -> Jws {
        let mut order = self.order.statement().clone();
        change(&mut order);
        signed(&company(), order)
    }

    /// The refund with something changed, signed by the payment server.
    pub(crate) fn refunded_with(&self, change: impl FnOnce(&mut Refunded)) -> Jws {
        let mut refunded = self.refunded.statement().clone();
        change(&mut refunded);
        signed(&pay(), refunded)
    }

    /// The token with something changed. Nobody but company and meter can tell whether its tag holds.
    pub(crate) fn token_with(&self, change: impl FnOnce(&mut Total)) -> HexBytes {
        let mut token = self.token;
        change(&mut token.message);
        HexBytes(token.to_bytes())
    }

    /// The vend as an honest cloud shows it in this state.
    pub(crate) fn vend(&self, state: VendState, version: u32) -> Vend {
        let jws = |compact: &str| Jws(compact.into());
        let paid = state >= VendState::TenderConfirmed;
        let issued = state >= VendState::TokenIssued;
        Vend {
            vend_id: vend_id(),
            meter: meter(),
            want: WANT,
            state,
            version,
            quote: jws(self.quote.compact()),
            quote_hash: Digest(quote_hash(&self.quote).bytes()),
            consented_at_ms: None,
            payment_request: (state == VendState::TenderRequested).then(payment_request),
            payment: paid.then(|| jws(self.payment.compact())),
            token: issued.then(|| HexBytes(self.token.to_bytes())),
            issue: issued.then(|| jws(self.issue.compact())),
            receipt: (state >= VendState::Delivered).then(receipt),
            settlement: (state >= VendState::Accepted).then(|| jws(self.settlement.compact())),
            refund_order: (state >= VendState::RefundPending).then(|| jws(self.order.compact())),
            refunded: (state == VendState::Refunded).then(|| jws(self.refunded.compact())),
            timeline: vec![],
            obstacle: None,
        }
    }
}

pub(crate) fn payment_request() -> PaymentRequest {
    PaymentRequest {
        provider: "wechat".to_owned(),
        presentation: Presentation::Native,
        code_url: "weixin://wxpay/bizpayurl?pr=x".to_owned(),
        link: None,
        amount_fen: Money::from_fen(5_000),
        expires_at_ms: NOW.plus_millis(900_000),
    }
}

pub(crate) fn problem(code: &str) -> Problem {
    Problem {
        kind: "about:blank".to_owned(),
        status: 409,
        code: code.to_owned(),
        title: "Title".to_owned(),
        detail: "What happened.".to_owned(),
        hint: "What to do.".to_owned(),
        vend_id: None,
        waiting: None,
    }
}

pub(crate) fn obstacle(code: &str) -> Obstacle {
    Obstacle {
        code: code.to_owned(),
        detail: "What stands in the way.".to_owned(),
        vend_id: None,
    }
}

/// By which the card is asked to deliver.
pub(crate) const ID: RequestId = RequestId([0x1F; 8]);
/// By which it is asked what became of that.
pub(crate) const NOT_ID: RequestId = RequestId([0xE0; 8]);

pub(crate) fn to_deliver(id: RequestId, status: CardStatus, body: &[u8]) -> Response {
    let mut response = Response::bare(id, OperationCode::Deliver, status);
    response.body = body.iter().copied().collect();
    response
}

/// The answer to RESULT: the delivery as it stands.
pub(crate) fn to_result(status: CardStatus, body: &[u8]) -> Response {
    let mut response = Response::bare(NOT_ID, OperationCode::Result, CardStatus::Ok);
    let recall = Recall {
        operation: OperationCode::Deliver,
        status,
        body,
    };
    response.body = recall.to_body();
    response
}
