use std::net::IpAddr;

use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::http::header::HOST;
use axum::{Json, body::Bytes};
use serde_json::{Value, json};

use crate::api::ApiError;
use crate::keys::KeyMode;
use crate::random;
use crate::sandbox::Sandbox;
use crate::store::{Order, Prepaid, State as OrderState, TradeType};
use crate::time;

/// A code can be paid with for two hours.
const CODE_LIFE_MS: i64 = 2 * 60 * 60 * 1000;
/// A cashier's address can be paid at for five minutes.
const H5_URL_LIFE_MS: i64 = 5 * 60 * 1000;
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
    let body = read_body(&body)?;
    let order = read_order(&sandbox, &body, mode, TradeType::Native)?;
    enter(&sandbox, &order).await?;
    let code_url = format!("{}{}", crate::cashier::CODE_URL_PREFIX, order.token);
    Ok(Json(json!({ "code_url": code_url })))
}

/// `POST /v3/pay/transactions/h5`: gives the address of the cashier where the order can be paid. The
/// merchant's page adds `&redirect_url=` to it. The same call again gives a new address, as with codes.
pub(super) async fn h5(
    State(sandbox): State<Sandbox>,
    Extension(mode): Extension<KeyMode>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, ApiError> {
    let body = read_body(&body)?;
    check_scene(&body)?;
    let order = read_order(&sandbox, &body, mode, TradeType::H5)?;
    enter(&sandbox, &order).await?;
    // We are where the merchant has found us; the real provider has one address for all.
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.unwrap_or("127.0.0.1");
    let h5_url = format!("http://{host}/cashier/{}?type=h5", order.token);
    Ok(Json(json!({ "h5_url": h5_url })))
}

fn read_body(body: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(body).map_err(|_| ApiError::param("/", "请求体不是合法的JSON"))
}

/// What an H5 order has to tell of the payer.
fn check_scene(body: &Value) -> Result<(), ApiError> {
    let scene = &body["scene_info"];
    let address = scene["payer_client_ip"].as_str();
    if address.is_none_or(|address| address.parse::<IpAddr>().is_err()) {
        return Err(ApiError::param(
            "scene_info.payer_client_ip",
            "用户终端IP为必填项，格式为IPv4或IPv6",
        ));
    }
    match scene["h5_info"]["type"].as_str() {
        Some("Wap" | "iOS" | "Android") => Ok(()),
        Some(_) | None => Err(ApiError::param(
            "scene_info.h5_info.type",
            "场景类型为必填项：iOS, Android, Wap",
        )),
    }
}

async fn enter(sandbox: &Sandbox, order: &Order) -> Result<(), ApiError> {
    match sandbox.store.prepay(order, sandbox.now()).await? {
        Prepaid::Open => Ok(()),
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

fn read_order(
    sandbox: &Sandbox,
    body: &Value,
    mode: KeyMode,
    trade_type: TradeType,
) -> Result<Order, ApiError> {
    let token_life_ms = match trade_type {
        TradeType::Native => CODE_LIFE_MS,
        TradeType::H5 => H5_URL_LIFE_MS,
    };
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
    let expires_ms = read_end(sandbox, body, now_ms)?;
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
        token_ends_ms: now_ms.saturating_add(token_life_ms),
        by_public_key: mode == KeyMode::PublicKey,
        trade_type,
        state: OrderState::NotPaid,
    })
}

/// Until when the order can be paid, ms since 1970.
fn read_end(sandbox: &Sandbox, body: &Value, now_ms: i64) -> Result<i64, ApiError> {
    if body["time_expire"].is_null() {
        return Ok(now_ms.saturating_add(ORDER_LIFE_MS));
    }
    let asked = time::parse(text(body, "time_expire", 64)?)
        .ok_or_else(|| ApiError::param("time_expire", "支付结束时间格式错误"))?;
    let soonest = i64::from(sandbox.config.minimum_expiry_s).saturating_mul(1000);
    Ok(asked.max(now_ms.saturating_add(soonest)))
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
