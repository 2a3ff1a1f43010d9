//! The provider and the cloud, as the payment server asks them. Whatever is asked may be asked again: the
//! provider knows it by the order number or the refund's, the cloud by the effect's id.

use std::pin::Pin;

use ed25519_dalek::SigningKey;
use gas_api::pay::{TenderEvent, Way};
use gas_http::{BoxError, Clock, Peer};
use gas_tender::{CloseOutcome, Event, QueryAnswer, Refund, RefundAnswer, Tender, Words};

/// An answer, to be waited for. An error, or a drop before the end, leaves open whether it was done.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send + 'a>>;

/// A payment provider.
pub trait Provider: Send + Sync {
    /// Asks for a payment request: [`Event::PrepayAnswered`] or [`Event::PrepayRefused`].
    fn prepay<'a>(&'a self, tender: &'a Tender) -> Answer<'a, Event>;
    /// Asks how an order stands.
    fn query<'a>(&'a self, tender: &'a Tender) -> Answer<'a, QueryAnswer>;
    /// Closes an order, so that it can no longer be paid.
    fn close<'a>(&'a self, tender: &'a Tender) -> Answer<'a, CloseOutcome>;
    /// Asks that all of a payment goes back, by the number that the refund has now
    /// ([`Refund::number`]): again and again, it is one refund. A provider without refunds says so.
    fn refund<'a>(&'a self, refund: &'a Refund) -> Answer<'a, RefundAnswer> {
        let _ = refund;
        Box::pin(async { Err("this provider gives no money back".into()) })
    }
    /// Asks how a refund stands, by its number.
    fn query_refund<'a>(&'a self, refund: &'a Refund) -> Answer<'a, RefundAnswer> {
        let _ = refund;
        Box::pin(async { Err("this provider gives no money back".into()) })
    }
    /// What a new tender tells it for ever, if it needs anything ([`Tender::words`]): among it how the payer
    /// pays, which is `way` where the provider offers that.
    fn words(&self, way: Way) -> Option<Words> {
        let _ = way;
        None
    }
    /// A page where this payment can be made in a browser, where the provider has one.
    fn cashier_link(&self, code_url: &str) -> Option<String>;
}

/// The cloud, which is told how tenders stand.
pub trait CloudPeer: Send + Sync {
    /// Tells it, by the id of the effect that wants it.
    fn tell<'a>(&'a self, id: &'a str, event: &'a TenderEvent) -> Answer<'a, ()>;
}

/// The cloud over HTTP: a webhook that the payment server signs.
pub struct HttpCloud {
    cloud: Peer,
    key: SigningKey,
    clock: Clock,
}

impl HttpCloud {
    /// Tells `cloud`, signed with `key`.
    #[must_use]
    pub const fn new(cloud: Peer, key: SigningKey, clock: Clock) -> Self {
        Self { cloud, key, clock }
    }
}

impl CloudPeer for HttpCloud {
    fn tell<'a>(&'a self, id: &'a str, event: &'a TenderEvent) -> Answer<'a, ()> {
        Box::pin(async move {
            let now = self.clock.now();
            let sent = self
                .cloud
                .post_webhook("/v1/tender-events", id, event, now, &self.key);
            Ok(sent.await?)
        })
    }
}
