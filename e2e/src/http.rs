//! The servers as anyone may ask them, without a phone program.

use anyhow::Context as _;
use gas_testbed::{Answer, Part};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::Household;

impl Household {
    /// See [`gas_testbed::Run::ask`].
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
        self.run.ask(part, method, path, body).await
    }

    /// Asks the gas company as the cloud does.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn ask_company(&self, path: &str) -> anyhow::Result<Answer> {
        let file = self.run.part_dir(Part::Cloud).join("company.access-key");
        let access_key = std::fs::read_to_string(file)?;
        let url = format!("{}{path}", self.run.url(Part::Company)?);
        let request = Client::new().get(url).bearer_auth(access_key.trim());
        Answer::to(request, None).await
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
        Answer::to(request, body).await
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

    /// See [`gas_testbed::Run::vend_when`].
    ///
    /// # Errors
    /// When that takes too long.
    pub async fn vend_when(
        &self,
        vend_id: &str,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        self.run.vend_when(vend_id, what, holds).await
    }

    /// See [`gas_testbed::Run::vend_after`].
    ///
    /// # Errors
    /// When the cloud does not show it.
    pub async fn vend_after(
        &self,
        vend_id: &str,
        version: u64,
        wait_ms: u32,
    ) -> anyhow::Result<Value> {
        self.run.vend_after(vend_id, version, wait_ms).await
    }

    /// Pays a payment request at the cashier's page ([`gas_testbed::Run::pay_at_cashier`]).
    ///
    /// # Errors
    /// When the page does not let them.
    pub async fn pay_at_cashier(&self, payment_request: &Value) -> anyhow::Result<()> {
        let link = payment_request["link"].as_str().context("no link to pay")?;
        self.run.pay_at_cashier(link).await
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
