//! What people do to the simulated meter and to the air: press its button, burn gas, cut a link.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use gas_units::{UnixTime, Volume};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::sleep;

use crate::parts::{GAS_BEFORE, NEW_METER_REGISTER};
use crate::run::Run;

/// How often to look at the meter's clock while its time runs fast.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The meter's clock counts as right when it is at most so many seconds behind.
const BEHIND_MAX: u32 = 60;

/// How fast the meter's time runs while it is so many seconds behind: two of the meter's turns of 200 ms
/// pass less than that, so its clock never runs ahead of ours.
const fn catch_up_speed(behind: u32) -> u32 {
    behind.saturating_mul(2)
}

impl Run {
    /// One command at the meter itself (`docs/protocols/meter-control.md`), like `{"op":"press"}`, and its
    /// answer: the meter's whole state.
    ///
    /// # Errors
    /// When the meter does not run or refuses the command.
    pub async fn at_meter(&self, op: &Value) -> anyhow::Result<Value> {
        let socket = UnixStream::connect(self.site.meter_control()).await;
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
    /// household's life in a few seconds, until the meter's clock shows about now. Does nothing to a
    /// meter that has lived already.
    ///
    /// [`Settings::days_lived`]: crate::Settings::days_lived
    ///
    /// # Errors
    /// When the meter does not run.
    pub async fn live_until_now(&self) -> anyhow::Result<()> {
        let state = self.meter().await?;
        let register: Volume = field(&state, "register_centi_m3")?;
        if register != NEW_METER_REGISTER {
            return Ok(());
        }
        self.at_meter(&json!({"op": "burn", "centi_m3": GAS_BEFORE}))
            .await?;
        if self.site.settings().days_lived == 0 {
            return Ok(());
        }
        loop {
            let behind = self.seconds_behind().await?;
            if behind <= BEHIND_MAX {
                break;
            }
            let factor = catch_up_speed(behind);
            self.at_meter(&json!({"op": "speed", "factor": factor}))
                .await?;
            sleep(LOOK_EVERY).await;
        }
        let speed = self.site.settings().speed;
        self.at_meter(&json!({"op": "speed", "factor": speed}))
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

    #[test]
    fn the_clock_never_runs_ahead() {
        for behind in [61, 100_000, 10_000_000] {
            // One turn of 200 ms passes a fifth of the speed; the next look may come a turn late.
            assert!(catch_up_speed(behind) / 5 * 2 <= behind);
        }
    }
}
