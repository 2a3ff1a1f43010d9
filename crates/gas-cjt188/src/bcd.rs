/// `N` bytes of packed decimal, least significant byte first: 2 × `N` digits, `N` at most 4.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bcd<const N: usize>([u8; N]);

/// A nibble above 9.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("byte {0:#04x} is not packed decimal")]
pub struct BcdError(pub u8);

impl<const N: usize> Bcd<N> {
    /// The largest number that fits, 10^(2N) - 1.
    pub const MAX: u32 = {
        assert!(N >= 1 && N <= 4, "a u32 holds 4 packed decimal bytes");
        let mut limit: u64 = 1;
        let mut place = 0;
        while place < N {
            limit *= 100;
            place += 1;
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "10^8 - 1 fits; try_from is not const"
        )]
        let max = (limit - 1) as u32;
        max
    };

    /// Packs a number; `None` where it needs more digits.
    #[must_use]
    pub fn new(value: u32) -> Option<Self> {
        (value <= Self::MAX).then(|| Self::clamped(value))
    }

    /// Packs a number; the largest that fits where it needs more digits.
    #[must_use]
    pub fn clamped(value: u32) -> Self {
        let mut rest = value.min(Self::MAX);
        let mut bytes = [0; N];
        for byte in &mut bytes {
            *byte = pack(rest % 100);
            rest /= 100;
        }
        Self(bytes)
    }

    /// Takes bytes as they came, least significant first.
    ///
    /// # Errors
    /// [`BcdError`] with the first byte that has a nibble above 9.
    pub fn from_bytes(bytes: [u8; N]) -> Result<Self, BcdError> {
        match bytes.iter().find(|byte| !is_packed(**byte)) {
            Some(byte) => Err(BcdError(*byte)),
            None => Ok(Self(bytes)),
        }
    }

    /// The number.
    #[must_use]
    pub fn value(self) -> u32 {
        self.0.iter().rev().fold(0, |value: u32, byte| {
            value.saturating_mul(100).saturating_add(unpack(*byte))
        })
    }

    /// The bytes, least significant first.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; N] {
        self.0
    }
}

/// Whether both nibbles are decimal digits.
pub(crate) const fn is_packed(byte: u8) -> bool {
    byte >> 4 <= 9 && byte & 0x0F <= 9
}

fn unpack(byte: u8) -> u32 {
    u32::from(byte >> 4) * 10 + u32::from(byte & 0x0F)
}

fn pack(below_hundred: u32) -> u8 {
    let [digits, ..] = (below_hundred / 10 * 16 + below_hundred % 10).to_le_bytes();
    digits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn least_significant_byte_first() {
        let packed = Bcd::<4>::new(123_456).unwrap();
        assert_eq!(packed.to_bytes(), [0x56, 0x34, 0x12, 0x00]);
        assert_eq!(packed.value(), 123_456);
    }

    #[test]
    fn too_large_is_refused_or_clamped() {
        assert_eq!(Bcd::<3>::new(1_000_000), None);
        assert_eq!(Bcd::<3>::clamped(1_000_000).value(), 999_999);
        assert_eq!(Bcd::<4>::MAX, 99_999_999);
        assert_eq!(Bcd::<1>::MAX, 99);
    }

    #[test]
    fn nibbles_above_nine_are_refused() {
        assert_eq!(Bcd::from_bytes([0x12, 0x3A]), Err(BcdError(0x3A)));
        assert_eq!(Bcd::from_bytes([0xA1, 0x00]), Err(BcdError(0xA1)));
    }

    proptest! {
        #[test]
        fn numbers_come_back(value in 0..=99_999_999_u32) {
            let packed = Bcd::<4>::new(value).unwrap();
            prop_assert_eq!(packed.value(), value);
            prop_assert_eq!(Bcd::from_bytes(packed.to_bytes()), Ok(packed));
        }
    }
}
