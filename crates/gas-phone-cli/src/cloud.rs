//! The cloud, as a phone asks it.

use std::time::Duration;

use gas_api::cloud::{
    Consent, Enrolment, EnrolmentRevoked, EnrolmentWanted, Meter, Nonce, NonceWanted,
    ReceiptDelivered, RecordsKept, RecordsUploaded, TokenDelivered, TokenTaken, Vend, VendWanted,
};
use gas_api::{HexBytes, Problem, PublicKeyHex};
use gas_phone::{PHONE_HEADER, phone_header};
use gas_units::{MeterNumber, VendId};
use reqwest::{Client, Method, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::phone::{Phone, now};

/// Longest that one question takes: the cloud's own limit is 30 s.
const ANSWER_MAX: Duration = Duration::from_secs(40);
/// How long one look at a vend waits for news; the cloud takes at most 25 s.
const NEWS_WAIT_MS: u32 = 20_000;

/// Why the cloud gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CloudError {
    /// It cannot be reached, or what it said cannot be read: whether it did anything is unknown.
    #[error("the cloud cannot be reached ({0})")]
    Unreachable(String),
    /// It cannot do it now, and says so.
    #[error("the cloud cannot do this now: {}", .0.detail)]
    NotNow(Box<Problem>),
    /// It will not do it.
    #[error("{} {}", .0.detail, .0.hint)]
    Refused(Box<Problem>),
}

pub(crate) struct Cloud {
    client: Client,
    url: String,
}

type Answer<T> = Result<T, CloudError>;

impl Cloud {
    pub(crate) fn of(phone: &Phone) -> anyhow::Result<Self> {
        Ok(Self {
            client: Client::builder().timeout(ANSWER_MAX).build()?,
            url: phone.config.cloud_url.trim_end_matches('/').to_owned(),
        })
    }

    pub(crate) async fn nonce(&self, meter: MeterNumber, phone: PublicKeyHex) -> Answer<Nonce> {
        let wanted = NonceWanted {
            meter,
            phone_key: Some(phone),
        };
        self.open(Method::POST, "/v1/nonces", Some(&wanted)).await
    }

    pub(crate) async fn begin(
        &self,
        phone: &Phone,
        id: VendId,
        wanted: &VendWanted,
    ) -> Answer<Vend> {
        let path = vend_path(id, "");
        if wanted.status.is_some() {
            return self.open(Method::PUT, &path, Some(wanted)).await;
        }
        read(self.signed(phone, Method::PUT, &path, Some(wanted)).await?).await
    }

    pub(crate) async fn open_tender(&self, id: VendId, consent: &Consent) -> Answer<Vend> {
        self.open(Method::POST, &vend_path(id, "/tender"), Some(consent))
            .await
    }

    pub(crate) async fn confirm(&self, id: VendId, consent: &Consent) -> Answer<Vend> {
        self.open(Method::POST, &vend_path(id, "/confirmation"), Some(consent))
            .await
    }

    pub(crate) async fn put_receipt(&self, id: VendId, receipt: &ReceiptDelivered) -> Answer<Vend> {
        self.open(Method::PUT, &vend_path(id, "/receipt"), Some(receipt))
            .await
    }

    /// The vend as it stands (`after_version` 0), or as soon as there is news.
    pub(crate) async fn follow(&self, id: VendId, after_version: u32) -> Answer<Vend> {
        let wait_ms = if after_version == 0 { 0 } else { NEWS_WAIT_MS };
        let query = format!("?after_version={after_version}&wait_ms={wait_ms}");
        self.open(Method::GET, &vend_path(id, &query), None::<&()>)
            .await
    }

    pub(crate) async fn enrol(
        &self,
        phone: &Phone,
        meter: MeterNumber,
        status: HexBytes,
    ) -> Answer<Enrolment> {
        let path = format!("/v1/enrolments/{}", phone.public_key());
        let wanted = EnrolmentWanted { meter, status };
        let response = self.signed(phone, Method::PUT, &path, Some(&wanted)).await;
        read(response?).await
    }

    pub(crate) async fn put_token_receipt(
        &self,
        meter: MeterNumber,
        seq: u32,
        receipt: HexBytes,
    ) -> Answer<TokenTaken> {
        let path = format!("/v1/meters/{meter}/tokens/{seq}/receipt");
        let delivered = TokenDelivered { receipt };
        self.open(Method::PUT, &path, Some(&delivered)).await
    }

    pub(crate) async fn forget(&self, phone: &Phone, meter: MeterNumber) -> Answer<()> {
        let path = format!("/v1/enrolments/{}", phone.public_key());
        let wanted = EnrolmentRevoked { meter };
        self.signed(phone, Method::DELETE, &path, Some(&wanted))
            .await?;
        Ok(())
    }

    pub(crate) async fn put_records(
        &self,
        phone: &Phone,
        meter: MeterNumber,
        records: Vec<HexBytes>,
    ) -> Answer<RecordsKept> {
        let path = format!("/v1/meters/{meter}/records");
        let uploaded = RecordsUploaded { records };
        let response = self.signed(phone, Method::PUT, &path, Some(&uploaded));
        read(response.await?).await
    }

    pub(crate) async fn meter(&self, phone: &Phone, meter: MeterNumber) -> Answer<Meter> {
        let path = format!("/v1/meters/{meter}");
        let response = self.signed(phone, Method::GET, &path, None::<&()>).await;
        read(response?).await
    }

    async fn open<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Answer<T> {
        let body = body.map_or_else(Vec::new, json);
        read(self.send(method, path, body, None).await?).await
    }

    /// A request that proves which phone sends it.
    async fn signed(
        &self,
        phone: &Phone,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Answer<Response> {
        let body = body.map_or_else(Vec::new, json);
        let header = phone_header(&phone.key, method.as_str(), path, &body, now());
        self.send(method, path, body, Some(header)).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        proof: Option<String>,
    ) -> Answer<Response> {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(proof) = proof {
            request = request.header(PHONE_HEADER, proof);
        }
        if !body.is_empty() {
            request = request
                .header("content-type", "application/json")
                .body(body);
        }
        let response = request.send().await.map_err(unreachable)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let problem: Problem = response
            .json()
            .await
            .map_err(|_| CloudError::Unreachable(format!("it answered {status}")))?;
        let later = status.is_server_error() || status.as_u16() == 429;
        Err(if later {
            CloudError::NotNow(Box::new(problem))
        } else {
            CloudError::Refused(Box::new(problem))
        })
    }
}

fn vend_path(id: VendId, rest: &str) -> String {
    format!("/v1/vends/{id}{rest}")
}

/// Our own types always become JSON; should one not, the server says that the body is malformed.
fn json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).unwrap_or_default()
}

async fn read<T: DeserializeOwned>(response: Response) -> Answer<T> {
    response.json().await.map_err(unreachable)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is what `map_err` hands over"
)]
fn unreachable(error: reqwest::Error) -> CloudError {
    // The innermost cause is what a person can use ("connection refused").
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    CloudError::Unreachable(cause.to_string())
}
