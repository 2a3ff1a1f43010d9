//! Doubles of the gas company and the payment server, at the level of HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::extract::{Path, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{post, put};
use axum::{Json, Router};
use gas_api::company::{
    BelievedState, Nonces, NoncesWanted, QuoteMade, QuoteWanted, ReceiptBelieved, ReceiptReported,
    RecordsBelieved, RecordsReported, ReservationWanted, Reserved, Sale, SaleState, SaleWanted,
    StateReported,
};
use gas_api::pay::{
    PaymentRequest, Presentation, Refund, RefundState, Tender, TenderState, TenderWanted, Way,
};
use gas_api::{Digest, HexBytes, Jws, Want, codes};
use gas_http::{Problem, now};
use gas_statement::{
    Currency, Evidence, Issue, Payment, Quote, QuoteHash, RefundOrder, Refunded, Settlement,
    Sha256Digest, Signed, SigningKey,
};
use gas_tariff::{QuoteBasis, Tariff};
use gas_token::{Ask, Nonce, Receipt, ReceiptResult, Record, Seq, Status, Tag, Tagged, Total};
use gas_units::{MeterNumber, Money, RefundId, Unit, UnixMillis, UnixTime, VendId, Volume};
use tokio::sync::Notify;

use crate::world::status;

/// A tag that the company's double takes for forged.
pub(crate) const FORGED: Tag = Tag([0xFF; 16]);

pub(crate) fn company_key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

pub(crate) fn pay_key() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

/// What the doubles know, and what a test wants of them.
#[derive(Default)]
pub(crate) struct Books {
    /// Every request, as `METHOD path`, in order.
    pub(crate) log: Vec<String>,
    pub(crate) nonces: u8,
    pub(crate) reserved: BTreeSet<VendId>,
    pub(crate) sales: BTreeMap<VendId, Sale>,
    /// How often the cloud has asked for one.
    pub(crate) sales_shown: u32,
    pub(crate) issues: u32,
    /// How often the payment server was told to open a tender.
    pub(crate) opened: u32,
    /// How often the payment server was asked about a tender, called directly.
    pub(crate) asked: u32,
    /// Receipts that say that the meter did not take the token.
    pub(crate) refused_tokens: u32,
    /// What the company has for the meter besides vends, first first.
    pub(crate) waiting: Vec<HexBytes>,
    /// Sequences of those that the meter has answered.
    pub(crate) carried: Vec<u32>,
    pub(crate) quotes: BTreeMap<VendId, Signed<Quote>>,
    /// Tenders that the payment server has ever known.
    pub(crate) tenders_were: BTreeSet<VendId>,
    /// The time, where a test sets it.
    pub(crate) time: Option<UnixMillis>,
    /// In which way it was told to open them, each time.
    pub(crate) ways: Vec<Way>,
    /// Tenders that the payment server knows.
    pub(crate) tenders: BTreeSet<VendId>,
    /// The payer has paid.
    pub(crate) paid: bool,
    /// The payment server has saved the tender and has no payment request yet, when it is opened.
    pub(crate) slow_provider: bool,
    /// Another vend is being paid: nothing is reserved.
    pub(crate) tender_open: bool,
    /// The payment server has closed the tender.
    pub(crate) closed: bool,
    /// Answered in place of the next requests whose log entry begins like this.
    pub(crate) refusals: BTreeMap<&'static str, (u16, &'static str)>,
    /// Changes what the quote states.
    pub(crate) bend_quote: Option<fn(&mut Quote)>,
    /// Changes what the payment states.
    pub(crate) bend_payment: Option<fn(&mut Payment)>,
    /// The company has taken the gas back and ordered that the money goes back.
    pub(crate) refund_ordered: bool,
    /// The money went back.
    pub(crate) refunded: bool,
    /// Changes what the order states.
    pub(crate) bend_order: Option<fn(&mut RefundOrder)>,
    /// Changes what the refund states.
    pub(crate) bend_refunded: Option<fn(&mut Refunded)>,
    /// Signs orders with this in place of the company's key.
    pub(crate) order_key: Option<[u8; 32]>,
    /// Signs refunds with this in place of the payment server's key.
    pub(crate) refund_key: Option<[u8; 32]>,
    /// Signs quotes with this in place of the company's key.
    pub(crate) quote_key: Option<[u8; 32]>,
}

