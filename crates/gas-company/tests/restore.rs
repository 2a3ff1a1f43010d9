//! Books put back from a backup: the payment server remembers, the meters are given one token each.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::panic, reason = "a test fails by panicking")]
#![allow(dead_code, reason = "the rig serves several test programs")]

mod rig;

use gas_api::company::{
    NoncesWanted, QuoteMade, QuoteWanted, ReceiptReported, RefundState, RefundWanted,
    ReservationWanted, Sale, SaleState, SaleWanted, StateReported,
};
use gas_api::pay::{MeterEpoch, MeterPayment, MeterPayments, Refund};
use gas_api::{HexBytes, Jws, codes};
use gas_company::{Answer, Company, KeyStore, Mark, NewMeter, PayPeer, RestoreError};
use gas_http::{Clock, Entropy, Problem};
use gas_statement::{Currency, Payment, Quote, Signed, quote_hash};
use gas_store::company::CompanyStore;
use gas_tariff::Tariff;
use gas_token::{Tagged, Total};
use gas_token_issue::MasterKey;
use gas_units::{MeterNumber, Money, RefundId, Unit, UnixMillis, VendId};
use rig::{METER, Meter, company_key, pay_key, refund_id, vend};

const NOW: UnixMillis = UnixMillis::from_millis(1_795_435_200_000);

/// What the payment server remembers.
#[derive(Default)]
struct Pay {
    payments: Vec<MeterPayment>,
    epoch: u8,
}

impl PayPeer for Pay {
    fn refund(&self, _: RefundId, _: gas_api::pay::RefundWanted) -> Answer<'_, Refund> {
        panic!("not asked for here")
    }

    fn begin_epoch(&self, meter: MeterNumber, epoch: u8) -> Answer<'_, MeterEpoch> {
        let epoch = epoch.max(self.epoch);
        Box::pin(async move { Ok(MeterEpoch { meter, epoch }) })
    }

    fn payments(&self, meter: MeterNumber) -> Answer<'_, MeterPayments> {
        let payments = self.payments.clone();
        Box::pin(async move { Ok(MeterPayments { meter, payments }) })
    }
}

fn company(store: &CompanyStore) -> Company {
    company_with(store, Mark::in_memory())
}

fn company_with(store: &CompanyStore, mark: Mark) -> Company {
    Company::new(
        store.clone(),
        mark,
        KeyStore::new(MasterKey::from_bytes([9; 16])),
        company_key(),
        pay_key().verifying_key(),
        Clock::new(|| NOW),
        Entropy::system(),
    )
}

async fn status(company: &Company, meter: &Meter) -> HexBytes {
    let (meter_number, count) = (meter.number, 1);
    let wanted = NoncesWanted {
        meter: meter_number,
        count,
        ahead: false,
    };
    meter.status(&company.nonces(wanted).await.unwrap().asks[0])
}

async fn quoted(company: &Company, meter: &Meter, vend_id: VendId) -> QuoteMade {
    let wanted = QuoteWanted {
        meter: meter.number,
        status: Some(status(company, meter).await),
        want: gas_api::Want::AmountFen(Money::from_fen(5_000)),
    };
    company.quote(vend_id, wanted).await.unwrap()
}

/// A vend quoted and paid; the payment server remembers it.
async fn pays(company: &Company, pay: &mut Pay, meter: &Meter, vend_id: VendId) -> MeterPayment {
    let made = quoted(company, meter, vend_id).await;
    let quote = Signed::<Quote>::verify(&made.quote.0, &company_key().verifying_key()).unwrap();
    let payment = Payment {
        vend_id,
        meter: meter.number,
        quote_hash: quote_hash(&quote),
        amount_fen: quote.statement().payable(),
        currency: Currency::Cny,
        provider: "wechat".to_owned(),
        order_no: "1".to_owned(),
        transaction_id: "2".to_owned(),
        paid_at_ms: NOW,
    };
    let payment = Jws(Signed::sign(&pay_key(), payment).unwrap().shared_compact());
    let paid = MeterPayment {
        quote: made.quote,
        payment,
        refund_order: None,
        refunded: None,
    };
    pay.payments.push(paid.clone());
    paid
}

/// A vend paid and issued.
async fn buy(company: &Company, pay: &mut Pay, meter: &Meter, vend_id: VendId) -> HexBytes {
    let payment = pays(company, pay, meter, vend_id).await.payment;
    let wanted = SaleWanted {
        payment,
        quote: None,
    };
    company.sell(vend_id, wanted).await.unwrap().token
}

