use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::fs::{Mode, OFlags, fcntl_setfl, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

/// Bytes that are sent at once when pacing, and the time they take at 2400 baud 8E1 (11 bits each).
const PACED_BYTES: usize = 2;
const PACED_TIME: Duration = Duration::from_micros(2 * 4584);

/// The meter's serial line: the master of a pseudo terminal whose slave the card opens.
pub(crate) struct Tty {
    /// Two handles of the master. Tokio's pipe ends wait for any file that can be polled.
    from_card: pipe::Receiver,
    to_card: Arc<Mutex<pipe::Sender>>,
    /// Held open, so that the line stays up while no card is plugged in.
    _slave: OwnedFd,
    sending: Option<JoinHandle<()>>,
    pace: bool,
    link: PathBuf,
    line: PathBuf,
}

impl Drop for Tty {
    /// Takes the link away: the system gives the line's name to others next, and a card that opened it
    /// would talk to them. A link to another line is another meter's.
    fn drop(&mut self) {
        if std::fs::read_link(&self.link).is_ok_and(|line| line == self.line)
            && let Err(error) = std::fs::remove_file(&self.link)
        {
            tracing::warn!(%error, link = %self.link.display(), "the link to the serial line stays");
        }
    }
}

impl Tty {
    /// Makes the line and points `link` to it.
    pub(crate) fn open(link: &Path, pace: bool) -> anyhow::Result<Self> {
        let (master, slave, path) = open_pair().context("cannot make a pseudo terminal")?;
        let writer = master
            .try_clone()
            .and_then(pipe::Sender::from_file_unchecked)
            .context("cannot write to the pseudo terminal")?;
        let from_card = pipe::Receiver::from_file_unchecked(master)
            .context("cannot wait for the pseudo terminal")?;
        point(link, &path)?;
        Ok(Self {
            from_card,
            to_card: Arc::new(Mutex::new(writer)),
            _slave: slave,
            sending: None,
            pace,
            link: link.to_owned(),
            line: path,
        })
    }

    /// Waits for bytes from the card.
    pub(crate) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.from_card.read(buffer).await
    }

    /// Sends bytes after a delay. Whatever was still to be sent is dropped: the card has asked again.
    pub(crate) fn transmit(&mut self, wire: Vec<u8>, delay: Duration) {
        if let Some(sending) = self.sending.take() {
            sending.abort();
        }
        let (to_card, pace) = (Arc::clone(&self.to_card), self.pace);
        self.sending = Some(tokio::spawn(async move {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            let mut to_card = to_card.lock().await;
            if let Err(error) = send(&mut to_card, &wire, pace).await {
                tracing::warn!(%error, "an answer could not be sent; the card will ask again");
            }
        }));
    }
}

async fn send(to_card: &mut pipe::Sender, wire: &[u8], pace: bool) -> io::Result<()> {
    let at_once = if pace { PACED_BYTES } else { wire.len().max(1) };
    for chunk in wire.chunks(at_once) {
        to_card.write_all(chunk).await?;
        if pace {
            tokio::time::sleep(PACED_TIME).await;
        }
    }
    Ok(())
}

fn open_pair() -> io::Result<(File, OwnedFd, PathBuf)> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?;
    let path = PathBuf::from(OsStr::from_bytes(name.as_bytes()));
    let slave = open(
        &path,
        OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let mut settings = tcgetattr(&slave)?;
    settings.make_raw();
    tcsetattr(&slave, OptionalActions::Now, &settings)?;
    fcntl_setfl(&master, OFlags::NONBLOCK)?;
    Ok((File::from(master), slave, path))
}

/// Points the link to the line, in one step: whoever opens it gets the old line or the new one.
fn point(link: &Path, target: &Path) -> anyhow::Result<()> {
    let shown = link.display();
    if link
        .symlink_metadata()
        .is_ok_and(|found| !found.is_symlink())
    {
        bail!("{shown} exists and is not a symbolic link; choose another --tty-link");
    }
    let mut unfinished = link.as_os_str().to_owned();
    unfinished.push(".new");
    let _stale = std::fs::remove_file(&unfinished);
    symlink(target, &unfinished)
        .and_then(|()| std::fs::rename(&unfinished, link))
        .with_context(|| format!("cannot make the link {shown}"))
}
