use gas_api::company::{
    BelievedState, Nonces, NoncesWanted, QuoteMade, QuoteWanted, ReceiptBelieved, ReceiptReported,
    RecordsBelieved, RecordsReported, ReservationWanted, Reserved, Sale, SaleWanted, StateReported,
};
use gas_api::pay::{Tender, TenderWanted};
use gas_http::Peer;
use gas_units::{MeterNumber, VendId};
use serde::de::IgnoredAny;

use crate::peers::{Answer, CompanyPeer, PayPeer};

/// The gas company over HTTP.
pub(crate) struct HttpCompany(pub(crate) Peer);

/// The payment server over HTTP.
pub(crate) struct HttpPay(pub(crate) Peer);

impl CompanyPeer for HttpCompany {
    fn nonces(&self, wanted: NoncesWanted) -> Answer<'_, Nonces> {
        Box::pin(async move { self.0.post("/v1/nonces", &wanted).await })
    }

    fn report_state(&self, reported: StateReported) -> Answer<'_, BelievedState> {
        Box::pin(async move { self.0.post("/v1/states", &reported).await })
    }

    fn quote(&self, vend_id: VendId, wanted: QuoteWanted) -> Answer<'_, QuoteMade> {
        Box::pin(async move { self.0.put(&format!("/v1/quotes/{vend_id}"), &wanted).await })
    }

    fn reserve(&self, vend_id: VendId, wanted: ReservationWanted) -> Answer<'_, Reserved> {
        let path = format!("/v1/reservations/{vend_id}");
        Box::pin(async move { self.0.put(&path, &wanted).await })
    }

    fn release(&self, vend_id: VendId) -> Answer<'_, ()> {
        let path = format!("/v1/reservations/{vend_id}");
        Box::pin(async move {
            let IgnoredAny = self.0.delete(&path).await?;
            Ok(())
        })
    }

    fn sell(&self, vend_id: VendId, wanted: SaleWanted) -> Answer<'_, Sale> {
        Box::pin(async move { self.0.put(&format!("/v1/sales/{vend_id}"), &wanted).await })
    }

    fn sale(&self, vend_id: VendId) -> Answer<'_, Sale> {
        Box::pin(async move { self.0.get(&format!("/v1/sales/{vend_id}")).await })
    }

    fn receipt(&self, vend_id: VendId, reported: ReceiptReported) -> Answer<'_, ReceiptBelieved> {
        let path = format!("/v1/receipts/{vend_id}");
        Box::pin(async move { self.0.put(&path, &reported).await })
    }

    fn token_receipt(
        &self,
        meter: MeterNumber,
        seq: u32,
        reported: ReceiptReported,
    ) -> Answer<'_, BelievedState> {
        let path = format!("/v1/meters/{meter}/tokens/{seq}/receipt");
        Box::pin(async move { self.0.put(&path, &reported).await })
    }

    fn records(&self, reported: RecordsReported) -> Answer<'_, RecordsBelieved> {
        Box::pin(async move { self.0.post("/v1/records", &reported).await })
    }
}

impl PayPeer for HttpPay {
    fn open(&self, vend_id: VendId, wanted: TenderWanted) -> Answer<'_, Tender> {
        Box::pin(async move { self.0.put(&format!("/v1/tenders/{vend_id}"), &wanted).await })
    }

    fn show(&self, vend_id: VendId, ask: bool) -> Answer<'_, Tender> {
        let query = if ask { "?ask=true" } else { "" };
        let path = format!("/v1/tenders/{vend_id}{query}");
        Box::pin(async move { self.0.get(&path).await })
    }
}
