use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long a part may take until it says READY.
const READY_MAX: Duration = Duration::from_secs(60);
/// How long a part may take to stop after SIGTERM; servers give requests under way 10 s.
const STOP_MAX: Duration = Duration::from_secs(15);
/// Lines of a log shown when something failed.
const TAIL_LINES: usize = 30;

/// What a part said when it was ready: `READY http=127.0.0.1:1234` is `{"http": "127.0.0.1:1234"}`.
pub type Ready = BTreeMap<String, String>;

/// A part as a running process. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    ready: Option<oneshot::Receiver<Ready>>,
    log: PathBuf,
}

impl Process {
    /// Starts `command` in `dir`, which becomes its working directory; its output goes to `dir`/log, and
    /// `reads_ready` finds in it that the process is ready.
    ///
    /// A process that an earlier run left there is ended first.
    pub(crate) async fn start(
        mut command: Command,
        dir: &Path,
        reads_ready: fn(&str) -> Option<Ready>,
    ) -> anyhow::Result<Self> {
        end_leftover(dir).await?;
        let log = dir.join("log");
        let file = OpenOptions::new().create(true).append(true).open(&log);
        let file = file.with_context(|| format!("cannot write {}", log.display()))?;
        let program = command.as_std().get_program().to_owned();
        let mut child = command
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file.try_clone()?)
            // A Ctrl-C at the terminal is for us; we stop the parts in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        if let Some(pid) = child.id() {
            fs::write(dir.join("pid"), pid.to_string())?;
        }
        let stdout = child
            .stdout
            .take()
            .context("the standard output is not ours")?;
        let (told, ready) = oneshot::channel();
        tokio::spawn(keep_output(stdout, file, told, reads_ready));
        Ok(Self {
            child,
            ready: Some(ready),
            log,
        })
    }

    /// Waits until it says READY.
    pub(crate) async fn wait_ready(&mut self) -> anyhow::Result<Ready> {
        let ready = self
            .ready
            .take()
            .context("its READY was waited for before")?;
        match timeout(READY_MAX, ready).await {
            Ok(Ok(facts)) => Ok(facts),
            // The sender is gone: the output ended without READY.
            Ok(Err(_)) => {
                let status = self.child.wait().await?;
                Err(anyhow!(
                    "it ended before it was ready ({status})\n{}",
                    self.tail()
                ))
            }
            Err(_) => Err(anyhow!(
                "not ready after {} s\n{}",
                READY_MAX.as_secs(),
                self.tail()
            )),
        }
    }

    /// Whether and how it has ended.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = self.child.id().and_then(pid).context("it has ended")?;
        Ok(kill_process(pid, signal)?)
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) async fn kill9(&mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// SIGTERM, and waits until it is gone; SIGKILL if that takes longer than 15 s.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        if let Some(pid) = self.child.id().and_then(pid) {
            match kill_process(pid, Signal::TERM) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if let Ok(status) = timeout(STOP_MAX, self.child.wait()).await {
            return Ok(status?);
        }
        self.kill9().await?;
        bail!(
            "it did not stop within {} s of SIGTERM and was killed\n{}",
            STOP_MAX.as_secs(),
            self.tail()
        )
    }

    /// Processor time used by its threads that live.
    pub(crate) fn processor_time(&self) -> anyhow::Result<Duration> {
        let pid = self.child.id().context("it has ended")?;
        let mut total = 0_u64;
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            // Linux, Documentation/scheduler/sched-stats.rst: nanoseconds on the processor come first.
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            let spent = text
                .split(' ')
                .next()
                .and_then(|field| field.parse::<u64>().ok());
            total += spent.context("the system's schedstat cannot be understood")?;
        }
        Ok(Duration::from_nanos(total))
    }

    /// The end of its log.
    pub(crate) fn tail(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let last = lines.len().saturating_sub(TAIL_LINES);
        format!(
            "the end of {}:\n  {}",
            self.log.display(),
            lines[last..].join("\n  ")
        )
    }
}

/// Keeps what a process prints in its log, and tells the first READY line.
async fn keep_output(
    stdout: ChildStdout,
    mut log: File,
    told: oneshot::Sender<Ready>,
    reads_ready: fn(&str) -> Option<Ready>,
) {
    let mut lines = BufReader::new(stdout).lines();
    let mut told = Some(told);
    while let Ok(Some(line)) = lines.next_line().await {
        if writeln!(log, "{line}").is_err() {
            return;
        }
        if let Some(facts) = reads_ready(&line)
            && let Some(told) = told.take()
        {
            // Nobody may wait for it any more; the output is kept all the same.
            drop(told.send(facts));
        }
    }
}

