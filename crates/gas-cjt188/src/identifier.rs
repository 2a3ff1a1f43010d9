use core::fmt;

/// A data identifier (DI), written as the 2004 edition sends it: `901F`, high byte first.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
pub struct Identifier(pub u16);

impl Identifier {
    /// 901F: current reading.
    pub const READING: Self = Self(0x901F);
    /// 8102: price table.
    pub const PRICES: Self = Self(0x8102);
    /// 8105: purchases.
    pub const PURCHASES: Self = Self(0x8105);
    /// 810A: address.
    pub const ADDRESS: Self = Self(0x810A);
    /// A015: time.
    pub const TIME: Self = Self(0xA015);
    /// A017: valve.
    pub const VALVE: Self = Self(0xA017);
    /// A201 (maker): deliver a token or setting.
    pub const DELIVER: Self = Self(0xA201);
    /// A202 (maker): ask for a status.
    pub const ASK: Self = Self(0xA202);
    /// A203 (maker): one record.
    pub const RECORD: Self = Self(0xA203);
    /// A204 (maker): which records are kept.
    pub const RECORDS_KEPT: Self = Self(0xA204);
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}", self.0)
    }
}

/// In which order a meter's identifiers stand on the wire. Both are understood on receive.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum IdentifierOrder {
    /// 2004: `90 1F`.
    #[default]
    HighFirst,
    /// 2018, and some meters of 2004: `1F 90`.
    LowFirst,
}

impl IdentifierOrder {
    pub(crate) const fn write(self, identifier: Identifier) -> [u8; 2] {
        match self {
            Self::HighFirst => identifier.0.to_be_bytes(),
            Self::LowFirst => identifier.0.to_le_bytes(),
        }
    }

    /// Finds the order from the bytes: only high bytes of identifiers are in 81, 82, 90, A0..A2,
    /// D1..D4. Where both bytes are, or none is, it is the 2004 order.
    pub(crate) const fn read(bytes: [u8; 2]) -> (Identifier, Self) {
        let [first, second] = bytes;
        if is_high_byte(second) && !is_high_byte(first) {
            (Identifier(u16::from_le_bytes(bytes)), Self::LowFirst)
        } else {
            (Identifier(u16::from_be_bytes(bytes)), Self::HighFirst)
        }
    }
}

const fn is_high_byte(byte: u8) -> bool {
    matches!(byte, 0x81 | 0x82 | 0x90 | 0xA0..=0xA2 | 0xD1..=0xD4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_orders_are_told_apart_for_every_identifier_in_use() {
        for value in [
            0x901F, 0x8102, 0x8103, 0x8104, 0x8105, 0x8106, 0x810A, 0xA010, 0xA013, 0xA015, 0xA017,
            0xA201, 0xA202, 0xA203, 0xA204, 0xD120, 0xD12B,
        ] {
            let identifier = Identifier(value);
            for order in [IdentifierOrder::HighFirst, IdentifierOrder::LowFirst] {
                let read = IdentifierOrder::read(order.write(identifier));
                assert_eq!(read, (identifier, order), "{identifier}");
            }
        }
    }
}
