use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::ApiError;
use crate::keys::Keys;
use crate::sandbox::Sandbox;
use crate::store::{Order, State as OrderState};
use crate::time;

#[derive(Deserialize)]
pub(super) struct Asking {
    mchid: Option<String>,
}

/// `GET /v3/pay/transactions/out-trade-no/{number}?mchid=...`
pub(super) async fn by_number(
    State(sandbox): State<Sandbox>,
    Path(number): Path<String>,
    Query(asking): Query<Asking>,
) -> Result<Json<Value>, ApiError> {
    let order = sandbox.store.by_number(&number).await?;
    answer(&sandbox, &asking, order.as_ref())
}

/// `GET /v3/pay/transactions/id/{transaction_id}?mchid=...`
pub(super) async fn by_transaction(
    State(sandbox): State<Sandbox>,
    Path(transaction_id): Path<String>,
    Query(asking): Query<Asking>,
) -> Result<Json<Value>, ApiError> {
    let order = sandbox.store.by_transaction(&transaction_id).await?;
    answer(&sandbox, &asking, order.as_ref())
}

fn answer(
    sandbox: &Sandbox,
    asking: &Asking,
    order: Option<&Order>,
) -> Result<Json<Value>, ApiError> {
    if asking.mchid.as_deref() != Some(sandbox.keys.mchid.as_str()) {
        return Err(ApiError::param("mchid", "商户号与签名的商户号不一致"));
    }
    let order = order.ok_or_else(ApiError::no_such_order)?;
    let offset = i64::from(sandbox.faults().answer.query_amount_offset_fen);
    Ok(Json(transaction(&sandbox.keys, order, offset)))
}

/// An order as queries and notifications tell of it; `offset_fen` falsifies the amount.
pub(crate) fn transaction(keys: &Keys, order: &Order, offset_fen: i64) -> Value {
    let total = order.total_fen.saturating_add(offset_fen);
    let mut told = json!({
        "appid": keys.appid,
        "mchid": keys.mchid,
        "out_trade_no": order.out_trade_no,
    });
    match &order.state {
        OrderState::NotPaid => {
            told["trade_state"] = json!("NOTPAY");
            told["trade_state_desc"] = json!("订单未支付");
            told["amount"] = json!({ "total": total, "currency": "CNY" });
        }
        OrderState::Closed => {
            told["trade_state"] = json!("CLOSED");
            told["trade_state_desc"] = json!("订单已关闭");
            told["amount"] = json!({ "total": total, "currency": "CNY" });
        }
        OrderState::Paid {
            transaction_id,
            paid_ms,
            refunding,
        } => {
            let (state, words) = if *refunding {
                ("REFUND", "转入退款")
            } else {
                ("SUCCESS", "支付成功")
            };
            told["trade_state"] = json!(state);
            told["trade_state_desc"] = json!(words);
            told["transaction_id"] = json!(transaction_id);
            told["trade_type"] = json!(order.trade_type.name());
            told["bank_type"] = json!("OTHERS");
            told["attach"] = json!(order.attach);
            told["success_time"] = json!(time::beijing(*paid_ms));
            told["payer"] = json!({ "openid": "oSandboxPayer0000000000000000" });
            told["amount"] = json!({
                "total": total,
                "payer_total": total,
                "currency": "CNY",
                "payer_currency": "CNY",
            });
        }
    }
    told
}
