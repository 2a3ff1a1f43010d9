use axum::extract::{Extension, State};
use axum::{Json, body::Bytes};
use serde_json::{Value, json};

use crate::api::ApiError;
use crate::keys::KeyMode;
use crate::random;
use crate::sandbox::Sandbox;
use crate::store::{Order, Prepaid, State as OrderState};
use crate::time;

/// A code can be paid with for two hours.
const TOKEN_LIFE_MS: i64 = 2 * 60 * 60 * 1000;
/// An order without `time_expire` can be paid for seven days.
const ORDER_LIFE_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// `POST /v3/pay/transactions/native`: gives a code with which the order can be paid.
///
/// The same call again gives a new code. Another call with the same number is refused.
pub(super) async fn native(
    State(sandbox): State<Sandbox>,
    Extension(mode): Extension<KeyMode>,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let body: Value =
        serde_json::from_slice(&body).map_err(|_| ApiError::param("/", "请求体不是合法的JSON"))?;
    let order = read_order(&sandbox, &body, mode)?;
    match sandbox.store.prepay(&order, sandbox.now()).await? {
        Prepaid::Open => {
            let code_url = format!("{}{}", crate::cashier::CODE_URL_PREFIX, order.token);
            Ok(Json(json!({ "code_url": code_url })))
        }
        Prepaid::Changed => Err(ApiError::bad_request(
            "INVALID_REQUEST",
            "请求重入时，参数与首次请求时不一致",
        )),
        Prepaid::Over(state) => Err(match state {
            OrderState::Paid { .. } => ApiError::paid(),
            OrderState::Closed => ApiError::bad_request("ORDER_CLOSED", "该订单已关闭"),
            // The documentation says "use a new number" and gives no code; this one is a choice.
            OrderState::NotPaid => ApiError::bad_request(
                "INVALID_REQUEST",
                "已超过支付结束时间，请使用新的商户订单号下单",
            ),
        }),
    }
}

fn read_order(sandbox: &Sandbox, body: &Value, mode: KeyMode) -> Result<Order, ApiError> {
    let appid = text(body, "appid", 32)?;
    if text(body, "mchid", 32)? != sandbox.keys.mchid {
        return Err(ApiError::param(
            "mchid",
            "请求体中的商户号与签名的商户号不一致",
        ));
    }
    if appid != sandbox.keys.appid {
        return Err(ApiError::bad_request(
            "APPID_MCHID_NOT_MATCH",
            "appid和mchid不匹配",
        ));
    }
    let out_trade_no = text(body, "out_trade_no", 32)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-|*".contains(&byte);
    if out_trade_no.len() < 6 || !out_trade_no.bytes().all(allowed) {
        return Err(ApiError::param("out_trade_no", "商户订单号格式错误"));
    }
    let notify_url = web_address(body)?;
    let total_fen = body["amount"]["total"].as_i64().filter(|fen| *fen >= 1);
    let total_fen = total_fen
        .ok_or_else(|| ApiError::param("amount.total", "订单总金额必须为大于0的整数，单位为分"))?;
    let currency = &body["amount"]["currency"];
    if !currency.is_null() && !cny(currency) {
        return Err(ApiError::param("amount.currency", "货币类型只支持CNY"));
    }
    let attach = if body["attach"].is_null() {
        ""
    } else {
        text(body, "attach", 128)?
    };
    let now_ms = sandbox.now();
    let expires_ms = if body["time_expire"].is_null() {
        now_ms.saturating_add(ORDER_LIFE_MS)
    } else {
        let asked = time::parse(text(body, "time_expire", 64)?)
            .ok_or_else(|| ApiError::param("time_expire", "支付结束时间格式错误"))?;
        let soonest = i64::from(sandbox.config.minimum_expiry_s).saturating_mul(1000);
        asked.max(now_ms.saturating_add(soonest))
    };
    Ok(Order {
        out_trade_no: out_trade_no.to_owned(),
        // Object fields are kept sorted, so equal requests make equal texts.
        request: body.to_string(),
        description: text(body, "description", 127)?.to_owned(),
        attach: attach.to_owned(),
        notify_url: notify_url.to_owned(),
        total_fen,
        expires_ms,
        token: random::hex_text::<16>()?,
        token_ends_ms: now_ms.saturating_add(TOKEN_LIFE_MS),
        by_public_key: mode == KeyMode::PublicKey,
        state: OrderState::NotPaid,
    })
}

/// Where the merchant wants to be told: a web address without a query.
pub(super) fn web_address(body: &Value) -> Result<&str, ApiError> {
    let url = text(body, "notify_url", 255)?;
    let web = url.starts_with("https://") || url.starts_with("http://");
    if !web || url.contains('?') {
        return Err(ApiError::param("notify_url", "通知地址必须为不带参数的URL"));
    }
    Ok(url)
}

/// Whether the currency is the only one there is.
pub(super) fn cny(currency: &Value) -> bool {
    currency.as_str() == Some("CNY")
}

/// A required text of 1..=`max` characters.
pub(super) fn text<'a>(
    body: &'a Value,
    field: &'static str,
    max: usize,
) -> Result<&'a str, ApiError> {
    match body[field].as_str() {
        Some(text) if (1..=max).contains(&text.chars().count()) => Ok(text),
        Some(_) => Err(ApiError::param(field, "字段长度不符合要求")),
        None => Err(ApiError::param(field, "此字段为必填项")),
    }
}
