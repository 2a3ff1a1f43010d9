//! Whoever holds the phone: asked in the terminal, or `--yes`.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use gas_api::pay::PaymentRequest;
use reqwest::Client;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines, Stdin, stdin};
use tokio::sync::Mutex;

use crate::screen::{progress, show};
use crate::trouble::Trouble;

const CASHIER_MAX: Duration = Duration::from_secs(15);

/// The user.
pub(crate) struct User {
    /// Agrees to everything, and pays at the provider's cashier page.
    yes: bool,
    /// A script reads stdout: results are one JSON document, nothing else.
    json: bool,
    typed: Mutex<Lines<BufReader<Stdin>>>,
}

impl User {
    pub(crate) fn new(yes: bool, json: bool) -> Self {
        Self {
            yes,
            json,
            typed: Mutex::new(BufReader::new(stdin()).lines()),
        }
    }

    /// Shows something that only people need.
    pub(crate) fn sees(&self, text: &str) {
        if self.json {
            progress(text);
        } else {
            show(text);
        }
    }

    /// Asks a question that only `y` agrees to.
    pub(crate) async fn agrees(&self, question: &str) -> anyhow::Result<bool> {
        if self.yes {
            return Ok(true);
        }
        self.ask(&format!("{question} [y/N] "))?;
        let line = self.line().await?;
        Ok(matches!(
            line.trim().to_lowercase().as_str(),
            "y" | "yes" | "j" | "是"
        ))
    }

    /// Waits until the user says that it is paid; with `--yes`, pays.
    pub(crate) async fn pays(&self, request: &PaymentRequest) -> Result<(), Trouble> {
        if self.yes {
            return pay_at_cashier(request).await;
        }
        self.ask("\nPress Enter when it is paid. ")?;
        self.line().await?;
        Ok(())
    }

    fn ask(&self, question: &str) -> anyhow::Result<()> {
        ensure!(
            io::stdin().is_terminal(),
            "there is nobody to ask: run it in a terminal, or with --yes"
        );
        if self.json {
            progress(question);
        } else {
            let mut screen = io::stdout().lock();
            write!(screen, "{question}")?;
            screen.flush()?;
        }
        Ok(())
    }

    async fn line(&self) -> anyhow::Result<String> {
        let mut typed = self.typed.lock().await;
        let line = typed.next_line().await.context("the terminal")?;
        line.context("the terminal was closed before there was an answer")
    }
}

/// What a person would do in a browser: open the cashier's page, press its one button.
async fn pay_at_cashier(request: &PaymentRequest) -> Result<(), Trouble> {
    let link = request
        .link
        .as_ref()
        .context("this provider has no page where --yes could pay; scan the code without --yes")?;
    let fault = |error: reqwest::Error| Trouble::Cashier(error.to_string());
    let client = Client::builder().timeout(CASHIER_MAX).build();
    let client = client.map_err(fault)?;
    let page = client.get(link).send().await.map_err(fault)?;
    if !page.status().is_success() {
        return Err(Trouble::Cashier(format!("it answered {}", page.status())));
    }
    let mut button = page.url().clone();
    button.set_query(None);
    button.set_path(&format!("{}/pay", button.path().trim_end_matches('/')));
    let paid = client.post(button).send().await.map_err(fault)?;
    if !paid.status().is_success() {
        return Err(Trouble::Cashier(format!("it answered {}", paid.status())));
    }
    Ok(())
}