impl Books {
    fn now(&self) -> UnixMillis {
        self.time.unwrap_or_else(now)
    }
}

/// Where the cloud dies: at this request to the doubles, before or after they have done it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CrashPoint {
    pub(crate) request: usize,
    pub(crate) after: bool,
}

pub(crate) struct Peers {
    pub(crate) books: Mutex<Books>,
    pub(crate) crash: Mutex<Option<CrashPoint>>,
    pub(crate) crashed: Notify,
}

type Doubles = State<Arc<Peers>>;
type Answer<T> = Result<Json<T>, Problem>;

impl Peers {
    pub(crate) fn new(crash: Option<CrashPoint>) -> Arc<Self> {
        Arc::new(Self {
            books: Mutex::default(),
            crash: Mutex::new(crash),
            crashed: Notify::new(),
        })
    }

    pub(crate) fn company(self: &Arc<Self>) -> Router {
        let router = Router::new()
            .route("/v1/nonces", post(nonces))
            .route("/v1/states", post(states))
            .route("/v1/quotes/{vend_id}", put(quote))
            .route("/v1/reservations/{vend_id}", put(reserve).delete(release))
            .route("/v1/sales/{vend_id}", put(sell).get(show_sale))
            .route("/v1/receipts/{vend_id}", put(believe))
            .route(
                "/v1/meters/{meter}/tokens/{seq}/receipt",
                put(token_receipt),
            )
            .route("/v1/records", post(records));
        self.finish(router)
    }

    pub(crate) fn pay(self: &Arc<Self>) -> Router {
        let router = Router::new().route("/v1/tenders/{vend_id}", put(open).get(show));
        self.finish(router)
    }

    fn finish(self: &Arc<Self>, router: Router<Arc<Self>>) -> Router {
        router
            .layer(middleware::from_fn_with_state(Arc::clone(self), count))
            .with_state(Arc::clone(self))
    }

    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut Books) -> T) -> T {
        change(&mut self.books.lock().unwrap())
    }

    fn dies_here(&self, number: usize, after: bool) -> bool {
        let mut crash = self.crash.lock().unwrap();
        let here = crash.is_some_and(|at| at.request == number && at.after == after);
        if here {
            *crash = None;
        }
        here
    }
}

async fn count(State(peers): Doubles, request: Request, next: Next) -> Response {
    assert!(
        request.headers().contains_key(AUTHORIZATION),
        "the cloud shows its access key"
    );
    let line = format!("{} {}", request.method(), request.uri());
    let number = peers.with(|books| {
        books.log.push(line.clone());
        books.log.len()
    });
    if peers.dies_here(number, false) {
        peers.crashed.notify_one();
        std::future::pending::<()>().await;
    }
    let refusal = peers.with(|books| {
        books
            .refusals
            .iter()
            .find(|(start, _)| line.starts_with(*start))
            .map(|(_, what)| *what)
    });
    if let Some((status, code)) = refusal {
        return refuse(status, code);
    }
    let response = next.run(request).await;
    if peers.dies_here(number, true) {
        peers.crashed.notify_one();
        std::future::pending::<()>().await;
    }
    response
}

fn refuse(status: u16, code: &'static str) -> Response {
    use axum::response::IntoResponse as _;
    Problem::handed_on(gas_api::Problem {
        kind: "about:blank".to_owned(),
        status,
        code: code.to_owned(),
        title: code.to_owned(),
        detail: "As the double was told.".to_owned(),
        hint: String::new(),
        vend_id: Some(VendId::from_parts(9, [9; 10])),
        waiting: None,
    })
    .into_response()
}

fn jws<T: gas_statement::Statement>(key: &SigningKey, statement: T) -> Jws {
    Jws(Signed::sign(key, statement).unwrap().compact().into())
}

