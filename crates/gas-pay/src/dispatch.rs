//! Performs what the outbox holds. Whatever is not known to be done is done again, by the same id.

use std::sync::Arc;

use gas_api::pay::TenderEvent;
use gas_http::{BoxError, DueEffect, Outbox};
use gas_tender::{Effect, Event, State};
use gas_units::{RefundId, UnixMillis, VendId};

use crate::desk::{Cause, Desk, DeskError};

/// The outbox of the payment server.
pub struct Dispatch {
    desk: Desk,
}

impl Dispatch {
    /// Performs the effects of `desk`'s tenders.
    #[must_use]
    pub const fn new(desk: Desk) -> Self {
        Self { desk }
    }

    async fn prepay(&self, id: &str, order_no: &str, number: u32) -> Result<(), BoxError> {
        let row = self.row(order_no).await?;
        if !row.tender.awaits_request(number, self.desk.clock.now()) {
            return self.done(id).await;
        }
        let event = self.desk.provider.prepay(&row.tender).await?;
        self.happen(row.tender.vend_id(), event, id).await
    }

    async fn query(&self, id: &str, order_no: &str, number: u32) -> Result<(), BoxError> {
        let row = self.row(order_no).await?;
        match row.tender.state() {
            State::Requested | State::Open { .. } | State::Closed => {}
            State::Paid(_) => return self.done(id).await,
        }
        let answer = self.desk.provider.query(&row.tender).await?;
        let event = Event::QueryAnswered {
            number: Some(number),
            answer,
        };
        self.happen(row.tender.vend_id(), event, id).await
    }

    async fn close(&self, id: &str, order_no: &str) -> Result<(), BoxError> {
        let row = self.row(order_no).await?;
        match row.tender.state() {
            State::Requested | State::Open { .. } => {}
            State::Closed | State::Paid(_) => return self.done(id).await,
        }
        let outcome = self.desk.provider.close(&row.tender).await?;
        self.happen(row.tender.vend_id(), Event::CloseAnswered(outcome), id)
            .await
    }

    async fn refund(&self, id: &str, refund_id: RefundId, number: u32) -> Result<(), BoxError> {
        let row = self.desk.refund_row(refund_id).await?;
        if !row.refund.awaits(number) {
            return self.done(id).await;
        }
        let answer = self.desk.provider.refund(&row.refund).await?;
        self.desk
            .refund_answered(refund_id, number, answer, id)
            .await
    }

    async fn query_refund(
        &self,
        id: &str,
        refund_id: RefundId,
        number: u32,
    ) -> Result<(), BoxError> {
        let row = self.desk.refund_row(refund_id).await?;
        if !row.refund.awaits(number) {
            return self.done(id).await;
        }
        let answer = self.desk.provider.query_refund(&row.refund).await?;
        self.desk
            .refund_answered(refund_id, number, answer, id)
            .await
    }

    async fn tell_cloud(&self, id: &str, news: &str) -> Result<(), BoxError> {
        let order_no = news.split(':').next().unwrap_or(news);
        let row = self.row(order_no).await?;
        let event = TenderEvent {
            tender: self.desk.view(&row).await?,
        };
        self.desk.cloud.tell(id, &event).await?;
        self.done(id).await
    }

    async fn row(&self, order_no: &str) -> Result<Arc<gas_store::pay::TenderRow>, BoxError> {
        let row = self.desk.store.find_by_order(order_no).await?;
        row.ok_or_else(|| DeskError::Unknown.into())
    }

    async fn happen(&self, vend_id: VendId, event: Event, id: &str) -> Result<(), BoxError> {
        let cause = Cause {
            performed: Some(id),
            notification: None,
        };
        self.desk.happen(vend_id, event, cause).await?;
        Ok(())
    }

    async fn done(&self, id: &str) -> Result<(), BoxError> {
        Ok(self.desk.store.done(id, self.desk.clock.now()).await?)
    }
}

impl Outbox for Dispatch {
    type Effect = Effect;

    async fn due(&self, now: UnixMillis, limit: usize) -> Result<Vec<DueEffect<Effect>>, BoxError> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let due = self.desk.store.due(now, limit).await?;
        let effects = due.into_iter().map(|due| DueEffect {
            id: due.effect_id,
            attempts: due.attempts,
            effect: due.effect,
        });
        Ok(effects.collect())
    }

    async fn next_due(&self) -> Result<Option<UnixMillis>, BoxError> {
        Ok(self.desk.store.next_due().await?)
    }

    async fn perform(&self, due: DueEffect<Effect>) -> Result<(), BoxError> {
        match &due.effect {
            Effect::Prepay { order_no, number } => self.prepay(&due.id, order_no, *number).await,
            Effect::Query {
                order_no, number, ..
            } => self.query(&due.id, order_no, *number).await,
            Effect::Close { order_no, .. } => self.close(&due.id, order_no).await,
            Effect::TellCloud { news } => self.tell_cloud(&due.id, news).await,
            Effect::Refund {
                refund_id, number, ..
            } => self.refund(&due.id, *refund_id, *number).await,
            Effect::QueryRefund {
                refund_id, number, ..
            } => self.query_refund(&due.id, *refund_id, *number).await,
            // Posted in the transaction that wanted it; never in the outbox.
            Effect::Post(_) => self.done(&due.id).await,
        }
    }

    async fn postpone(&self, id: &str, attempts: u32, now: UnixMillis) -> Result<(), BoxError> {
        Ok(self.desk.store.postpone(id, attempts, now).await?)
    }
}
