use std::error::Error;
use std::fmt;

use axum::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use gas_api::{HexBytes, codes};
use gas_units::VendId;

/// Any error that may cross threads.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// An error answer: what the caller sees, and what only our log sees.
///
/// The constructors say who is at fault. Answers as `application/problem+json`; a source is logged
/// when the answer is made, and never shown.
#[derive(Debug)]
pub struct Problem {
    outside: Box<gas_api::Problem>,
    inside: Option<BoxError>,
}

impl Problem {
    /// 400, the caller's fault: what was sent cannot be read.
    #[must_use]
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 400 `body_malformed`.
    #[must_use]
    pub fn body_malformed(detail: impl Into<String>) -> Self {
        Self::bad_request(codes::BODY_MALFORMED, detail)
    }

    /// 401, the caller's fault: who asks is not proven. `code` tells which proof.
    #[must_use]
    pub fn unproven(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
    }

    /// 401 `unauthorized`. One text for every reason, so that it tells an attacker nothing.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::unproven(
            codes::UNAUTHORIZED,
            "The access key is missing or is not one of ours; nothing was done.",
        )
        .hint("Send `Authorization: Bearer <access key>` with the key this server knows you by.")
    }

    /// 403, the caller's fault: known, and not allowed.
    #[must_use]
    pub fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// 404, the caller's fault: there is no such thing.
    #[must_use]
    pub fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// 404 `no_such_endpoint`.
    #[must_use]
    pub fn no_such_endpoint() -> Self {
        Self::not_found(
            codes::NO_SUCH_ENDPOINT,
            "This server has nothing at this path.",
        )
    }

    /// 405 `method_not_allowed`.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            codes::METHOD_NOT_ALLOWED,
            "This path exists, and does not take this method.",
        )
    }

    /// 409, the caller's fault: does not fit what is already so.
    #[must_use]
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 410, the caller's fault: was there, and its time is over.
    #[must_use]
    pub fn gone(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, code, detail)
    }

    /// 413 `body_too_large`.
    #[must_use]
    pub fn body_too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            codes::BODY_TOO_LARGE,
            "The body is longer than 64 KiB; it was not read, nothing was done.",
        )
    }

    /// 422, the caller's fault: can be read, and does not hold.
    #[must_use]
    pub fn unprocessable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// 429 `too_many_requests`.
    #[must_use]
    pub fn too_many_requests(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            codes::TOO_MANY_REQUESTS,
            detail,
        )
    }

    /// 500 `internal`, our fault. The source goes to the log.
    #[must_use]
    pub fn ours(source: impl Into<BoxError>) -> Self {
        let mut problem = Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            codes::INTERNAL,
            "This server failed; what was saved before stays saved.",
        );
        problem.inside = Some(source.into());
        problem.hint("Ask again by the same id: nothing is done twice.")
    }

    /// 503 `upstream_unavailable`: `server`, behind this one, gives no answer. The source goes to the log.
    #[must_use]
    pub fn upstream(server: &str, source: impl Into<BoxError>) -> Self {
        let mut problem = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            codes::UPSTREAM_UNAVAILABLE,
            format!("The {server} server does not answer; nothing is lost."),
        );
        problem.inside = Some(source.into());
        problem.hint("Ask again by the same id in a moment.")
    }

    /// Another server's answer, handed on as it is.
    #[must_use]
    pub fn handed_on(outside: gas_api::Problem) -> Self {
        Self {
            outside: Box::new(outside),
            inside: None,
        }
    }

    /// Says what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.outside.hint = hint.into();
        self
    }

    /// Names the vend that is in the way.
    #[must_use]
    pub fn vend_id(mut self, vend_id: VendId) -> Self {
        self.outside.vend_id = Some(vend_id);
        self
    }

    /// Names a token that the meter is to be given.
    #[must_use]
    pub fn waiting(mut self, token: Option<HexBytes>) -> Self {
        self.outside.waiting = token;
        self
    }

    /// What the caller sees.
    #[must_use]
    pub fn outside(&self) -> &gas_api::Problem {
        &self.outside
    }

    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self::handed_on(gas_api::Problem {
            kind: "about:blank".to_owned(),
            status: status.as_u16(),
            code: code.to_owned(),
            title: title(code),
            detail: detail.into(),
            hint: String::new(),
            vend_id: None,
            waiting: None,
        })
    }
}

