//! What people do to the simulated meter and to the air: press its button, burn gas, cut a link.

use anyhow::{Context as _, ensure};
use gas_units::{UnixTime, Volume};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpStream, UnixStream};

use crate::house::{GAS_BEFORE, HOME, House};
use crate::run::Run;

impl Run {
    /// One command at the meter itself (`docs/protocols/meter-control.md`), like `{"op":"press"}`, and its
    /// answer: the meter's whole state.
    ///
    /// # Errors
    /// When the meter does not run or refuses the command.
    pub async fn at_meter(&self, op: &Value) -> anyhow::Result<Value> {
        self.at_meter_of(HOME, op).await
    }

    /// As [`Run::at_meter`], at the meter of this house.
    ///
    /// # Errors
    /// As [`Run::at_meter`].
    pub async fn at_meter_of(&self, house: House, op: &Value) -> anyhow::Result<Value> {
        let socket = UnixStream::connect(self.site.meter_control(house)).await;
        ask(socket.context("the meter does not run")?, op).await
    }

    /// The meter's state, as its display would show it.
    ///
    /// # Errors
    /// When the meter does not run.
    pub async fn meter(&self) -> anyhow::Result<Value> {
        self.at_meter(&json!({"op": "show"})).await
    }

    /// Has the radio misbehave: one request of its fault port (see `testbed/radio.py`), and its answer.
    ///
    /// # Errors
    /// When the radio does not run or refuses the request.
    pub async fn radio(&self, request: &Value) -> anyhow::Result<Value> {
        let port = TcpStream::connect(self.site.address("faults")?).await;
        ask(port.context("the radio does not run")?, request).await
    }

    /// Gives a new meter its past: gas used in this year, then [`Settings::days_lived`] days of the
    /// household's life at once, until the meter's clock shows now. Does nothing to a
    /// meter that has lived already.
    ///
    /// [`Settings::days_lived`]: crate::Settings::days_lived
    ///
    /// # Errors
    /// When the meter does not run.
    pub async fn live_until_now(&self) -> anyhow::Result<()> {
        let state = self.meter().await?;
        let register: Volume = field(&state, "register_centi_m3")?;
        if register != HOME.register {
            return Ok(());
        }
        self.at_meter(&json!({"op": "burn", "centi_m3": GAS_BEFORE}))
            .await?;
        if self.site.settings().days_lived == 0 {
            return Ok(());
        }
        let behind = self.seconds_behind().await?;
        self.at_meter(&json!({"op": "live", "seconds": behind}))
            .await?;
        Ok(())
    }

    async fn seconds_behind(&self) -> anyhow::Result<u32> {
        let clock: UnixTime = field(&self.meter().await?, "time")?;
        Ok(gas_http::now()
            .to_unix_time()
            .seconds()
            .saturating_sub(clock.seconds()))
    }
}

fn field<T: serde::de::DeserializeOwned>(state: &Value, name: &str) -> anyhow::Result<T> {
    serde_json::from_value(state[name].clone())
        .with_context(|| format!("the meter shows no {name}"))
}

/// One line of JSON there, one back. What says `"ok": false` is an error.
async fn ask(
    mut socket: impl AsyncRead + AsyncWrite + Unpin,
    request: &Value,
) -> anyhow::Result<Value> {
    socket.write_all(format!("{request}\n").as_bytes()).await?;
    let mut line = String::new();
    BufReader::new(socket).read_line(&mut line).await?;
    let answer: Value = serde_json::from_str(&line).context("no JSON came back")?;
    ensure!(
        answer["ok"] == true,
        "{request} was refused: {}",
        answer["error"]
    );
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answered_with(answer: &'static str) -> anyhow::Result<Value> {
        let (ours, theirs) = tokio::io::duplex(1024);
        let other = tokio::spawn(async move {
            let mut theirs = BufReader::new(theirs);
            let mut request = String::new();
            theirs.read_line(&mut request).await.unwrap();
            theirs.write_all(answer.as_bytes()).await.unwrap();
            request
        });
        let result = ask(ours, &json!({"op": "show"})).await;
        assert_eq!(other.await.unwrap(), "{\"op\":\"show\"}\n");
        result
    }

    #[tokio::test]
    async fn an_answer_is_believed_only_when_it_is_ok() {
        assert_eq!(
            answered_with("{\"ok\":true,\"x\":1}\n").await.unwrap()["x"],
            1
        );
        let error = answered_with("{\"ok\":false,\"error\":\"no\"}\n")
            .await
            .unwrap_err();
        assert!(error.to_string().contains("\"no\""), "{error}");
        assert!(answered_with("").await.is_err());
    }
}
