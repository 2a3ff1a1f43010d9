//! Money on its way back: only by the gas company's signed order, only what was paid for the vend it names,
//! once. Each method is what the route of the same name answers at once.

use std::sync::Arc;

use gas_api::pay::{
    MeterEpoch, MeterPayment, MeterPayments, Refund as ShownRefund, RefundState as ShownState,
    RefundTrouble as ShownTrouble, RefundWanted, Way,
};
use gas_api::{Jws, codes};
use gas_http::{BoxError, Problem};
use gas_statement::{Payment, Quote, RefundOrder, Refunded, Sha256Digest, Signed, check_refund};
use gas_store::pay::{Begun, NewRefund, NotificationId, RefundChange, RefundRow, Saved, TenderRow};
use gas_tender::{
    Event, Refund, RefundAnswer, RefundApplied, RefundError, RefundFact, RefundState,
    RefundTrouble, State,
};
use gas_token::Seq;
use gas_units::{MeterNumber, RefundId};

use crate::desk::{Cause, Desk, DeskError, RACES_MAX};
use crate::wechat::NAME;

impl Desk {
    /// Orders that the money of a vend goes back, or shows how that order stands: the same order again
    /// changes nothing. A tender that this server has forgotten is opened again from the quote and asked
    /// about first.
    ///
    /// # Errors
    /// [`Problem`], as `PUT /v1/refunds/{refund_id}` answers it; no money goes back then.
    pub async fn refund(
        &self,
        refund_id: RefundId,
        wanted: RefundWanted,
    ) -> Result<ShownRefund, Problem> {
        let order = Signed::<RefundOrder>::verify(&wanted.order.0, &self.company_key);
        let order = order.map_err(|error| forged("order", &error))?;
        if order.statement().refund_id != refund_id {
            return Err(differs("The order is for another refund."));
        }
        if let Some(row) = self.known_refund(&order).await? {
            return Ok(shown(&row));
        }
        let row = self.paid_tender(&order, &wanted.quote).await?;
        self.begin_refund(&order, &row).await?;
        let row = self.known_refund(&order).await?;
        row.map(|row| shown(&row))
            .ok_or_else(|| Problem::ours(DeskError::Contended))
    }

    /// The refund that this order began; a problem where there is another one in its place.
    async fn known_refund(
        &self,
        order: &Signed<RefundOrder>,
    ) -> Result<Option<RefundRow>, Problem> {
        let ordered = order.statement();
        let found = self.store.find_refund(ordered.refund_id).await;
        if let Some(row) = found.map_err(Problem::ours)? {
            if row.order == order.compact() {
                return Ok(Some(row));
            }
            return Err(Problem::conflict(
                codes::ID_REUSED,
                "Another order came under this refund id before. It stands; this one does not.",
            ));
        }
        let found = self.store.find_refund_of(ordered.vend_id).await;
        match found.map_err(Problem::ours)? {
            None => Ok(None),
            Some(row) => Err(Problem::conflict(
                codes::REFUNDED_BEFORE,
                format!(
                    "The money of this vend goes back, or went back, under the refund id {}.",
                    row.refund.refund_id()
                ),
            )),
        }
    }

    /// The tender that the order is about, which is paid.
    async fn paid_tender(
        &self,
        order: &Signed<RefundOrder>,
        quote: &Jws,
    ) -> Result<Arc<TenderRow>, Problem> {
        let vend_id = order.statement().vend_id;
        let quote = Signed::<Quote>::verify(&quote.0, &self.company_key);
        let quote = quote.map_err(|error| forged("quote", &error))?;
        if quote.statement().vend_id != vend_id {
            return Err(differs("The quote is of another vend."));
        }
        let mut row = match self.store.find(vend_id).await.map_err(Problem::ours)? {
            Some(row) => row,
            None => self.open_tender(&quote, Way::default()).await?,
        };
        if *row.quote != *quote.compact() {
            return Err(differs("Payment was asked for another quote of this vend."));
        }
        if !matches!(row.tender.state(), State::Paid(_)) {
            self.ask_provider(vend_id).await?;
            row = self.row(vend_id).await?;
        }
        if !matches!(row.tender.state(), State::Paid(_)) {
            row = self.paid_before(order, row).await?;
        }
        match row.tender.state() {
            State::Paid(_) => Ok(row),
            State::Requested | State::Open { .. } | State::Closed => Err(Problem::upstream(
                "payment provider",
                "it does not confirm that the vend was paid",
            )),
        }
    }