/// The facts of a READY line; nothing for any other line.
pub(crate) fn read_ready(line: &str) -> Option<Ready> {
    let mut words = line
        .split_ascii_whitespace()
        .skip_while(|word| *word != "READY");
    words.next()?;
    let facts = words.filter_map(|word| word.split_once('='));
    Some(
        facts
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    )
}

/// Ends a process that an earlier run of the testbed left in `dir` when it was itself killed.
async fn end_leftover(dir: &Path) -> anyhow::Result<()> {
    let Some(left) = read_pid(&dir.join("pid"))?.filter(|left| works_in(*left, dir)) else {
        return Ok(());
    };
    match kill_process(left, Signal::KILL) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => {
            return Err(error).context("an earlier run left a process that cannot be ended");
        }
    }
    let gone = async {
        while works_in(left, dir) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(STOP_MAX, gone)
        .await
        .context("an earlier run left a process that does not end")
}

fn read_pid(file: &Path) -> anyhow::Result<Option<Pid>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(text.trim().parse().ok().and_then(pid)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

fn pid(number: u32) -> Option<Pid> {
    i32::try_from(number).ok().and_then(Pid::from_raw)
}

/// Whether the process is one of ours: its number may be another's by now, its folder is not.
fn works_in(process: Pid, dir: &Path) -> bool {
    let there = fs::read_link(format!("/proc/{}/cwd", process.as_raw_nonzero()));
    let dir = dir.canonicalize();
    matches!((there, dir), (Ok(there), Ok(dir)) if there == dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn ready_lines_are_read_and_others_are_not() {
        let facts = read_ready("RADIO READY hci=127.0.0.1:1 fault=127.0.0.1:2").unwrap();
        assert_eq!(facts["hci"], "127.0.0.1:1");
        assert_eq!(facts["fault"], "127.0.0.1:2");
        assert_eq!(read_ready("READY"), Some(Ready::new()));
        assert_eq!(read_ready("ALREADY http=1"), None);
        assert_eq!(read_ready(""), None);
    }

    #[tokio::test]
    async fn a_process_that_is_ready_tells_its_facts_and_stops() {
        let dir = tempfile::tempdir().unwrap();
        let script =
            "echo hello; echo READY http=1.2.3.4:5; echo more >&2; exec cat /dev/zero >/dev/null";
        let mut process = Process::start(shell(script), dir.path(), read_ready)
            .await
            .unwrap();
        assert_eq!(process.wait_ready().await.unwrap()["http"], "1.2.3.4:5");
        assert_eq!(process.ended().unwrap(), None);
        // The system books the time when it interrupts the process, so the first may come a little later.
        let working = async {
            while process.processor_time().unwrap() == Duration::ZERO {
                tokio::task::yield_now().await;
            }
        };
        timeout(READY_MAX, working).await.unwrap();
        process.stop().await.unwrap();
        assert!(process.ended().unwrap().is_some());
        assert!(process.tail().contains("hello"), "{}", process.tail());
    }

    #[tokio::test]
    async fn one_that_ends_before_it_is_ready_shows_its_log() {
        let dir = tempfile::tempdir().unwrap();
        let script = "echo the key file is gone >&2; exit 3";
        let mut process = Process::start(shell(script), dir.path(), read_ready)
            .await
            .unwrap();
        let error = process.wait_ready().await.unwrap_err().to_string();
        assert!(error.contains("the key file is gone"), "{error}");
        assert!(error.contains('3'), "{error}");
    }

    #[tokio::test]
    async fn a_process_left_by_a_killed_run_is_ended_at_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let script = "echo READY; exec cat /dev/zero >/dev/null";
        let mut left = Process::start(shell(script), dir.path(), read_ready)
            .await
            .unwrap();
        left.wait_ready().await.unwrap();
        let mut next = Process::start(shell(script), dir.path(), read_ready)
            .await
            .unwrap();
        next.wait_ready().await.unwrap();
        assert!(
            left.child
                .wait()
                .await
                .unwrap()
                .to_string()
                .contains("signal: 9")
        );
        assert_eq!(next.ended().unwrap(), None);
        next.kill9().await.unwrap();
    }

    #[test]
    fn a_process_elsewhere_is_none_of_ours() {
        let dir = tempfile::tempdir().unwrap();
        let own = pid(std::process::id()).unwrap();
        assert!(!works_in(own, dir.path()));
        assert!(works_in(own, &std::env::current_dir().unwrap()));
    }
}