/// The backup is older than the quote, and the payment came after the books were restored.
#[tokio::test]
async fn a_forgotten_quote_that_is_paid_later_is_issued_for_once_it_is_given_back() {
    let (store, before, mut meter) = begin().await;
    let backup = store.backup();
    let paid = pays(&before, &mut Pay::default(), &meter, vend(1)).await;
    drop((before, store));

    let company = company(&backup);
    company.restore(Some(1), &Pay::default()).await.unwrap();
    let reported = StateReported {
        meter: meter.number,
        status: status(&company, &meter).await,
    };
    let state = company.report_state(reported).await.unwrap();
    let waiting = state.waiting.unwrap();
    tell(&company, &mut meter, &waiting).await;
    let sell = async |quote: Option<Jws>| {
        let payment = paid.payment.clone();
        company.sell(vend(1), SaleWanted { payment, quote }).await
    };
    let refused = async |quote: Option<Jws>| sell(quote).await.unwrap_err().outside().code.clone();
    assert_eq!(refused(None).await, "vend_unknown");
    // Signed by another key than the company's.
    assert_eq!(
        refused(Some(paid.payment.clone())).await,
        "statement_forged"
    );
    let sale = sell(Some(paid.quote.clone())).await.unwrap();
    assert_eq!(
        sell(None).await.unwrap(),
        sale,
        "the quote is in the books again"
    );
    assert_eq!(meter.account.balance, 0);
    tell(&company, &mut meter, &sale.token).await;
    assert_eq!(meter.account.balance, 5_000);
}

async fn tell(
    company: &Company,
    meter: &mut Meter,
    token: &HexBytes,
) -> gas_api::company::BelievedState {
    let seq = Tagged::<Total>::parse(&token.0).unwrap().message.seq.bits();
    let receipt = meter.deliver(token);
    let told = company.token_receipt(meter.number, seq, ReceiptReported { receipt });
    told.await.unwrap()
}

async fn begin() -> (CompanyStore, Company, Meter) {
    let store = CompanyStore::in_memory();
    let company = company(&store);
    let new = NewMeter {
        meter: METER.parse().unwrap(),
        unit: Unit::Fen,
        tariff: Tariff::default(),
        limit: 100_000,
        sale_limit: Money::from_fen(100_000),
        year_start_register: None,
    };
    company.provision(new).await.unwrap();
    (store, company, Meter::new(METER))
}

#[tokio::test]
async fn what_the_books_forgot_is_on_the_meter_and_stays_there() {
    let (store, before, mut meter) = begin().await;
    let mut pay = Pay::default();
    let token = buy(&before, &mut pay, &meter, vend(1)).await;
    tell(&before, &mut meter, &token).await;
    let backup = store.backup();
    let token = buy(&before, &mut pay, &meter, vend(2)).await;
    tell(&before, &mut meter, &token).await;
    // Paid and issued, and on no meter yet, when the disk was lost.
    buy(&before, &mut pay, &meter, vend(3)).await;
    drop((before, store));

    let company = company(&backup);
    assert_eq!(company.restore(Some(1), &pay).await.unwrap().meters, 1);
    // The meter shows a token that the books do not know: that is no lie, only news too early.
    let reported = StateReported {
        meter: meter.number,
        status: status(&company, &meter).await,
    };
    let early = company.report_state(reported).await.unwrap_err();
    assert_eq!(early.outside().code, codes::BOOKS_RESTORED);
    let token = early.outside().waiting.clone().unwrap();
    let believed = tell(&company, &mut meter, &token).await;
    assert_eq!((believed.total, believed.waiting), (15_000, None));
    assert_eq!(meter.account.balance, 15_000);
    for number in 1..=3 {
        let sale = company.sale(vend(number)).await.unwrap();
        assert_eq!(sale.state, SaleState::Settled, "vend {number}");
    }
    let token = buy(&company, &mut pay, &meter, vend(4)).await;
    assert_eq!(tell(&company, &mut meter, &token).await.balance, 20_000);
}

/// The meter has answered the token of before; its receipt is reported to books that have forgotten that token.
#[tokio::test]
async fn a_receipt_for_a_forgotten_token_is_answered_once_the_meter_has_shown_the_newer_one() {
    let (store, before, mut meter) = begin().await;
    let backup = store.backup();
    let mut pay = Pay::default();
    let token = buy(&before, &mut pay, &meter, vend(1)).await;
    let receipt = meter.deliver(&token);
    drop((before, store));

    let company = company(&backup);
    company.restore(Some(1), &pay).await.unwrap();
    let report = async || {
        let reported = ReceiptReported {
            receipt: receipt.clone(),
        };
        company.receipt(vend(1), reported).await
    };
    let early = report().await.unwrap_err();
    assert_eq!(early.outside().code, codes::BOOKS_RESTORED);
    let waiting = early.outside().waiting.clone().unwrap();
    tell(&company, &mut meter, &waiting).await;
    let believed = report().await.unwrap();
    assert_eq!(believed.sale.state, SaleState::Settled);
    assert!(believed.state.old, "nothing is learned from it");
    assert_eq!(meter.account.balance, 5_000, "once");
}

