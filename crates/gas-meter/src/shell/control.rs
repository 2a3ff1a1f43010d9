//! The control socket: JSON lines, one answer line each (docs/protocols/meter-control.md).

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use gas_meter::View;
use gas_units::Volume;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Longest command line, its line feed included.
const LINE_MAX: u64 = 1024;
/// Most callers at once.
const CALLERS_MAX: usize = 16;

/// What can be done at the meter itself.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Op {
    Show {},
    Press {},
    Burn { centi_m3: Volume },
    Speed { factor: u32 },
    Live { seconds: u32 },
    Tamper {},
    Battery { percent: u8 },
    ClockLost {},
}

/// One answer line.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    pub(crate) ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) burnt_centi_m3: Option<Volume>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) speed: Option<u32>,
    #[serde(flatten)]
    pub(crate) view: Option<View>,
}

impl Answer {
    fn refusal(error: String) -> Self {
        Self {
            ok: false,
            error: Some(error),
            burnt_centi_m3: None,
            speed: None,
            view: None,
        }
    }
}

/// A command and where its answer goes.
pub(crate) struct Call {
    pub(crate) op: Op,
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// Listens at `path`; commands come out of the channel.
pub(crate) fn listen(path: &Path) -> anyhow::Result<mpsc::Receiver<Call>> {
    let shown = path.display();
    match path.symlink_metadata() {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path)
            .with_context(|| format!("cannot remove the old socket {shown}"))?,
        Ok(_) => bail!("{shown} exists and is not a socket; choose another --control"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot look at {shown}")),
    }
    let listener = UnixListener::bind(path).with_context(|| format!("cannot listen at {shown}"))?;
    fs::set_permissions(path, Permissions::from_mode(0o600))
        .with_context(|| format!("cannot protect {shown}"))?;
    let (calls, receiver) = mpsc::channel(CALLERS_MAX);
    tokio::spawn(accept(listener, calls));
    Ok(receiver)
}

async fn accept(listener: UnixListener, calls: mpsc::Sender<Call>) {
    let places = Arc::new(Semaphore::new(CALLERS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let calls = calls.clone();
                tokio::spawn(async move {
                    if let Err(error) = converse(stream, &calls).await {
                        tracing::debug!(%error, "a control caller went away");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a control caller could not be taken");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse(stream: UnixStream, calls: &mpsc::Sender<Call>) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let mut line = Vec::new();
    loop {
        line.clear();
        let count = (&mut read)
            .take(LINE_MAX)
            .read_until(b'\n', &mut line)
            .await?;
        if count == 0 {
            return Ok(());
        }
        let whole = line.ends_with(b"\n");
        let answer = if whole || line.len() < usize::try_from(LINE_MAX).unwrap_or(0) {
            call(&line, calls).await
        } else {
            Answer::refusal(format!("a command has at most {LINE_MAX} bytes"))
        };
        let mut text = serde_json::to_vec(&answer)?;
        text.push(b'\n');
        write.write_all(&text).await?;
        if !whole {
            return Ok(());
        }
    }
}

async fn call(line: &[u8], calls: &mpsc::Sender<Call>) -> Answer {
    let op: Op = match serde_json::from_slice(line) {
        Ok(op) => op,
        Err(error) => return Answer::refusal(format!("not a command: {error}")),
    };
    let (answer, answered) = oneshot::channel();
    let stopping = || Answer::refusal("the meter is stopping".to_owned());
    if calls.send(Call { op, answer }).await.is_err() {
        return stopping();
    }
    answered.await.unwrap_or_else(|_| stopping())
}
