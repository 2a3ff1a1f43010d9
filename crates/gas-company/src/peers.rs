//! The payment server, as the gas company asks it. Whatever is asked may be asked again.

use std::pin::Pin;

use gas_api::pay::{MeterEpoch, MeterPayments, Refund, RefundWanted};
use gas_http::{Peer, PeerError};
use gas_units::{MeterNumber, RefundId};

/// An answer, to be waited for. An error, or a drop before the end, leaves open whether it was done.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, PeerError>> + Send + 'a>>;

/// The payment server.
pub trait PayPeer: Send + Sync {
    /// `PUT /v1/refunds/{refund_id}`: the money of a payment is to go back.
    fn refund(&self, refund_id: RefundId, wanted: RefundWanted) -> Answer<'_, Refund>;
    /// `POST /v1/meters/{meter}/epochs/{epoch}`: orders of older epochs are to be refused from now on.
    fn begin_epoch(&self, meter: MeterNumber, epoch: u8) -> Answer<'_, MeterEpoch>;
    /// `GET /v1/meters/{meter}/payments`: every payment that it knows of a meter.
    fn payments(&self, meter: MeterNumber) -> Answer<'_, MeterPayments>;
}

/// The payment server over HTTP.
#[derive(Debug)]
pub struct HttpPay(Peer);

impl HttpPay {
    /// Asks `pay`.
    #[must_use]
    pub const fn new(pay: Peer) -> Self {
        Self(pay)
    }
}

impl PayPeer for HttpPay {
    fn refund(&self, refund_id: RefundId, wanted: RefundWanted) -> Answer<'_, Refund> {
        let path = format!("/v1/refunds/{refund_id}");
        Box::pin(async move { self.0.put(&path, &wanted).await })
    }

    fn begin_epoch(&self, meter: MeterNumber, epoch: u8) -> Answer<'_, MeterEpoch> {
        let path = format!("/v1/meters/{meter}/epochs/{epoch}");
        Box::pin(async move { self.0.post(&path, &()).await })
    }

    fn payments(&self, meter: MeterNumber) -> Answer<'_, MeterPayments> {
        let path = format!("/v1/meters/{meter}/payments");
        Box::pin(async move { self.0.get(&path).await })
    }
}