pub(crate) async fn nonces(
    State(peers): Doubles,
    Json(wanted): Json<NoncesWanted>,
) -> Json<Nonces> {
    let ask = |number| {
        let message = Ask {
            generation: 1,
            meter: wanted.meter,
            nonce: Nonce([number; 8]),
        };
        let tag = Tag([0; 16]);
        HexBytes(Tagged { message, tag }.to_bytes())
    };
    let numbers = peers.with(|books| {
        let first = books.nonces + 1;
        books.nonces += wanted.count;
        first..=books.nonces
    });
    let minutes = if wanted.ahead { 35 * 24 * 60 } else { 10 };
    Json(Nonces {
        asks: numbers.map(ask).collect(),
        expires_at_ms: now().plus_millis(minutes * 60_000),
    })
}

fn state_of(meter: MeterNumber, message: &[u8], believed_at_ms: UnixMillis) -> BelievedState {
    BelievedState {
        meter,
        unit: Unit::Fen,
        last_seq: 7,
        total: 120_000,
        balance: 20_500,
        register_centi_m3: Volume::from_centi_m3(10_000),
        meter_time: UnixTime::from_seconds(1_760_000_000),
        flags: 0,
        battery_percent: None,
        believed_at_ms,
        old: false,
        message_sha256: Digest(Sha256Digest::of(message).0),
        waiting: None,
        key_change: None,
    }
}

fn forged() -> Problem {
    Problem::unprocessable(codes::MESSAGE_FORGED, "The tag does not hold.")
}

pub(crate) async fn states(
    State(peers): Doubles,
    Json(reported): Json<StateReported>,
) -> Answer<BelievedState> {
    let status = Tagged::<Status>::parse(&reported.status.0).unwrap();
    if status.tag == FORGED {
        return Err(forged());
    }
    let mut state = state_of(reported.meter, &reported.status.0, now());
    state.waiting = peers.with(|books| books.waiting.first().cloned());
    Ok(Json(state))
}

pub(crate) async fn quote(
    State(peers): Doubles,
    Path(vend_id): Path<VendId>,
    Json(wanted): Json<QuoteWanted>,
) -> Answer<QuoteMade> {
    // Unread, it has this one.
    let newest = status(wanted.meter, Nonce([1; 8]), Tag([1; 16]));
    let told = wanted.status.clone().unwrap_or(newest);
    let status = Tagged::<Status>::parse(&told.0).unwrap();
    if status.tag == FORGED {
        return Err(forged());
    }
    peers.with(|books| {
        let made = books.quotes.get(&vend_id).cloned().unwrap_or_else(|| {
            let mut quote = quote_of(vend_id, &wanted, &told, books.now());
            if let Some(bend) = books.bend_quote {
                bend(&mut quote);
            }
            let key = books
                .quote_key
                .map_or_else(company_key, |key| SigningKey::from_bytes(&key));
            Signed::sign(&key, quote).unwrap()
        });
        books.quotes.insert(vend_id, made.clone());
        Ok(Json(QuoteMade {
            quote: Jws(made.compact().into()),
            quote_hash: Digest(made.sha256().0),
        }))
    })
}

fn quote_of(vend_id: VendId, wanted: &QuoteWanted, told: &HexBytes, now: UnixMillis) -> Quote {
    let status = Tagged::<Status>::parse(&told.0).unwrap().message;
    let bounds = [Volume::from_centi_m3(35_000), Volume::from_centi_m3(50_000)];
    let basis = QuoteBasis {
        unit: Unit::Fen,
        register_centi_m3: status.state.volume,
        year_start_register_centi_m3: Volume::ZERO,
        purchased_this_year_centi_m3: Volume::ZERO,
        used_before_centi_m3: Volume::ZERO,
        undelivered: 0,
        balance: status.state.balance,
    };
    let want = match wanted.want {
        Want::AmountFen(amount) => gas_tariff::Want::Amount(amount),
        Want::VolumeCentiM3(volume) => gas_tariff::Want::Volume(volume),
    };
    let tariff = Tariff::new(1, bounds, [261, 283, 423]).unwrap();
    Quote {
        vend_id,
        meter: wanted.meter,
        explanation: tariff
            .quote(basis, want, Money::from_fen(1_000_000))
            .unwrap(),
        last_seq: 6,
        meter_time: status.state.time,
        status_sha256: Sha256Digest::of(&told.0),
        created_at_ms: now,
        valid_until_ms: now.plus_millis(900_000),
    }
}