    /// The provider tells of a refund only, and this server has forgotten that it saw the payment before.
    /// The order names what it had signed then: made again from what the provider tells, it is the same to
    /// the byte, or it is not ours.
    async fn paid_before(
        &self,
        order: &Signed<RefundOrder>,
        row: Arc<TenderRow>,
    ) -> Result<Arc<TenderRow>, Problem> {
        let Some(told) = row.tender.contradiction().filter(|told| told.refunding) else {
            return Ok(row);
        };
        let payment = self.sign(&row.tender, &told.told).map_err(Problem::ours)?;
        if Sha256Digest::of(payment.as_bytes()) != order.statement().payment_sha256 {
            return Ok(row);
        }
        let event = Event::PaidBefore(told.told.clone());
        let vend_id = row.tender.vend_id();
        Ok(self.happen(vend_id, event, Cause::default()).await?)
    }

    async fn begin_refund(
        &self,
        order: &Signed<RefundOrder>,
        row: &TenderRow,
    ) -> Result<(), Problem> {
        let payment = row.payment.as_deref().unwrap_or_default();
        let payment = Signed::<Payment>::verify(payment, &self.key().verifying_key());
        let payment = payment.map_err(Problem::ours)?;
        check_refund(&payment, order, None)
            .map_err(|error| differs(&format!("The order does not fit the payment: {error}.")))?;
        let (ordered, now) = (order.statement(), self.clock.now());
        let applied = Refund::order(&row.tender, ordered.refund_id, ordered.amount_fen, now)
            .map_err(|error: RefundError| differs(&format!("The order cannot be: {error}.")))?;
        let begun = self.store.begin_refund(NewRefund {
            applied: &applied,
            order: order.compact(),
            epoch: Seq::from_bits(ordered.seq).epoch(),
            now,
        });
        match begun.await.map_err(Problem::ours)? {
            Begun::Done => self.tell(),
            // Another one was faster; which, is looked at next.
            Begun::Known => {}
            Begun::Fenced => {
                return Err(Problem::conflict(
                    codes::EPOCH_PASSED,
                    "The payments of this meter were given out for a newer epoch, this one among those to be \
                     kept. No money goes back for a debit of an older epoch.",
                ));
            }
        }
        Ok(())
    }

    /// Applies the provider's answer to a refund and saves what comes of it, all or nothing.
    pub(crate) async fn refund_answered(
        &self,
        refund_id: RefundId,
        number: u32,
        answer: RefundAnswer,
        performed: &str,
    ) -> Result<(), BoxError> {
        for _ in 0..RACES_MAX {
            let row = self.refund_row(refund_id).await?;
            let now = self.clock.now();
            let applied = row.refund.answered(number, answer.clone(), now);
            let refunded = self.refunded_for(&row, &applied)?;
            let change = RefundChange {
                applied: &applied,
                version: row.version,
                refunded: refunded.as_deref(),
                performed: Some(performed),
                notification: None,
                now,
            };
            if self.store.save_refund(change).await? == Saved::Done {
                let trouble = applied.refund.trouble();
                if trouble.is_some() && trouble != row.refund.trouble() {
                    tracing::error!(%refund_id, order_no = applied.refund.order_no(), ?trouble,
                        "ALARM: the refund does not get on; look at it at the provider's console");
                }
                self.tell();
                return Ok(());
            }
        }
        Err(DeskError::Contended.into())
    }

    /// The provider notifies of the refund that it knows by `number`; whoever calls this has checked its
    /// signature. It only makes us ask, once for each notification.
    ///
    /// # Errors
    /// [`Problem`]: there is no such refund.
    pub async fn refund_notified(
        &self,
        number: &str,
        order_no: &str,
        event_id: &str,
    ) -> Result<(), Problem> {
        let id = NotificationId {
            provider: NAME,
            event_id,
        };
        for _ in 0..RACES_MAX {
            let Some(row) = self.refund_by_number(number).await? else {
                tracing::error!(
                    number,
                    order_no,
                    "ALARM: the provider tells of a refund that is not known here"
                );
                return Err(Problem::not_found(
                    codes::REFUND_UNKNOWN,
                    "There is no refund with this number.",
                ));
            };
            let known = self.store.knows_notification(id).await;
            if known.map_err(Problem::ours)? {
                return Ok(());
            }
            let now = self.clock.now();
            let change = RefundChange {
                applied: &row.refund.notified(number, now),
                version: row.version,
                refunded: None,
                performed: None,
                notification: Some(id),
                now,
            };
            let saved = self.store.save_refund(change).await;
            if saved.map_err(Problem::ours)? == Saved::Done {
                self.tell();
                return Ok(());
            }
        }
        Err(DeskError::Contended.into())
    }

