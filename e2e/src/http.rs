//! The servers as anyone may ask them, without a phone program.

use anyhow::{Context as _, ensure};
use gas_testbed::Part;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{Household, VEND_MAX};

/// How long one look at a vend waits for news, ms.
const NEWS_WAIT_MS: u32 = 5_000;

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The JSON in it; null where there is none.
    pub body: Value,
}

impl Answer {
    /// The body of a success.
    ///
    /// # Errors
    /// When it is a refusal.
    pub fn ok(self) -> anyhow::Result<Value> {
        ensure!((200..300).contains(&self.status), "refused: {self:?}");
        Ok(self.body)
    }
}

async fn send(request: RequestBuilder) -> anyhow::Result<Answer> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let text = response.text().await?;
    let body = serde_json::from_str(&text).unwrap_or_default();
    Ok(Answer { status, body })
}

impl Household {
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
        let url = format!("{}{path}", self.run.url(part)?);
        let request = Client::new().request(method, url);
        send(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    /// Asks the gas company as the cloud does.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn ask_company(&self, path: &str) -> anyhow::Result<Answer> {
        let file = self.run.part_dir(Part::Cloud).join("company.access-key");
        let access_key = std::fs::read_to_string(file)?;
        let url = format!("{}{path}", self.run.url(Part::Company)?);
        send(Client::new().get(url).bearer_auth(access_key.trim())).await
    }

    /// Asks the gas company as its desk does.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn ask_desk(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let access_key = std::fs::read_to_string(self.run.desk_key_file())?;
        let url = format!("{}{path}", self.run.url(Part::Company)?);
        let request = Client::new()
            .request(method, url)
            .bearer_auth(access_key.trim());
        send(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    /// Posts the consent to a quote (`tender` or `confirmation`), as a phone does.
    ///
    /// # Errors
    /// When the cloud does not answer.
    pub async fn consent(&self, vend_id: &str, to: &str, quote: &Value) -> anyhow::Result<Answer> {
        let path = format!("/v1/vends/{vend_id}/{to}");
        let body = json!({ "quote_hash": quote });
        self.ask(Part::Cloud, Method::POST, &path, Some(&body))
            .await
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

    /// Pays at the cashier's page, as a person with a browser does.
    ///
    /// # Errors
    /// When the page does not let them.
    pub async fn pay_at_cashier(&self, payment_request: &Value) -> anyhow::Result<()> {
        let link = payment_request["link"].as_str().context("no link to pay")?;
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

    /// What the provider knows of a refund.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn refund_at_provider(&self, refund_id: &str) -> anyhow::Result<Answer> {
        let path = format!("/sandbox/refunds/{refund_id}");
        self.ask(Part::Provider, Method::GET, &path, None).await
    }

    /// What the provider knows of an order.
    ///
    /// # Errors
    /// When it knows none.
    pub async fn order(&self, order_no: &str) -> anyhow::Result<Value> {
        let path = format!("/sandbox/orders/{order_no}");
        let answer = self.ask(Part::Provider, Method::GET, &path, None).await?;
        answer.ok()
    }
}
