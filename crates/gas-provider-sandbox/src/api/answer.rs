use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http_body_util::{Full, Limited};

use crate::api::ApiError;
use crate::faults::{AnswerFate, SignatureFault};
use crate::keys::KeyMode;
use crate::sandbox::Sandbox;
use crate::signature::{SignedCall, check_request, sign_headers, wanted_mode};

/// Requests may be this long (bytes).
const BODY_LIMIT: usize = 64 * 1024;

/// Checks the request's signature, lets the call happen, and signs the answer.
pub(super) async fn signed(
    State(sandbox): State<Sandbox>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let wanted = wanted_mode(&sandbox.keys, &parts.headers);
    let mode = wanted.as_ref().map_or(KeyMode::Certificate, |mode| *mode);
    let changes = parts.method == Method::POST;
    let checked = match to_bytes(body, BODY_LIMIT).await {
        Err(_) => Err(ApiError::too_large()),
        Ok(bytes) => {
            let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
            let call = SignedCall {
                method: parts.method.as_str(),
                path,
                body: &bytes,
            };
            check_request(&sandbox.keys, &parts.headers, &call, sandbox.now())
                .and(wanted)
                .map(|_| bytes)
        }
    };
    let answer = match checked {
        Ok(bytes) => {
            let mut request = Request::from_parts(parts, Body::from(bytes));
            request.extensions_mut().insert(mode);
            next.run(request).await
        }
        Err(fault) => fault.into_response(),
    };
    let fate = if changes && answer.status().is_success() {
        sandbox.faults().take_answer_fate()
    } else {
        AnswerFate::Sent
    };
    match fate {
        AnswerFate::Sent => sign(&sandbox, mode, answer).await,
        AnswerFate::Failed => {
            sign(
                &sandbox,
                mode,
                ApiError::internal("fault: fail_next").into_response(),
            )
            .await
        }
        AnswerFate::Lost => lost(),
    }
}

async fn sign(sandbox: &Sandbox, mode: KeyMode, answer: Response) -> Response {
    let (mut parts, body) = answer.into_parts();
    // Answers are our own and small.
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let fault = sandbox.faults().answer.signature;
    let headers = sign_headers(&sandbox.keys, mode, &bytes, sandbox.now(), fault).or_else(|_| {
        sign_headers(
            &sandbox.keys,
            mode,
            &bytes,
            sandbox.now(),
            SignatureFault::None,
        )
    });
    match headers {
        Ok(headers) => {
            parts.headers.extend(headers);
            Response::from_parts(parts, Body::from(bytes))
        }
        Err(fault) => fault.into_response(),
    }
}

/// An answer that cannot be sent: its body fails before the first byte, at which the server
/// closes the connection with nothing written.
fn lost() -> Response {
    let body = Full::new(Bytes::from_static(b"never sent"));
    Response::new(Body::new(Limited::new(body, 1)))
}