    async fn refund_by_number(&self, number: &str) -> Result<Option<RefundRow>, Problem> {
        match Refund::id_in(number) {
            Some(id) => self.store.find_refund(id).await.map_err(Problem::ours),
            None => Ok(None),
        }
    }

    pub(crate) async fn refund_row(&self, refund_id: RefundId) -> Result<RefundRow, BoxError> {
        let row = self.store.find_refund(refund_id).await?;
        row.ok_or_else(|| DeskError::Unknown.into())
    }

    /// The signed statement, where the money has come back and there is none.
    fn refunded_for(
        &self,
        row: &RefundRow,
        applied: &RefundApplied,
    ) -> Result<Option<String>, BoxError> {
        let refund = &applied.refund;
        let RefundState::Refunded(RefundFact {
            provider_refund_id,
            amount,
            refunded_at,
        }) = refund.state()
        else {
            return Ok(None);
        };
        if row.refunded.is_some() {
            return Ok(None);
        }
        let refunded = Refunded {
            refund_id: refund.refund_id(),
            vend_id: refund.vend_id(),
            meter: refund.meter(),
            order_sha256: Sha256Digest::of(row.order.as_bytes()),
            provider: refund.provider().to_owned(),
            provider_refund_id: provider_refund_id.clone(),
            amount_fen: *amount,
            refunded_at_ms: *refunded_at,
        };
        let signed = Signed::sign(self.key(), refunded)?;
        Ok(Some(signed.compact().to_owned()))
    }

    /// Every paid vend of a meter with its refund, for a gas company whose books were restored.
    ///
    /// # Errors
    /// [`Problem`], as `GET /v1/meters/{meter}/payments` answers it.
    pub async fn meter_payments(&self, meter: MeterNumber) -> Result<MeterPayments, Problem> {
        let paid = self.store.paid_of(meter).await.map_err(Problem::ours)?;
        let payments = paid.into_iter().map(|row| MeterPayment {
            quote: row.quote.into(),
            payment: row.payment.into(),
            refund_order: row.order.map(Jws::from),
            refunded: row.refunded.map(Jws::from),
        });
        Ok(MeterPayments {
            meter,
            payments: payments.collect(),
        })
    }

    /// From now on refund orders of epochs before `epoch` are refused for this meter: what is given out
    /// next as paid and not refunded stays so.
    ///
    /// # Errors
    /// [`Problem`], as `POST /v1/meters/{meter}/epochs/{epoch}` answers it.
    pub async fn begin_epoch(&self, meter: MeterNumber, epoch: u8) -> Result<MeterEpoch, Problem> {
        let epoch = self
            .store
            .fence(meter, epoch)
            .await
            .map_err(Problem::ours)?;
        Ok(MeterEpoch { meter, epoch })
    }
}

/// A refund as the API shows it.
pub(crate) fn shown(row: &RefundRow) -> ShownRefund {
    let refund = &row.refund;
    let trouble = refund.trouble().map(|trouble| match trouble {
        RefundTrouble::Abnormal => ShownTrouble::Abnormal,
        RefundTrouble::Amount => ShownTrouble::Amount,
        RefundTrouble::Closed => ShownTrouble::Closed,
        RefundTrouble::Refused => ShownTrouble::Refused,
    });
    ShownRefund {
        refund_id: refund.refund_id(),
        vend_id: refund.vend_id(),
        state: match refund.state() {
            RefundState::Ordered => ShownState::Ordered,
            RefundState::AtProvider => ShownState::AtProvider,
            RefundState::Refunded(_) => ShownState::Refunded,
        },
        amount_fen: refund.amount(),
        order: row.order.clone().into(),
        trouble,
        refunded: row.refunded.clone().map(Jws::from),
    }
}

fn forged(what: &str, error: &gas_statement::StatementError) -> Problem {
    let detail =
        format!("The {what} is not one of the gas company's: {error}. No money goes back for it.");
    Problem::unprocessable(codes::STATEMENT_FORGED, detail)
}

fn differs(detail: &str) -> Problem {
    Problem::unprocessable(
        codes::REFUND_DIFFERS,
        format!("{detail} No money goes back for it."),
    )
}
