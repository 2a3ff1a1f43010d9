use std::io::{self, Write as _};
use std::time::Instant;

use gas_testbed::{Part, Run};

/// A line of what was asked for, on stdout.
pub(crate) fn show(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

/// A line about what is going on, on stderr.
pub(crate) fn progress(line: &str) -> io::Result<()> {
    writeln!(io::stderr().lock(), "{line}")
}

/// Starts everything, and says so while it does.
pub(crate) async fn start_all(run: &mut Run) -> anyhow::Result<()> {
    let started = Instant::now();
    let titles: Vec<&str> = run.parts().map(Part::title).collect();
    let titles = titles.join(", ");
    progress(&format!("Starting {titles} ..."))?;
    run.start_all().await?;
    let seconds = started.elapsed().as_millis();
    progress(&format!(
        "All ready after {}.{} s. Keys, data and logs: {}",
        seconds / 1000,
        seconds % 1000 / 100,
        run.dir().display()
    ))?;
    Ok(())
}

/// Waits for Ctrl-C or SIGTERM.
pub(crate) async fn until_stopped() -> io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed,
        _ = terminate.recv() => Ok(()),
    }
}