pub(crate) async fn reserve(
    State(peers): Doubles,
    Path(vend_id): Path<VendId>,
    Json(wanted): Json<ReservationWanted>,
) -> Answer<Reserved> {
    peers.with(|books| {
        let quote = &books.quotes[&vend_id];
        assert_eq!(wanted.quote_hash.0, quote.sha256().0);
        if books.sales.contains_key(&vend_id) {
            let detail = "This vend's token is issued already.";
            return Err(Problem::conflict(codes::WRONG_STATE, detail));
        }
        if books.tender_open {
            let detail = "Another payment for this meter is under way.";
            return Err(Problem::conflict(codes::TENDER_OPEN, detail));
        }
        if !books.reserved.contains(&vend_id) && !quote.statement().is_valid_at(books.now()) {
            let detail = "The quote is no longer valid.";
            return Err(Problem::gone(codes::QUOTE_EXPIRED, detail));
        }
        books.reserved.insert(vend_id);
        Ok(Json(Reserved { vend_id }))
    })
}

pub(crate) async fn release(State(peers): Doubles, Path(vend_id): Path<VendId>) {
    peers.with(|books| books.reserved.remove(&vend_id));
}

pub(crate) async fn show_sale(State(peers): Doubles, Path(vend_id): Path<VendId>) -> Answer<Sale> {
    let sale = peers.with(|books| {
        books.sales_shown += 1;
        books.sales.get(&vend_id).cloned()
    });
    let unknown = || Problem::not_found(codes::VEND_UNKNOWN, "Nothing was sold.");
    sale.map(Json).ok_or_else(unknown)
}

pub(crate) async fn sell(
    State(peers): Doubles,
    Path(vend_id): Path<VendId>,
    Json(wanted): Json<SaleWanted>,
) -> Json<Sale> {
    Signed::<Payment>::verify(&wanted.payment.0, &pay_key().verifying_key()).unwrap();
    peers.with(|books| {
        if let Some(sale) = books.sales.get(&vend_id) {
            return Json(sale.clone());
        }
        books.issues += 1;
        books.reserved.remove(&vend_id);
        let sale = sale_of(&books.quotes[&vend_id], &wanted.payment);
        books.sales.insert(vend_id, sale.clone());
        Json(sale)
    })
}

fn sale_of(quote: &Signed<Quote>, payment: &Jws) -> Sale {
    let quoted = quote.statement();
    let message = Total {
        generation: 1,
        meter: quoted.meter,
        seq: Seq::from_bits(7),
        unit: Unit::Fen,
        total: 120_000,
        amount: quoted.credit(),
        tid_floor: 9,
        tariff: 1,
        issued: UnixTime::from_seconds(1_760_000_000),
        reference: quoted.vend_id.reference(),
    };
    let token = Tagged {
        message,
        tag: Tag([9; 16]),
    }
    .to_bytes();
    let issue = Issue {
        vend_id: quoted.vend_id,
        meter: quoted.meter,
        quote_hash: QuoteHash(quote.sha256()),
        payment_sha256: Sha256Digest::of(payment.0.as_bytes()),
        amount_fen: quoted.payable(),
        seq: 7,
        unit: Unit::Fen,
        total: 120_000,
        credit: quoted.credit(),
        token_sha256: Sha256Digest::of(&token),
        issued_at_ms: now(),
    };
    Sale {
        vend_id: quoted.vend_id,
        meter: quoted.meter,
        state: SaleState::Issued,
        seq: 7,
        amount_fen: quoted.payable(),
        token: HexBytes(token),
        resealed: None,
        issue: jws(&company_key(), issue),
        settlement: None,
    }
}

