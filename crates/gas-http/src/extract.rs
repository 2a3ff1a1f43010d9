use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use gas_api::codes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// Most bytes of a request's body: 64 KiB.
pub const BODY_MAX: usize = 64 * 1024;

/// A JSON body, in and out. A body that does not fit `T` is answered with a problem.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let body = Bytes::from_request(request, state)
            .await
            .map_err(unreadable)?;
        serde_json::from_slice(&body).map(Self).map_err(|error| {
            Problem::body_malformed(format!("The body is not the JSON wanted here: {error}."))
                .hint("Mend the body and send it again; nothing was done.")
        })
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err takes"
)]
fn unreadable(rejection: BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Problem::body_too_large()
    } else {
        Problem::body_malformed("The body broke off before its end; nothing was done.")
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// The parameters of a path. One that does not parse names nothing: 404.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0)).map_err(|rejection| {
            let why = rejection.body_text();
            Problem::not_found(
                codes::NO_SUCH_ENDPOINT,
                format!("The path names nothing: {why}."),
            )
        })
    }
}

/// The parameters after `?`.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        query.map(|query| Self(query.0)).map_err(|rejection| {
            let why = rejection.body_text();
            Problem::body_malformed(format!("What follows the `?` cannot be read: {why}."))
        })
    }
}
