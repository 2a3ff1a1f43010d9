//! HCI H4 over TCP, as the host stack takes it.

use std::fmt;
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll};

use bt_hci_serial::SerialTransport;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embedded_io_adapters::tokio_1::FromTokio;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use trouble_host::prelude::{Address, ExternalController};

/// Commands under way at once.
const COMMANDS: usize = 10;

pub(crate) type Controller = ExternalController<
    SerialTransport<NoopRawMutex, FromTokio<QuickAck>, FromTokio<OwnedWriteHalf>>,
    COMMANDS,
>;

/// The controller cannot be reached, or the stack on it failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HciError {
    /// No connection to the controller.
    #[error("the Bluetooth controller at {address} cannot be reached")]
    Connect {
        /// `host:port`.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The stack ended.
    #[error("the Bluetooth stack ended: {0}")]
    Stack(String),
}

pub(crate) async fn open(address: &str) -> Result<Controller, HciError> {
    let fault = |source| HciError::Connect {
        address: address.to_owned(),
        source,
    };
    let stream = TcpStream::connect(address).await.map_err(fault)?;
    stream.set_nodelay(true).map_err(fault)?;
    let (reader, writer) = stream.into_split();
    let transport = SerialTransport::new(FromTokio::new(QuickAck(reader)), FromTokio::new(writer));
    Ok(ExternalController::new(transport))
}

/// Acknowledges at once: a controller that collects small packets waits 40 ms for it otherwise. The
/// option does not last, so it is set again at every read.
pub(crate) struct QuickAck(OwnedReadHalf);

impl AsyncRead for QuickAck {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let read = Pin::new(&mut self.0).poll_read(cx, buffer);
        if let Err(error) = rustix::net::sockopt::set_tcp_quickack(self.0.as_ref(), true) {
            tracing::trace!(%error, "no quick acknowledgements: slower, nothing else");
        }
        read
    }
}

/// A static random Bluetooth address (Bluetooth Core, Vol 6 Part B, 1.3.2.1): top bits 11.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct BluetoothAddress([u8; 6]);

/// Not a static random address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BluetoothAddressError {
    /// Not six hexadecimal bytes.
    #[error("a Bluetooth address is written like F0:11:22:33:44:55")]
    Format,
    /// The two top bits are not 11.
    #[error("a static random Bluetooth address begins with C, D, E or F")]
    NotStatic,
}

impl BluetoothAddress {
    /// Takes six bytes, most significant first, and makes them static random.
    #[must_use]
    pub const fn from_random(mut bytes: [u8; 6]) -> Self {
        bytes[0] |= 0xC0;
        Self(bytes)
    }

    pub(crate) fn to_host(self) -> Address {
        let mut little_endian = self.0;
        little_endian.reverse();
        Address::random(little_endian)
    }

    pub(crate) fn from_host(address: Address) -> Self {
        let mut bytes = [0; 6];
        bytes.copy_from_slice(address.addr.raw());
        bytes.reverse();
        Self(bytes)
    }
}

impl fmt::Display for BluetoothAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02X}:{b:02X}:{c:02X}:{d:02X}:{e:02X}:{g:02X}")
    }
}

impl FromStr for BluetoothAddress {
    type Err = BluetoothAddressError;

    fn from_str(text: &str) -> Result<Self, BluetoothAddressError> {
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2);
            let part = part.ok_or(BluetoothAddressError::Format)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| BluetoothAddressError::Format)?;
        }
        if parts.next().is_some() {
            return Err(BluetoothAddressError::Format);
        }
        if bytes[0] >> 6 != 0b11 {
            return Err(BluetoothAddressError::NotStatic);
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_static_random_and_read_back() {
        let address: BluetoothAddress = "F0:11:22:33:44:55".parse().unwrap();
        assert_eq!(address.to_string(), "F0:11:22:33:44:55");
        assert_eq!(BluetoothAddress::from_host(address.to_host()), address);
        assert_eq!(
            "30:11:22:33:44:55".parse::<BluetoothAddress>(),
            Err(BluetoothAddressError::NotStatic)
        );
        for text in [
            "",
            "F0:11",
            "F0:11:22:33:44:55:66",
            "F0-11-22-33-44-55",
            "F:11:22:33:44:5G",
        ] {
            assert_eq!(
                text.parse::<BluetoothAddress>(),
                Err(BluetoothAddressError::Format)
            );
        }
        assert_eq!(
            BluetoothAddress::from_random([0; 6]).to_string(),
            "C0:00:00:00:00:00"
        );
    }
}