/// The company has believed a state that shows this vend's token.
pub(crate) fn settle(books: &mut Books, vend_id: VendId, evidence: Evidence) {
    let sale = books.sales.get_mut(&vend_id).unwrap();
    let settlement = Settlement {
        vend_id,
        meter: sale.meter,
        seq: sale.seq,
        evidence,
        message_sha256: Sha256Digest([3; 32]),
        last_seq: sale.seq,
        total: 20_000,
        balance: 20_000,
        register_centi_m3: Volume::ZERO,
        settled_at_ms: now(),
    };
    sale.state = SaleState::Settled;
    sale.settlement = Some(jws(&company_key(), settlement));
}

pub(crate) async fn believe(
    State(peers): Doubles,
    Path(vend_id): Path<VendId>,
    Json(reported): Json<ReceiptReported>,
) -> Answer<ReceiptBelieved> {
    let receipt = Tagged::<Receipt>::parse(&reported.receipt.0).unwrap();
    if receipt.tag == FORGED {
        return Err(forged());
    }
    let state = state_of(receipt.message.meter, &reported.receipt.0, now());
    peers.with(|books| {
        let sale = books.sales.get_mut(&vend_id).unwrap();
        if receipt.message.result == ReceiptResult::OutOfRange {
            books.refused_tokens += 1;
            let sale = sale.clone();
            return Ok(Json(ReceiptBelieved { sale, state }));
        }
        let settlement = Settlement {
            vend_id,
            meter: sale.meter,
            seq: sale.seq,
            evidence: Evidence::ReceiptApplied,
            message_sha256: Sha256Digest(state.message_sha256.0),
            last_seq: sale.seq,
            total: state.total,
            balance: state.balance,
            register_centi_m3: state.register_centi_m3,
            settled_at_ms: now(),
        };
        sale.state = SaleState::Settled;
        sale.settlement = Some(jws(&company_key(), settlement));
        Ok(Json(ReceiptBelieved {
            sale: sale.clone(),
            state,
        }))
    })
}

/// Of the tokens that wait for the meter, the first is answered by any genuine receipt.
pub(crate) async fn token_receipt(
    State(peers): Doubles,
    Path((meter, seq)): Path<(MeterNumber, u32)>,
    Json(reported): Json<ReceiptReported>,
) -> Answer<BelievedState> {
    let receipt = Tagged::<Receipt>::parse(&reported.receipt.0).unwrap();
    if receipt.tag == FORGED {
        return Err(forged());
    }
    let mut state = state_of(meter, &reported.receipt.0, now());
    state.waiting = peers.with(|books| {
        books.carried.push(seq);
        books.waiting.remove(0);
        books.waiting.first().cloned()
    });
    Ok(Json(state))
}

pub(crate) async fn records(Json(reported): Json<RecordsReported>) -> Answer<RecordsBelieved> {
    let mut newest = 0;
    for record in &reported.records {
        let record = Tagged::<Record>::parse(&record.0).unwrap();
        if record.tag.0[..8] == FORGED.0[..8] {
            return Err(forged());
        }
        newest = newest.max(record.message.number);
    }
    Ok(Json(RecordsBelieved { new: 0, newest }))
}

