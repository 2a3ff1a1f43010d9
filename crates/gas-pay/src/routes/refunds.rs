use axum::extract::State as Shared;
use gas_api::pay::{MeterEpoch, MeterPayments, Refund, RefundWanted};
use gas_http::{Json, Path, Problem};
use gas_units::{MeterNumber, RefundId};

use crate::server::Server;

/// `PUT /v1/refunds/{refund_id}`: [`Desk::refund`](crate::Desk::refund).
pub(super) async fn refund(
    Shared(server): Shared<Server>,
    Path(refund_id): Path<RefundId>,
    Json(wanted): Json<RefundWanted>,
) -> Result<Json<Refund>, Problem> {
    server.desk.refund(refund_id, wanted).await.map(Json)
}

/// `GET /v1/meters/{meter}/payments`: [`Desk::meter_payments`](crate::Desk::meter_payments).
pub(super) async fn payments(
    Shared(server): Shared<Server>,
    Path(meter): Path<MeterNumber>,
) -> Result<Json<MeterPayments>, Problem> {
    server.desk.meter_payments(meter).await.map(Json)
}

/// `POST /v1/meters/{meter}/epochs/{epoch}`: [`Desk::begin_epoch`](crate::Desk::begin_epoch).
pub(super) async fn begin_epoch(
    Shared(server): Shared<Server>,
    Path((meter, epoch)): Path<(MeterNumber, u8)>,
) -> Result<Json<MeterEpoch>, Problem> {
    server.desk.begin_epoch(meter, epoch).await.map(Json)
}
