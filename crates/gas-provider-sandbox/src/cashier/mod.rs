//! `/cashier/...`: what the payer's wallet would show. Plain HTML, no script.

mod page;
mod return_address;
mod words;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use crate::api::ApiError;
use crate::random;
use crate::sandbox::Sandbox;
use crate::store::{Paying, TradeType};

use self::page::Scene;
use self::return_address::ReturnAddress;
use self::words::Language;

/// What a code's content starts with; the token follows.
pub(crate) const CODE_URL_PREFIX: &str = "weixin://wxpay/bizpayurl?pr=";

/// No script, no frame, nothing from elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

pub(crate) fn routes() -> Router<Sandbox> {
    Router::new()
        .route("/cashier/{token}", get(show))
        .route("/cashier/{token}/pay", post(pay).get(back))
        .route("/cashier/style.css", get(style))
}

#[derive(Deserialize)]
struct Choice {
    /// `zh-CN` or `en`; without it the browser's languages decide.
    lang: Option<String>,
    /// Where an H5 payer goes when it is over: the merchant's page has added it.
    redirect_url: Option<String>,
}

/// `GET /cashier/{token}`: what is to be paid, or how it ended.
async fn show(
    State(sandbox): State<Sandbox>,
    Path(token): Path<String>,
    Query(choice): Query<Choice>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let scene = scene(&sandbox, &token, &choice, &headers).await?;
    let status = match scene {
        Scene::Unknown => StatusCode::NOT_FOUND,
        Scene::NotFromMerchant => StatusCode::FORBIDDEN,
        Scene::Payable(_) | Scene::Paid { .. } | Scene::Closed(_) | Scene::Expired(_) => {
            StatusCode::OK
        }
    };
    Ok(render(&sandbox, status, &scene, &choice, &headers))
}

/// `POST /cashier/{token}/pay`: pays, once. Leads back to the page, which says that it is paid;
/// an order that cannot be paid any more is answered with 409 and the page that says why.
async fn pay(
    State(sandbox): State<Sandbox>,
    Path(token): Path<String>,
    Query(choice): Query<Choice>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let now_ms = sandbox.now();
    let delay_ms = i64::from(sandbox.faults().notification.delay_ms);
    let paying = Paying {
        token: &token,
        transaction_id: format!("4200{}", random::digits::<24>()?),
        event_id: format!("EV-{}", random::digits::<19>()?),
        now_ms,
        notify_ms: now_ms.saturating_add(delay_ms),
    };
    let allowed = scene(&sandbox, &token, &choice, &headers).await?;
    if !matches!(allowed, Scene::NotFromMerchant) && sandbox.store.pay(&paying).await? {
        sandbox.bell.notify_one();
    }
    let scene = scene(&sandbox, &token, &choice, &headers).await?;
    let status = match scene {
        Scene::Paid { .. } => return Ok(to_page(&sandbox, &token, &choice, &headers)),
        Scene::Unknown => StatusCode::NOT_FOUND,
        Scene::NotFromMerchant => StatusCode::FORBIDDEN,
        Scene::Payable(_) | Scene::Closed(_) | Scene::Expired(_) => StatusCode::CONFLICT,
    };
    Ok(render(&sandbox, status, &scene, &choice, &headers))
}

/// `GET /cashier/{token}/pay`: a reload, or the link to the other language, after a 409.
async fn back(
    State(sandbox): State<Sandbox>,
    Path(token): Path<String>,
    Query(choice): Query<Choice>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    if !is_token(&token) {
        return Err(ApiError::not_found());
    }
    Ok(to_page(&sandbox, &token, &choice, &headers))
}

fn to_page(sandbox: &Sandbox, token: &str, choice: &Choice, headers: &HeaderMap) -> Response {
    let language = language(choice, headers);
    let query = page::query(language, return_address(sandbox, choice).as_ref());
    Redirect::to(&format!("/cashier/{token}?{query}")).into_response()
}

fn return_address(sandbox: &Sandbox, choice: &Choice) -> Option<ReturnAddress> {
    let asked = choice.redirect_url.as_deref()?;
    ReturnAddress::parse(asked, &sandbox.config.merchant_hosts)
}

/// Whether `text` could be a token: it is then safe in an address.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

async fn style() -> Response {
    let kind = (header::CONTENT_TYPE, "text/css; charset=utf-8");
    (
        [kind, (header::CACHE_CONTROL, "no-cache")],
        include_str!("style.css"),
    )
        .into_response()
}

async fn scene(
    sandbox: &Sandbox,
    token: &str,
    choice: &Choice,
    headers: &HeaderMap,
) -> Result<Scene, ApiError> {
    let Some(order) = sandbox.store.by_token(token).await? else {
        return Ok(Scene::Unknown);
    };
    let allowed = match order.trade_type {
        TradeType::Native => true,
        TradeType::H5 => may_be_here(sandbox, choice, headers),
    };
    Ok(if allowed {
        Scene::of(order, sandbox.now())
    } else {
        Scene::NotFromMerchant
    })
}

/// Whether an H5 payer comes from the merchant's own page, and will go back to it. The real cashier looks
/// at both, too: the browser's `Referer`, and `redirect_url`.
fn may_be_here(sandbox: &Sandbox, choice: &Choice, headers: &HeaderMap) -> bool {
    let hosts = &sandbox.config.merchant_hosts;
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let from = text(header::REFERER).and_then(|from| reqwest::Url::parse(from).ok());
    // Or from here: the other language, the page after the button.
    let ours = text(header::HOST).map(|host| host.split(':').next().unwrap_or(host));
    let known = from
        .as_ref()
        .and_then(reqwest::Url::host_str)
        .is_some_and(|from| ours == Some(from) || hosts.iter().any(|host| host == from));
    let back = choice.redirect_url.as_deref();
    known && back.is_none_or(|back| ReturnAddress::parse(back, hosts).is_some())
}

fn language(choice: &Choice, headers: &HeaderMap) -> Language {
    let accepted = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok());
    choice
        .lang
        .as_deref()
        .or(accepted)
        .map_or(Language::Chinese, Language::choose)
}

fn render(
    sandbox: &Sandbox,
    status: StatusCode,
    scene: &Scene,
    choice: &Choice,
    headers: &HeaderMap,
) -> Response {
    let language = language(choice, headers);
    let back = return_address(sandbox, choice);
    let page = page::render(
        scene,
        &sandbox.config.merchant_name,
        language,
        back.as_ref(),
    );
    let mut answer = (status, Html(page)).into_response();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CONTENT_LANGUAGE, language.tag()),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        answer
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    answer
}
