//! The other servers, as the cloud asks them. Every request may be repeated: they know it by the vend id.

use std::pin::Pin;

use gas_api::company::{
    BelievedState, Nonces, NoncesWanted, QuoteMade, QuoteWanted, ReceiptBelieved, ReceiptReported,
    RecordsBelieved, RecordsReported, ReservationWanted, Reserved, Sale, SaleWanted, StateReported,
};
use gas_api::pay::{Tender, TenderWanted};
use gas_http::PeerError;
use gas_units::{MeterNumber, VendId};

/// Another server's answer, to be waited for. Dropped, it leaves open whether that server did as asked.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, PeerError>> + Send + 'a>>;

/// The gas company's server.
pub trait CompanyPeer: Send + Sync {
    /// `POST /v1/nonces`
    fn nonces(&self, wanted: NoncesWanted) -> Answer<'_, Nonces>;
    /// `POST /v1/states`
    fn report_state(&self, reported: StateReported) -> Answer<'_, BelievedState>;
    /// `PUT /v1/quotes/{vend_id}`
    fn quote(&self, vend_id: VendId, wanted: QuoteWanted) -> Answer<'_, QuoteMade>;
    /// `PUT /v1/reservations/{vend_id}`
    fn reserve(&self, vend_id: VendId, wanted: ReservationWanted) -> Answer<'_, Reserved>;
    /// `DELETE /v1/reservations/{vend_id}`
    fn release(&self, vend_id: VendId) -> Answer<'_, ()>;
    /// `PUT /v1/sales/{vend_id}`
    fn sell(&self, vend_id: VendId, wanted: SaleWanted) -> Answer<'_, Sale>;
    /// `GET /v1/sales/{vend_id}`
    fn sale(&self, vend_id: VendId) -> Answer<'_, Sale>;
    /// `PUT /v1/receipts/{vend_id}`
    fn receipt(&self, vend_id: VendId, reported: ReceiptReported) -> Answer<'_, ReceiptBelieved>;
    /// `PUT /v1/meters/{meter}/tokens/{seq}/receipt`
    fn token_receipt(
        &self,
        meter: MeterNumber,
        seq: u32,
        reported: ReceiptReported,
    ) -> Answer<'_, BelievedState>;
    /// `POST /v1/records`
    fn records(&self, reported: RecordsReported) -> Answer<'_, RecordsBelieved>;
}

/// The payment server.
pub trait PayPeer: Send + Sync {
    /// `PUT /v1/tenders/{vend_id}`
    fn open(&self, vend_id: VendId, wanted: TenderWanted) -> Answer<'_, Tender>;
    /// `GET /v1/tenders/{vend_id}`; with `ask`, the provider is asked before the answer.
    fn show(&self, vend_id: VendId, ask: bool) -> Answer<'_, Tender>;
}
