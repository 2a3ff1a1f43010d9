use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

/// How long requests under way may take to end after a stop is wanted.
const GRACE: Duration = Duration::from_secs(10);

/// Says to all who hold a copy that the program is to stop.
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Stop {
    /// One that is wanted when [`Stop::now`] says so.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// One that is also wanted at SIGTERM or SIGINT.
    ///
    /// # Errors
    /// When the signals cannot be listened to.
    pub fn on_signals() -> io::Result<Self> {
        let stop = Self::new();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let told = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            told.now();
        });
        Ok(stop)
    }

    /// Wants the stop.
    pub fn now(&self) {
        self.0.send_replace(true);
    }

    /// Waits until the stop is wanted.
    pub async fn wanted(&self) {
        let mut wanted = self.0.subscribe();
        // Cannot fail: `self` holds the sender.
        while wanted.wait_for(|wanted| *wanted).await.is_err() {}
    }
}

/// Serves until `stop`, then lets requests under way end for at most 10 s.
///
/// Prints `READY http=ADDRESS:PORT` on stdout once connections are taken: whoever started the program
/// on port 0 reads the port there. Routes can ask for the peer's address with `ConnectInfo<SocketAddr>`.
///
/// # Errors
/// When the listener or stdout fails.
pub async fn serve(listener: TcpListener, router: Router, stop: Stop) -> io::Result<()> {
    let address = listener.local_addr()?;
    writeln!(io::stdout().lock(), "READY http={address}")?;
    io::stdout().flush()?;
    tracing::info!(%address, "serving");
    let listener = listener.tap_io(|connection| {
        // Small answers must not wait for the acknowledgement of earlier ones.
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
    });
    let late = stop.clone();
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let serving =
        axum::serve(listener, service).with_graceful_shutdown(async move { stop.wanted().await });
    tokio::select! {
        ended = serving => ended,
        () = async { late.wanted().await; tokio::time::sleep(GRACE).await } => {
            tracing::warn!("requests were still under way 10 s after the stop; they are cut");
            Ok(())
        }
    }
}

/// Logs to stderr: what `RUST_LOG` asks for, or `info`. A second call changes nothing.
pub fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false)
        .try_init();
    if started.is_err() {
        tracing::debug!("logging had been started before");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stop_reaches_every_copy_whenever_it_waits() {
        let stop = Stop::new();
        let waiting = tokio::spawn({
            let stop = stop.clone();
            async move { stop.wanted().await }
        });
        stop.now();
        waiting.await.unwrap();
        stop.clone().wanted().await;
    }
}
