//! The serial line to the meter: 2400 baud, 8E1, raw. The port may vanish and come back.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::termios::{self, ControlModes, OptionalActions, speed};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

/// Events and writes that may wait.
const QUEUE: usize = 64;
/// Between attempts to open the port.
const REOPEN: Duration = Duration::from_millis(200);

/// What happened on the line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum SerialEvent {
    Closed,
    Opened,
    Received(Vec<u8>),
}

/// The line, opened again and again by a task of its own.
pub(crate) struct Serial {
    pub(crate) events: mpsc::Receiver<SerialEvent>,
    pub(crate) writes: mpsc::Sender<Vec<u8>>,
}

impl Serial {
    pub(crate) fn start(path: PathBuf) -> Self {
        let (event_sender, events) = mpsc::channel(QUEUE);
        let (writes, write_receiver) = mpsc::channel(QUEUE);
        tokio::spawn(keep_open(path, event_sender, write_receiver));
        Self { events, writes }
    }
}

async fn keep_open(
    path: PathBuf,
    events: mpsc::Sender<SerialEvent>,
    mut writes: mpsc::Receiver<Vec<u8>>,
) {
    let mut told = false;
    while !events.is_closed() {
        match open(&path) {
            Ok(port) => {
                told = false;
                tracing::info!(port = %path.display(), "the serial line is open");
                // What was meant for an earlier line is of no use on this one.
                while writes.try_recv().is_ok() {}
                if events.send(SerialEvent::Opened).await.is_err() {
                    return;
                }
                let error = converse(&port, &events, &mut writes).await;
                tracing::warn!(%error, "the serial line is gone; opening it again");
                if events.send(SerialEvent::Closed).await.is_err() {
                    return;
                }
            }
            Err(error) if !told => {
                told = true;
                tracing::warn!(port = %path.display(), %error, "the serial line cannot be opened; trying on");
            }
            Err(_) => {}
        }
        tokio::time::sleep(REOPEN).await;
    }
}

fn open(path: &Path) -> io::Result<AsyncFd<OwnedFd>> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let port = rustix::fs::open(path, flags, Mode::empty())?;
    let mut settings = termios::tcgetattr(&port)?;
    settings.make_raw();
    settings.set_speed(speed::B2400)?;
    settings.control_modes -= ControlModes::PARODD | ControlModes::CSTOPB;
    settings.control_modes |= ControlModes::PARENB | ControlModes::CREAD | ControlModes::CLOCAL;
    // A pseudo terminal has no parity and says nothing about it; a real port takes it.
    termios::tcsetattr(&port, OptionalActions::Now, &settings)?;
    Ok(AsyncFd::register(port)?)
}

/// Reads and writes until the line fails.
async fn converse(
    port: &AsyncFd<OwnedFd>,
    events: &mpsc::Sender<SerialEvent>,
    writes: &mut mpsc::Receiver<Vec<u8>>,
) -> io::Error {
    let mut buffer = [0; 512];
    loop {
        tokio::select! {
            read = read(port, &mut buffer) => match read {
                Ok(0) => return io::ErrorKind::UnexpectedEof.into(),
                Ok(length) => {
                    let bytes = buffer.get(..length).unwrap_or(&[]).to_vec();
                    if events.send(SerialEvent::Received(bytes)).await.is_err() {
                        return io::ErrorKind::BrokenPipe.into();
                    }
                }
                Err(error) => return error,
            },
            bytes = writes.recv() => {
                let Some(bytes) = bytes else { return io::ErrorKind::BrokenPipe.into() };
                if let Err(error) = write_all(port, &bytes).await {
                    return error;
                }
            }
        }
    }
}

async fn read(port: &AsyncFd<OwnedFd>, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        let mut ready = port.readable().await?;
        let attempt = ready.try_io(|port| Ok(rustix::io::read(port.get_ref(), &mut *buffer)?));
        if let Ok(outcome) = attempt {
            return outcome;
        }
    }
}

async fn write_all(port: &AsyncFd<OwnedFd>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let mut ready = port.writable().await?;
        let attempt = ready.try_io(|port| Ok(rustix::io::write(port.get_ref(), bytes)?));
        if let Ok(written) = attempt {
            bytes = bytes.get(written?..).unwrap_or(&[]);
        }
    }
    Ok(())
}
