//! Bluetooth addresses as people write them.

use std::fmt;
use std::str::FromStr;

use trouble_host::prelude::{AddrKind, Address, BdAddr};

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
        Address {
            kind: AddrKind::RANDOM,
            addr: BdAddr::new(little_endian),
        }
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
            let part = parts.next().ok_or(BluetoothAddressError::Format)?;
            let digits = part.bytes().all(|digit| digit.is_ascii_hexdigit());
            *byte = u8::from_str_radix(part, 16)
                .ok()
                .filter(|_| digits && part.len() == 2)
                .ok_or(BluetoothAddressError::Format)?;
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
            "F0:11:22:33:44:5G",
            "F:11:22:33:44:055",
            "F0:11:22:33:44:+5",
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