#[tokio::test]
async fn what_was_given_back_is_not_sold_again() {
    let (store, before, mut meter) = begin().await;
    let mut pay = Pay::default();
    let token = buy(&before, &mut pay, &meter, vend(1)).await;
    tell(&before, &mut meter, &token).await;
    let backup = store.backup();
    let wanted = RefundWanted {
        vend_id: vend(1),
        reason: "moved out".to_owned(),
    };
    let refund = before
        .ask_refund(refund_id(1), wanted.clone())
        .await
        .unwrap();
    tell(&before, &mut meter, &refund.waiting.unwrap()).await;
    let due = before.refund(refund_id(1)).await.unwrap();
    assert_eq!(due.state, RefundState::MoneyDue);
    pay.payments[0].refund_order = due.order.clone();

    let company = company(&backup);
    company.restore(Some(1), &pay).await.unwrap();
    let restored = company.refund(refund_id(1)).await.unwrap();
    assert_eq!(
        (restored.state, restored.order),
        (RefundState::MoneyDue, due.order)
    );
    let other = company.ask_refund(refund_id(2), wanted).await.unwrap_err();
    assert_eq!(other.outside().code, codes::WRONG_STATE);
    let token = backup.waiting_token(meter.number).await.unwrap().unwrap();
    let believed = tell(&company, &mut meter, &HexBytes(token.to_bytes())).await;
    assert_eq!((believed.total, believed.balance), (0, 0));
}

#[tokio::test]
async fn what_does_not_hold_restores_nothing() {
    let (store, company, meter) = begin().await;
    let mut pay = Pay::default();
    buy(&company, &mut pay, &meter, vend(1)).await;
    pay.epoch = 7;
    let used = company.restore(Some(5), &pay).await.unwrap_err();
    assert!(matches!(used, RestoreError::EpochUsed(7)), "{used:?}");
    let forged = Jws(pay.payments[0].quote.0.clone());
    pay.payments[0].payment = forged;
    let refused = company.restore(Some(8), &pay).await.unwrap_err();
    assert!(
        matches!(refused, RestoreError::Statement(..)),
        "{refused:?}"
    );
    let book = store.meter(meter.number).await.unwrap().unwrap();
    assert_eq!((book.epoch, book.counter), (0, 1));
}

async fn sell(company: &Company, paid: &MeterPayment, vend_id: VendId) -> Result<Sale, Problem> {
    let wanted = SaleWanted {
        payment: paid.payment.clone(),
        quote: Some(paid.quote.clone()),
    };
    company.sell(vend_id, wanted).await
}

fn refused<T>(answer: Result<T, Problem>) -> String {
    let Err(problem) = answer else {
        panic!("it was done");
    };
    problem.outside().code.clone()
}

/// Nothing may follow from these books, and none of their tokens may leave.
async fn does_nothing(company: &Company, meter: &Meter, paid: &MeterPayment, reserved: QuoteMade) {
    let code = codes::BOOKS_RESTORED;
    let status = status(company, meter).await;
    let wanted = QuoteWanted {
        meter: meter.number,
        status: Some(status.clone()),
        want: gas_api::Want::AmountFen(Money::from_fen(100)),
    };
    assert_eq!(refused(company.quote(vend(9), wanted).await), code);
    let wanted = ReservationWanted {
        quote_hash: reserved.quote_hash,
    };
    assert_eq!(refused(company.reserve(vend(8), wanted).await), code);
    assert_eq!(refused(sell(company, paid, vend(3)).await), code);
    assert_eq!(refused(company.sale(vend(1)).await), code);
    let wanted = RefundWanted {
        vend_id: vend(1),
        reason: "moved out".to_owned(),
    };
    assert_eq!(
        refused(company.ask_refund(refund_id(1), wanted).await),
        code
    );
    let reported = StateReported {
        meter: meter.number,
        status,
    };
    assert_eq!(refused(company.report_state(reported).await), code);
}

