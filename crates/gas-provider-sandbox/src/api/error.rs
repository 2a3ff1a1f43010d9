use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A refusal as the provider words it: a code for programs, a sentence for people.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// The request's field at fault.
    field: Option<&'static str>,
}

impl ApiError {
    const fn new(status: StatusCode, code: &'static str, message: String) -> Self {
        Self {
            status,
            code,
            message,
            field: None,
        }
    }

    /// The request's signature is not to be believed.
    pub(crate) fn sign(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "SIGN_ERROR", message.to_owned())
    }

    /// A parameter is missing or malformed.
    pub(crate) fn param(field: &'static str, message: &str) -> Self {
        Self {
            field: Some(field),
            ..Self::new(StatusCode::BAD_REQUEST, "PARAM_ERROR", message.to_owned())
        }
    }

    pub(crate) fn bad_request(code: &'static str, message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message.to_owned())
    }

    pub(crate) fn paid() -> Self {
        Self::bad_request("ORDERPAID", "该订单已支付")
    }

    pub(crate) fn no_such_order() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "ORDER_NOT_EXIST",
            "订单不存在".to_owned(),
        )
    }

    /// The call does not fit what was called before.
    pub(crate) fn invalid(message: &str) -> Self {
        Self::bad_request("INVALID_REQUEST", message)
    }

    /// The merchant's account does not hold what is to go back.
    pub(crate) fn not_enough() -> Self {
        let message = "基本账户余额不足，请充值后重新发起".to_owned();
        Self::new(StatusCode::FORBIDDEN, "NOT_ENOUGH", message)
    }

    pub(crate) fn no_such_refund() -> Self {
        let message = "退款单或订单不存在".to_owned();
        Self::new(StatusCode::NOT_FOUND, "RESOURCE_NOT_EXISTS", message)
    }

    pub(crate) fn not_found() -> Self {
        let message = "no such API here; bills are not simulated".to_owned();
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", message)
    }

    pub(crate) fn too_large() -> Self {
        let message = "the request's body is larger than 64 KiB".to_owned();
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "PARAM_ERROR", message)
    }

    /// The provider failed; whether the call had its effect is open.
    pub(crate) fn internal(cause: &str) -> Self {
        tracing::error!(cause, "a call failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "SYSTEM_ERROR",
            "系统异常，请稍后重试".to_owned(),
        )
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(fault: sqlx::Error) -> Self {
        Self::internal(&fault.to_string())
    }
}

impl From<getrandom::Error> for ApiError {
    fn from(fault: getrandom::Error) -> Self {
        Self::internal(&fault.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut body = json!({ "code": self.code, "message": self.message });
        if let Some(field) = self.field {
            body["detail"] = json!({ "field": field, "issue": self.message, "location": "body" });
        }
        (self.status, Json(body)).into_response()
    }
}
