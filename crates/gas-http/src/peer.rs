use std::time::Duration;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderValue, Method, StatusCode};
use ed25519_dalek::SigningKey;
use gas_api::codes;
use gas_units::UnixMillis;
use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::access_key::AccessKey;
use crate::problem::{BoxError, Problem};
use crate::webhook;

/// Most bytes of another server's answer: 1 MiB.
pub const ANSWER_MAX: usize = 1024 * 1024;

const CONNECT_MAX: Duration = Duration::from_secs(2);
const TOTAL_MAX: Duration = Duration::from_secs(10);

/// Another server of ours, spoken to in JSON. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Peer {
    name: &'static str,
    base: String,
    authorization: Option<HeaderValue>,
    client: reqwest::Client,
}

/// Another server did not do what was asked, or it is not known whether it did.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// It could not be reached.
    #[error("the {peer} server cannot be reached; ask again by the same id")]
    Unreachable {
        /// Which server.
        peer: &'static str,
        /// Why.
        source: BoxError,
    },
    /// It gave no whole answer in time. Whether it did what was asked is unknown.
    #[error("the {peer} server gave no whole answer in time; ask again by the same id")]
    Timeout {
        /// Which server.
        peer: &'static str,
        /// Why.
        source: BoxError,
    },
    /// It refused, and says why.
    #[error("the {peer} server answered {}: {}", problem.code, problem.detail)]
    Problem {
        /// Which server.
        peer: &'static str,
        /// Its words.
        problem: Box<gas_api::Problem>,
    },
    /// Its answer cannot be understood. Whether it did what was asked is unknown.
    #[error("the {peer} server's answer (status {status}) cannot be understood: {why}")]
    Garbled {
        /// Which server.
        peer: &'static str,
        /// The answer's status.
        status: u16,
        /// What was wrong with it.
        why: String,
    },
}

impl PeerError {
    /// Whether asking again by the same id can end otherwise: no answer, no answer that can be
    /// understood, a fault of that server, too many requests, or a key that it does not know (yet).
    #[must_use]
    pub fn is_worth_asking_again(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::Garbled { .. } => true,
            Self::Problem { problem, .. } => {
                problem.status >= 500
                    || problem.status == 429
                    || problem.code == codes::UNAUTHORIZED
            }
        }
    }

    /// The problem's code, where that server refused.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Problem { problem, .. } => Some(&problem.code),
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::Garbled { .. } => None,
        }
    }
}

impl From<PeerError> for Problem {
    /// What our own caller is told: a refusal is handed on, anything else is 503.
    fn from(error: PeerError) -> Self {
        if error.is_worth_asking_again() {
            let peer = match &error {
                PeerError::Unreachable { peer, .. }
                | PeerError::Timeout { peer, .. }
                | PeerError::Problem { peer, .. }
                | PeerError::Garbled { peer, .. } => *peer,
            };
            return Self::upstream(peer, error);
        }
        match error {
            PeerError::Problem { problem, .. } => Self::handed_on(*problem),
            PeerError::Unreachable { .. }
            | PeerError::Timeout { .. }
            | PeerError::Garbled { .. } => Self::ours(error),
        }
    }
}

impl Peer {
    /// A server called `name` in errors, at `base` (`http://127.0.0.1:8080`), asked with `key`.
    ///
    /// # Errors
    /// When the address is none, or the system gives no client.
    pub fn new(name: &'static str, base: &str, key: Option<&AccessKey>) -> Result<Self, BoxError> {
        let parsed = reqwest::Url::parse(base)?;
        if parsed.cannot_be_a_base() || parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(format!("`{base}` is not the address of a server").into());
        }
        let authorization = key
            .map(|key| HeaderValue::try_from(format!("Bearer {}", key.secret())))
            .transpose()?
            .map(|mut value| {
                value.set_sensitive(true);
                value
            });
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_MAX)
            .timeout(TOTAL_MAX)
            // A redirect or a proxy would be shown the access key.
            .redirect(Policy::none())
            .no_proxy()
            .build()?;
        let base = base.trim_end_matches('/').to_owned();
        Ok(Self {
            name,
            base,
            authorization,
            client,
        })
    }

    /// `GET path`. `T` is read from the answer's JSON; an empty answer reads as `null`, so `()` fits it.
    ///
    /// # Errors
    /// [`PeerError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, PeerError> {
        self.send(self.request(Method::GET, path)).await
    }

    /// `PUT path` with a JSON body.
    ///
    /// # Errors
    /// [`PeerError`].
    pub async fn put<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, PeerError> {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    /// `POST path` with a JSON body.
    ///
    /// # Errors
    /// [`PeerError`].
    pub async fn post<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, PeerError> {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// `DELETE path`.
    ///
    /// # Errors
    /// [`PeerError`].
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, PeerError> {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// `POST path` with a JSON body signed as a [`webhook`] with `id`.
    ///
    /// # Errors
    /// [`PeerError`].
    pub async fn post_webhook<B: Serialize + Sync>(
        &self,
        path: &str,
        id: &str,
        body: &B,
        signed_at: UnixMillis,
        key: &SigningKey,
    ) -> Result<(), PeerError> {
        let body = serde_json::to_vec(body).map_err(|error| PeerError::Garbled {
            peer: self.name,
            status: 0,
            why: format!("not sent, it has no JSON form: {error}"),
        })?;
        let mut request = self
            .request(Method::POST, path)
            .header(CONTENT_TYPE, "application/json");
        for (name, value) in webhook::sign(id, &body, signed_at, key) {
            request = request.header(name, value);
        }
        self.send(request.body(body)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value.clone()),
            None => request,
        }
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, PeerError> {
        let response = request
            .send()
            .await
            .map_err(|error| self.no_answer(error))?;
        let status = response.status();
        let body = self.bounded_body(response).await?;
        if status.is_success() {
            let body = if body.is_empty() {
                b"null".as_slice()
            } else {
                &body
            };
            return serde_json::from_slice(body)
                .map_err(|error| self.garbled(status, &error.to_string()));
        }
        match serde_json::from_slice::<gas_api::Problem>(&body) {
            Ok(problem) if problem.status == status.as_u16() && !status.is_redirection() => {
                Err(PeerError::Problem {
                    peer: self.name,
                    problem: Box::new(problem),
                })
            }
            Ok(_) | Err(_) => {
                Err(self.garbled(status, "not the problem document that our servers answer"))
            }
        }
    }

    async fn bounded_body(&self, mut response: Response) -> Result<Vec<u8>, PeerError> {
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.no_answer(error))?
        {
            if body.len() + chunk.len() > ANSWER_MAX {
                return Err(self.garbled(response.status(), "longer than 1 MiB"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn no_answer(&self, error: reqwest::Error) -> PeerError {
        let peer = self.name;
        // The address may hold a vend id, which is a capability: not for the log.
        let error = error.without_url();
        if error.is_connect() || error.is_builder() {
            PeerError::Unreachable {
                peer,
                source: error.into(),
            }
        } else {
            PeerError::Timeout {
                peer,
                source: error.into(),
            }
        }
    }

    fn garbled(&self, status: StatusCode, why: &str) -> PeerError {
        PeerError::Garbled {
            peer: self.name,
            status: status.as_u16(),
            why: why.to_owned(),
        }
    }
}