/// The backup lacks a token that is out, and no meter has told so.
#[tokio::test]
async fn no_token_conflicts_with_one_that_the_books_have_forgotten() {
    let (store, _, mut meter) = begin().await;
    let mark = Mark::in_memory();
    let before = company_with(&store, mark.clone());
    let mut pay = Pay::default();
    let token = buy(&before, &mut pay, &meter, vend(1)).await;
    tell(&before, &mut meter, &token).await;
    let reserved = quoted(&before, &meter, vend(8)).await;
    let backup = store.backup();
    let lost = buy(&before, &mut pay, &meter, vend(2)).await;
    let paid = pays(&before, &mut pay, &meter, vend(3)).await;
    drop((before, store));

    let company = company_with(&backup, mark.clone());
    does_nothing(&company, &meter, &paid, reserved).await;
    let book = backup.meter(meter.number).await.unwrap().unwrap();
    assert_eq!((book.counter, book.frozen), (1, false));
    let done = company.restore(None, &pay).await.unwrap();
    assert_eq!((done.epoch, done.meters), (1, 1));
    assert_eq!(mark.kept(), backup.issued().await.unwrap());
    let first = backup.waiting_token(meter.number).await.unwrap().unwrap();
    tell(&company, &mut meter, &HexBytes(first.to_bytes())).await;
    // What the books had forgotten was delivered late, and brings nothing again.
    meter.deliver(&lost);
    assert_eq!(meter.account.balance, 15_000);
    let token = buy(&company, &mut pay, &meter, vend(4)).await;
    assert_eq!(tell(&company, &mut meter, &token).await.balance, 20_000);
}

#[tokio::test]
async fn an_epoch_is_begun_once_and_goes_on_until_every_meter_has_it() {
    let (store, company, meter) = begin().await;
    let mut pay = Pay::default();
    buy(&company, &mut pay, &meter, vend(1)).await;
    let mark = Mark::in_memory();
    let company = company_with(&store, mark.clone());
    let backup = store.backup();
    let good = pay.payments[0].payment.clone();
    pay.payments[0].payment = pay.payments[0].quote.clone();
    let stopped = company.restore(None, &pay).await.unwrap_err();
    assert!(
        matches!(stopped, RestoreError::Statement(..)),
        "{stopped:?}"
    );
    // Half-way: no meter is served, also those that were done.
    assert_eq!(refused(company.sale(vend(1)).await), codes::BOOKS_RESTORED);
    pay.payments[0].payment = good;
    assert_eq!(company.restore(None, &pay).await.unwrap().epoch, 1);
    // Done: that epoch is used, for these books and for those of before.
    for store in [store, backup] {
        let company = company_with(&store, mark.clone());
        let used = company.restore(Some(1), &pay).await.unwrap_err();
        let next = mark.kept().epoch + 1;
        let told = format!("epoch 1 may have been used before; the next one is {next}");
        assert_eq!(used.to_string(), told);
        assert_eq!(company.restore(None, &pay).await.unwrap().epoch, next);
    }
}

#[tokio::test]
async fn what_cannot_be_marked_does_not_leave_and_is_not_lost() {
    let (store, _, meter) = begin().await;
    let mark = Mark::in_memory();
    let company = company_with(&store, mark.clone());
    let mut pay = Pay::default();
    let paid = pays(&company, &mut pay, &meter, vend(1)).await;
    mark.fail_writes(true);
    assert_eq!(
        refused(sell(&company, &paid, vend(1)).await),
        codes::INTERNAL
    );
    // It is in the books, and no other way leads it out.
    assert_eq!(store.issued().await.unwrap().tokens, 1);
    assert_eq!(
        refused(sell(&company, &paid, vend(1)).await),
        codes::INTERNAL
    );
    assert_eq!(refused(company.sale(vend(1)).await), codes::INTERNAL);
    let reported = StateReported {
        meter: meter.number,
        status: status(&company, &meter).await,
    };
    let told = company.report_state(reported.clone()).await;
    assert_eq!(refused(told), codes::INTERNAL);
    assert_eq!(mark.kept().tokens, 0);
    mark.fail_writes(false);
    let sale = sell(&company, &paid, vend(1)).await.unwrap();
    assert_eq!((sale.seq, mark.kept().tokens), (1, 1));
    let state = company.report_state(reported).await.unwrap();
    assert_eq!(state.waiting, Some(sale.token));
}

/// Killed between the commit and the mark: the token is in the books, and is marked before it is shown.
#[tokio::test]
async fn a_mark_that_lags_follows_the_books() {
    let (store, unmarked, meter) = begin().await;
    let mut pay = Pay::default();
    buy(&unmarked, &mut pay, &meter, vend(1)).await;
    let mark = Mark::in_memory();
    let company = company_with(&store, mark.clone());
    assert_eq!(mark.kept().tokens, 0);
    company.sale(vend(1)).await.unwrap();
    assert_eq!(mark.kept().tokens, 1);
}
