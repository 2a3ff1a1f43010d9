use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use crate::api::ApiError;
use crate::api::prepay::{cny, text, web_address};
use crate::faults::RefundStatus;
use crate::random;
use crate::refunds::{Refund, Refunding};
use crate::sandbox::Sandbox;
use crate::store::{Order, State as OrderState};
use crate::time;

/// `POST /v3/refund/domestic/refunds`: takes in that money goes back. The same call again is the same
/// refund; another call with the same number is refused.
pub(super) async fn refund(
    State(sandbox): State<Sandbox>,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let body: Value =
        serde_json::from_slice(&body).map_err(|_| ApiError::param("/", "请求体不是合法的JSON"))?;
    let number = text(&body, "out_refund_no", 64)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-|*@".contains(&byte);
    if !number.bytes().all(allowed) {
        return Err(ApiError::param("out_refund_no", "商户退款单号格式错误"));
    }
    if !body["reason"].is_null() && text(&body, "reason", 80)?.len() > 80 {
        return Err(ApiError::param("reason", "字段长度不符合要求"));
    }
    if !body["notify_url"].is_null() {
        web_address(&body)?;
    }
    let refund_fen = amount(&body, "refund", "amount.refund")?;
    let total_fen = amount(&body, "total", "amount.total")?;
    if !cny(&body["amount"]["currency"]) {
        return Err(ApiError::param("amount.currency", "货币类型只支持CNY"));
    }
    let order = find_order(&sandbox, &body).await?;
    if total_fen != order.total_fen {
        return Err(ApiError::invalid("订单金额与支付时不一致"));
    }
    if sandbox.faults().take_refund_refusal() {
        return Err(ApiError::not_enough());
    }
    let refund = Refund {
        out_refund_no: number.to_owned(),
        // Object fields are kept sorted, so equal requests make equal texts.
        request: body.to_string(),
        out_trade_no: order.out_trade_no.clone(),
        refund_id: format!("5030{}", random::hex_text::<12>()?),
        refund_fen,
        status: RefundStatus::Processing,
        created_ms: sandbox.now(),
        success_ms: None,
    };
    match sandbox.store.refund(&refund).await? {
        Refunding::Taken => {}
        Refunding::Changed => {
            return Err(ApiError::invalid("请求重入时，参数与首次请求时不一致"));
        }
        Refunding::NotPaid => return Err(ApiError::invalid("订单未支付")),
        Refunding::TooMuch => return Err(ApiError::invalid("申请退款金额大于订单剩余可退金额")),
    }
    told(&sandbox, number, &order).await
}

/// `GET /v3/refund/domestic/refunds/{number}`. Whoever asks finds a refund under way at its end (see
/// `RefundFaults`).
pub(super) async fn by_number(
    State(sandbox): State<Sandbox>,
    Path(number): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let refund = sandbox.store.refund_by_number(&number).await?;
    let refund = refund.ok_or_else(ApiError::no_such_refund)?;
    if refund.status == RefundStatus::Processing {
        let outcome = sandbox.faults().refund.outcome;
        let now_ms = sandbox.now();
        sandbox.store.move_refund(&number, outcome, now_ms).await?;
    }
    let order = sandbox.store.by_number(&refund.out_trade_no).await?;
    let order = order.ok_or_else(ApiError::no_such_refund)?;
    told(&sandbox, &number, &order).await
}

async fn find_order(sandbox: &Sandbox, body: &Value) -> Result<Order, ApiError> {
    let order = match (&body["transaction_id"], &body["out_trade_no"]) {
        (Value::Null, Value::Null) => {
            let fault = "transaction_id和out_trade_no必须二选一";
            return Err(ApiError::param("out_trade_no", fault));
        }
        (Value::Null, _) => {
            let number = text(body, "out_trade_no", 32)?;
            sandbox.store.by_number(number).await?
        }
        (_, _) => {
            let id = text(body, "transaction_id", 32)?;
            sandbox.store.by_transaction(id).await?
        }
    };
    // The documentation names this code for an order that is not there.
    let order = order.ok_or_else(ApiError::no_such_refund)?;
    match order.state {
        OrderState::Paid { .. } => Ok(order),
        OrderState::NotPaid | OrderState::Closed => Err(ApiError::invalid("订单未支付")),
    }
}

fn amount(body: &Value, field: &str, name: &'static str) -> Result<i64, ApiError> {
    let fen = body["amount"][field].as_i64().filter(|fen| *fen >= 1);
    fen.ok_or_else(|| ApiError::param(name, "金额必须为大于0的整数，单位为分"))
}

async fn told(sandbox: &Sandbox, number: &str, order: &Order) -> Result<Json<Value>, ApiError> {
    let refund = sandbox.store.refund_by_number(number).await?;
    let refund = refund.ok_or_else(ApiError::no_such_refund)?;
    let transaction_id = match &order.state {
        OrderState::Paid { transaction_id, .. } => transaction_id.as_str(),
        OrderState::NotPaid | OrderState::Closed => "",
    };
    let offset = i64::from(sandbox.faults().refund.amount_offset_fen);
    let back = refund.refund_fen.saturating_add(offset);
    let mut told = json!({
        "refund_id": refund.refund_id,
        "out_refund_no": refund.out_refund_no,
        "transaction_id": transaction_id,
        "out_trade_no": refund.out_trade_no,
        "channel": "ORIGINAL",
        "user_received_account": "支付用户零钱",
        "create_time": time::beijing(refund.created_ms),
        "status": refund.status.name(),
        "funds_account": "AVAILABLE",
        "amount": {
            "total": order.total_fen,
            "refund": back,
            "payer_total": order.total_fen,
            "payer_refund": back,
            "settlement_refund": back,
            "settlement_total": order.total_fen,
            "discount_refund": 0,
            "currency": "CNY",
        },
    });
    if let Some(success_ms) = refund.success_ms {
        told["success_time"] = json!(time::beijing(success_ms));
    }
    Ok(Json(told))
}