/// The tender of a quote as the books stand.
pub(crate) fn tender(books: &Books, vend_id: VendId) -> Tender {
    let quote = &books.quotes[&vend_id];
    let amount_fen = quote.statement().payable();
    let quote_hash = Digest(quote.sha256().0);
    let order_no = format!("{}01", vend_id.to_base32());
    let state = match (books.paid, books.closed, books.slow_provider) {
        (true, _, _) => TenderState::Paid,
        (false, true, _) => TenderState::Closed,
        (false, false, true) => TenderState::Requested,
        (false, false, false) => TenderState::Open,
    };
    let first = books.ways.first().copied().unwrap_or_default();
    let (code_url, link) = match first.presentation() {
        Presentation::Native => (format!("weixin://wxpay/bizpayurl?pr={order_no}"), None),
        Presentation::H5 => (
            String::new(),
            Some(format!("https://pay.example/?o={order_no}")),
        ),
    };
    let payment_request = (state == TenderState::Open).then(|| PaymentRequest {
        provider: "wechat".to_owned(),
        presentation: first.presentation(),
        code_url,
        link,
        amount_fen,
        expires_at_ms: quote.statement().valid_until_ms,
    });
    let payment = books.paid.then(|| {
        let mut payment = Payment {
            vend_id,
            meter: quote.statement().meter,
            quote_hash: QuoteHash(quote.sha256()),
            amount_fen,
            currency: Currency::Cny,
            provider: "wechat".to_owned(),
            order_no: order_no.clone(),
            transaction_id: "4200001".to_owned(),
            paid_at_ms: UnixMillis::from_millis(1_760_000_000_000),
        };
        if let Some(bend) = books.bend_payment {
            bend(&mut payment);
        }
        jws(&pay_key(), payment)
    });
    let refund = payment.as_ref().filter(|_| books.refund_ordered);
    let refund = refund.map(|payment| refund_of(books, quote.statement(), payment));
    Tender {
        vend_id,
        quote_hash,
        state,
        amount_fen,
        order_no,
        payment_request,
        payment,
        refund,
    }
}

fn refund_of(books: &Books, quote: &Quote, payment: &Jws) -> Refund {
    let refund_id = RefundId::from_parts(1_760_000_000_000, [5; 10]);
    let mut order = RefundOrder {
        refund_id,
        vend_id: quote.vend_id,
        meter: quote.meter,
        payment_sha256: Sha256Digest::of(payment.0.as_bytes()),
        amount_fen: quote.payable(),
        seq: 8,
        message_sha256: Sha256Digest([6; 32]),
        ordered_at_ms: UnixMillis::from_millis(1_760_000_000_000),
    };
    if let Some(bend) = books.bend_order {
        bend(&mut order);
    }
    let key = |bytes: Option<[u8; 32]>, honest: fn() -> SigningKey| {
        bytes.map_or_else(honest, |bytes| SigningKey::from_bytes(&bytes))
    };
    let order = jws(&key(books.order_key, company_key), order);
    let mut refunded = Refunded {
        refund_id,
        vend_id: quote.vend_id,
        meter: quote.meter,
        order_sha256: Sha256Digest::of(order.0.as_bytes()),
        provider: "wechat".to_owned(),
        provider_refund_id: "50300001".to_owned(),
        amount_fen: quote.payable(),
        refunded_at_ms: UnixMillis::from_millis(1_760_000_000_000),
    };
    if let Some(bend) = books.bend_refunded {
        bend(&mut refunded);
    }
    let state = match books.refunded {
        true => RefundState::Refunded,
        false => RefundState::AtProvider,
    };
    Refund {
        refund_id,
        vend_id: quote.vend_id,
        state,
        amount_fen: quote.payable(),
        order,
        trouble: None,
        refunded: (books.refunded).then(|| jws(&key(books.refund_key, pay_key), refunded)),
    }
}

pub(crate) async fn open(
    State(peers): Doubles,
    Path(vend_id): Path<VendId>,
    Json(wanted): Json<TenderWanted>,
) -> Json<Tender> {
    Signed::<Quote>::verify(&wanted.quote.0, &company_key().verifying_key()).unwrap();
    peers.with(|books| {
        assert!(
            books.reserved.contains(&vend_id)
                || books.sales.contains_key(&vend_id)
                || books.tenders_were.contains(&vend_id),
            "reserved before anyone may pay"
        );
        books.ways.push(wanted.way);
        books.tenders.insert(vend_id);
        books.tenders_were.insert(vend_id);
        Json(tender(books, vend_id))
    })
}

pub(crate) async fn show(State(peers): Doubles, Path(vend_id): Path<VendId>) -> Answer<Tender> {
    peers.with(|books| {
        if books.tenders.contains(&vend_id) {
            return Ok(Json(tender(books, vend_id)));
        }
        let detail = "No payment was ever asked for under this id.";
        Err(Problem::not_found(codes::TENDER_UNKNOWN, detail))
    })
}