/// The code as a sentence: one title per code, as RFC 9457 section 3.1.3 wants it.
fn title(code: &str) -> String {
    let words = code.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

/// An error and its sources, outermost first.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.outside.code, self.outside.detail)
    }
}

impl Error for Problem {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inside.as_deref().map(|inside| inside as _)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if let Some(inside) = &self.inside {
            let error = chain(inside.as_ref());
            tracing::error!(
                code = self.outside.code,
                status = self.outside.status,
                error,
                "problem"
            );
        }
        // A status that is none can only come from a peer's garbled answer.
        let status = StatusCode::from_u16(self.outside.status).unwrap_or(StatusCode::BAD_GATEWAY);
        let json = HeaderValue::from_static("application/problem+json");
        let mut response = match serde_json::to_vec(&self.outside) {
            Ok(body) => (status, [(CONTENT_TYPE, json)], body).into_response(),
            Err(_) => status.into_response(),
        };
        if self.outside.code == codes::UNAUTHORIZED {
            // RFC 9110 section 15.5.2: a 401 says how to prove oneself.
            let how = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, how);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn answer(problem: Problem) -> (StatusCode, String, gas_api::Problem, String) {
        let response = problem.into_response();
        let status = response.status();
        let kind = response.headers()[CONTENT_TYPE]
            .to_str()
            .unwrap()
            .to_owned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        (status, kind, serde_json::from_str(&text).unwrap(), text)
    }

    #[tokio::test]
    async fn answers_as_problem_json_with_code_detail_and_hint() {
        let problem =
            Problem::conflict(codes::OVER_LIMIT, "Sold 600 of 600.").hint("Wait for May.");
        let (status, kind, wire, _) = answer(problem).await;
        assert_eq!(status, StatusCode::CONFLICT);
        assert_eq!(kind, "application/problem+json");
        assert_eq!(wire.kind, "about:blank");
        assert_eq!(wire.status, 409);
        assert_eq!(wire.code, "over_limit");
        assert_eq!(wire.title, "Over limit");
        assert_eq!(wire.detail, "Sold 600 of 600.");
        assert_eq!(wire.hint, "Wait for May.");
    }

    #[tokio::test]
    async fn the_source_of_our_fault_stays_inside() {
        for problem in [
            Problem::ours("disk /dev/secret is full"),
            Problem::upstream("company", "secret host"),
        ] {
            assert!(
                Error::source(&problem)
                    .unwrap()
                    .to_string()
                    .contains("secret")
            );
            let (status, _, wire, text) = answer(problem).await;
            assert!(status.is_server_error());
            assert_eq!(wire.status, status.as_u16());
            assert!(!text.contains("secret"), "{text}");
        }
    }

    #[tokio::test]
    async fn each_constructor_has_its_status() {
        let all = [
            (Problem::body_malformed(""), 400),
            (Problem::unproven(codes::NOTIFICATION_FORGED, ""), 401),
            (Problem::unauthorized(), 401),
            (Problem::forbidden(codes::NOT_ENROLLED, ""), 403),
            (Problem::not_found(codes::VEND_UNKNOWN, ""), 404),
            (Problem::no_such_endpoint(), 404),
            (Problem::method_not_allowed(), 405),
            (Problem::conflict(codes::ID_REUSED, ""), 409),
            (Problem::gone(codes::QUOTE_EXPIRED, ""), 410),
            (Problem::body_too_large(), 413),
            (Problem::unprocessable(codes::MESSAGE_FORGED, ""), 422),
            (Problem::too_many_requests(""), 429),
        ];
        for (problem, expected) in all {
            let (status, _, wire, _) = answer(problem).await;
            assert_eq!((status.as_u16(), wire.status), (expected, expected));
        }
    }

    #[test]
    fn a_chain_reads_outermost_first() {
        let inner = std::io::Error::other("inner");
        let outer = Problem::ours(inner);
        assert!(chain(&outer).ends_with(": inner"), "{}", chain(&outer));
    }
}
