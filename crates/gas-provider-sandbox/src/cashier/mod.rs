//! `/cashier/...`: what the payer's wallet would show. Plain HTML, no script.

mod page;
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
use crate::store::Paying;

use self::page::Scene;
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
}

/// `GET /cashier/{token}`: what is to be paid, or how it ended.
async fn show(
    State(sandbox): State<Sandbox>,
    Path(token): Path<String>,
    Query(choice): Query<Choice>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let scene = scene(&sandbox, &token).await?;
    let status = if matches!(scene, Scene::Unknown) {
        StatusCode::NOT_FOUND
    } else {
        StatusCode::OK
    };
    Ok(render(
        &sandbox,
        status,
        &scene,
        language(&choice, &headers),
    ))
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
    if sandbox.store.pay(&paying).await? {
        sandbox.bell.notify_one();
    }
    let language = language(&choice, &headers);
    let scene = scene(&sandbox, &token).await?;
    let status = match scene {
        Scene::Paid { .. } => {
            let page = format!("/cashier/{token}?lang={}", language.tag());
            return Ok(Redirect::to(&page).into_response());
        }
        Scene::Unknown => StatusCode::NOT_FOUND,
        Scene::Payable(_) | Scene::Closed(_) | Scene::Expired(_) => StatusCode::CONFLICT,
    };
    Ok(render(&sandbox, status, &scene, language))
}

/// `GET /cashier/{token}/pay`: a reload, or the link to the other language, after a 409.
async fn back(
    Path(token): Path<String>,
    Query(choice): Query<Choice>,
    headers: HeaderMap,
) -> Result<Redirect, ApiError> {
    if !is_token(&token) {
        return Err(ApiError::not_found());
    }
    let language = language(&choice, &headers);
    Ok(Redirect::to(&format!(
        "/cashier/{token}?lang={}",
        language.tag()
    )))
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

async fn scene(sandbox: &Sandbox, token: &str) -> Result<Scene, ApiError> {
    let order = sandbox.store.by_token(token).await?;
    Ok(order.map_or(Scene::Unknown, |order| Scene::of(order, sandbox.now())))
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

fn render(sandbox: &Sandbox, status: StatusCode, scene: &Scene, language: Language) -> Response {
    let page = page::render(scene, &sandbox.config.merchant_name, language);
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
