//! The servers as anyone may ask them, without a phone program.

use anyhow::{Context as _, ensure};
use reqwest::{Client, Method, RequestBuilder};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::part::Part;
use crate::run::Run;
use crate::vend::VEND_MAX;

/// How long one look at a vend waits for news, ms.
const NEWS_WAIT_MS: u32 = 5_000;

/// What a server answered.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The JSON in it; null where there is none.
    pub body: Value,
}

impl Answer {
    /// Sends a request, with this JSON if any, and reads what comes back.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn to(request: RequestBuilder, body: Option<&Value>) -> anyhow::Result<Self> {
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let response = request.send().await?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or_default();
        Ok(Self { status, body })
    }

    /// The body of a success.
    ///
    /// # Errors
    /// When it is a refusal.
    pub fn ok(self) -> anyhow::Result<Value> {
        ensure!((200..300).contains(&self.status), "refused: {self:?}");
        Ok(self.body)
    }
}

impl Run {
    /// Asks a server, unsigned.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn ask(
        &self,
        part: Part,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let url = format!("{}{path}", self.url(part)?);
        Answer::to(Client::new().request(method, url), body).await
    }

    /// Waits, by long polls, until the cloud shows the vend so.
    ///
    /// # Errors
    /// When that takes too long.
    pub async fn vend_when(
        &self,
        vend_id: &str,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let started = Instant::now();
        let mut version = 0;
        loop {
            let vend = self.vend_after(vend_id, version, NEWS_WAIT_MS).await?;
            if holds(&vend) {
                return Ok(vend);
            }
            ensure!(started.elapsed() < VEND_MAX, "never {what}: {vend}");
            version = vend["version"].as_u64().context("a vend without version")?;
        }
    }

    /// The vend as soon as its version is above `version`, or after `wait_ms`.
    ///
    /// # Errors
    /// When the cloud does not show it.
    pub async fn vend_after(
        &self,
        vend_id: &str,
        version: u64,
        wait_ms: u32,
    ) -> anyhow::Result<Value> {
        let path = format!("/v1/vends/{vend_id}?after_version={version}&wait_ms={wait_ms}");
        self.ask(Part::Cloud, Method::GET, &path, None).await?.ok()
    }

    /// Pays at the cashier's page, as a person with a browser does. `link` is that of a payment request.
    ///
    /// # Errors
    /// When the page does not let them.
    pub async fn pay_at_cashier(&self, link: &str) -> anyhow::Result<()> {
        let page = Client::new().get(link).send().await?.error_for_status()?;
        let mut button = page.url().clone();
        button.set_query(None);
        button.set_path(&format!("{}/pay", button.path()));
        Client::new()
            .post(button)
            .send()
            .await?
            .error_for_status()?;
        Ok(())
    }
}
