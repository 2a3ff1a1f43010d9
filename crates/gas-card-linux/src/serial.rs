//! The serial line to the meter: 2400 baud, 8E1, raw. The port may vanish and come back.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::termios::{self, ControlModes, OptionalActions, speed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

/// Events and writes that may wait.
const QUEUE: usize = 64;
/// Between attempts to open the port.
const REOPEN: Duration = Duration::from_millis(200);
/// Bytes that are sent at once when pacing, and the time they take at 2400 baud 8E1 (11 bits each).
const PACED_BYTES: usize = 2;
const PACED_TIME: Duration = Duration::from_micros(2 * 4584);

/// What happened on the line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum SerialEvent {
    Closed,
    Opened,
    Received(Vec<u8>),
}

/// An open port, twice: tokio's pipe ends wait for any file that can be polled.
struct Port {
    from_meter: pipe::Receiver,
    to_meter: pipe::Sender,
}

/// The line, opened again and again by a task of its own.
pub(crate) struct Serial {
    pub(crate) events: mpsc::Receiver<SerialEvent>,
    pub(crate) writes: mpsc::Sender<Vec<u8>>,
}

impl Serial {
    pub(crate) fn start(path: PathBuf, pace: bool) -> Self {
        let (event_sender, events) = mpsc::channel(QUEUE);
        let (writes, write_receiver) = mpsc::channel(QUEUE);
        tokio::spawn(keep_open(path, pace, event_sender, write_receiver));
        Self { events, writes }
    }
}

async fn keep_open(
    path: PathBuf,
    pace: bool,
    events: mpsc::Sender<SerialEvent>,
    mut writes: mpsc::Receiver<Vec<u8>>,
) {
    let mut told = false;
    while !events.is_closed() {
        match open(&path) {
            Ok(mut port) => {
                told = false;
                tracing::info!(port = %path.display(), "the serial line is open");
                // What was meant for an earlier line is of no use on this one.
                while writes.try_recv().is_ok() {}
                if events.send(SerialEvent::Opened).await.is_err() {
                    return;
                }
                let error = converse(&mut port, pace, &events, &mut writes).await;
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

fn open(path: &Path) -> io::Result<Port> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let port = rustix::fs::open(path, flags, Mode::empty())?;
    let mut settings = termios::tcgetattr(&port)?;
    settings.make_raw();
    settings.set_speed(speed::B2400)?;
    settings.control_modes -= ControlModes::PARODD | ControlModes::CSTOPB;
    settings.control_modes |= ControlModes::PARENB | ControlModes::CREAD | ControlModes::CLOCAL;
    // A pseudo terminal has no parity and says nothing about it; a real port takes it.
    termios::tcsetattr(&port, OptionalActions::Now, &settings)?;
    let port = File::from(port);
    Ok(Port {
        to_meter: pipe::Sender::from_file_unchecked(port.try_clone()?)?,
        from_meter: pipe::Receiver::from_file_unchecked(port)?,
    })
}

/// Reads and writes until the line fails.
async fn converse(
    port: &mut Port,
    pace: bool,
    events: &mpsc::Sender<SerialEvent>,
    writes: &mut mpsc::Receiver<Vec<u8>>,
) -> io::Error {
    let mut buffer = [0; 512];
    loop {
        tokio::select! {
            read = port.from_meter.read(&mut buffer) => match read {
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
                if let Err(error) = send(&mut port.to_meter, &bytes, pace).await {
                    return error;
                }
            }
        }
    }
}

/// Nothing is read meanwhile: the line is half duplex.
async fn send(to_meter: &mut pipe::Sender, bytes: &[u8], pace: bool) -> io::Result<()> {
    let at_once = if pace {
        PACED_BYTES
    } else {
        bytes.len().max(1)
    };
    for chunk in bytes.chunks(at_once) {
        to_meter.write_all(chunk).await?;
        if pace {
            tokio::time::sleep(PACED_TIME).await;
        }
    }
    Ok(())
}
