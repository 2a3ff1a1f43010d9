//! Key derivation and tags of the recharge data; for the issuing and the verifying side only.
//!
//! `K_meter = AES(MK, meter | generation | "PLMETER1")` is made by the company (gas-token-issue); from it
//! come the five purpose keys `K_x = AES(K_meter, "PILOTLIGHT." x)`. Carriers never link this crate.
//! Source: `docs/protocols/token.md`, "Keys".
#![no_std]
#![forbid(unsafe_code)]

use core::fmt;

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt as _, KeyInit as _};
use cmac::{Cmac, Mac as _};
use gas_token::Tag;
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, ZeroizeOnDrop};

/// One AES block: `AES-128(key, block)`.
#[must_use]
pub fn encrypt_block(key: &[u8; 16], block: [u8; 16]) -> [u8; 16] {
    let mut block = Array::from(block);
    Aes128::new(&Array::from(*key)).encrypt_block(&mut block);
    block.into()
}

/// The key of one meter and one generation. A meter holds only its own.
#[derive(Clone, ZeroizeOnDrop)]
pub struct MeterKey([u8; 16]);

impl MeterKey {
    /// Takes the 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes, for provisioning a meter. Keep them where only their holder can read.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 16] {
        &self.0
    }

    /// The five purpose keys.
    #[must_use]
    pub fn purposes(&self) -> MeterKeys {
        let derive = |purpose: &[u8; 5]| {
            let mut block = *b"PILOTLIGHT.?????";
            for (to, from) in block.iter_mut().skip(11).zip(purpose) {
                *to = *from;
            }
            PurposeKey(encrypt_block(&self.0, block))
        };
        MeterKeys {
            token: derive(b"TOKEN"),
            receipt: derive(b"RECPT"),
            state: derive(b"STATE"),
            history: derive(b"HISTY"),
            wrapping: derive(b"KWRAP"),
        }
    }
}

impl fmt::Debug for MeterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MeterKey(..)")
    }
}

/// What a meter's key is split into, so that one message can never pass for another kind.
#[derive(Clone, Debug)]
pub struct MeterKeys {
    /// TOKEN: tags of tokens and settings.
    pub token: PurposeKey,
    /// RECPT: tags of receipts.
    pub receipt: PurposeKey,
    /// STATE: tags of statuses.
    pub state: PurposeKey,
    /// HISTY: tags of records.
    pub history: PurposeKey,
    /// KWRAP: wraps the next generation's key.
    pub wrapping: PurposeKey,
}

/// A key for one purpose.
#[derive(Clone, ZeroizeOnDrop)]
pub struct PurposeKey([u8; 16]);

impl fmt::Debug for PurposeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PurposeKey(..)")
    }
}

impl PurposeKey {
    /// AES-128-CMAC (RFC 4493) over the parts, one after the other.
    #[must_use]
    pub fn tag(&self, parts: &[&[u8]]) -> Tag {
        let mut mac = <Cmac<Aes128> as cmac::KeyInit>::new(&Array::from(self.0));
        for part in parts {
            mac.update(part);
        }
        Tag(mac.finalize().into_bytes().into())
    }

    /// Whether `tag` is right in its first `length` bytes (16, records 8). Takes the same time either way.
    #[must_use]
    pub fn tag_holds(&self, parts: &[&[u8]], tag: Tag, length: usize) -> bool {
        let expected = self.tag(parts);
        let (Some(expected), Some(found)) = (expected.0.get(..length), tag.0.get(..length)) else {
            return false;
        };
        length > 0 && bool::from(expected.ct_eq(found))
    }

    /// Wraps a meter key for a key change (AES-KW, RFC 3394): 24 bytes.
    #[must_use]
    pub fn wrap(&self, key: &MeterKey) -> Option<[u8; 24]> {
        let mut wrapped = [0; 24];
        aes_kw::KwAes128::new(&Array::from(self.0))
            .wrap_key(&key.0, &mut wrapped)
            .ok()?;
        Some(wrapped)
    }

    /// Unwraps a meter key; `None` where it was not wrapped by this key.
    #[must_use]
    pub fn unwrap_key(&self, wrapped: &[u8; 24]) -> Option<MeterKey> {
        let mut key = [0; 16];
        let genuine = aes_kw::KwAes128::new(&Array::from(self.0))
            .unwrap_key(wrapped, &mut key)
            .is_ok();
        let meter_key = genuine.then_some(MeterKey(key));
        key.zeroize();
        meter_key
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    /// RFC 4493, section 4: key, message of 16 bytes, tag.
    #[test]
    fn cmac_is_that_of_the_rfc() {
        let key = PurposeKey(
            hex::decode("2b7e151628aed2a6abf7158809cf4f3c")
                .unwrap()
                .try_into()
                .unwrap(),
        );
        let message = hex::decode("6bc1bee22e409f96e93d7e117393172a").unwrap();
        assert_eq!(
            hex::encode(key.tag(&[]).0),
            "bb1d6929e95937287fa37d129b756746"
        );
        assert_eq!(
            hex::encode(key.tag(&[&message]).0),
            "070a16b46b4d4144f79bdd9dd04a287c"
        );
        assert_eq!(
            key.tag(&[&message[..5], &message[5..]]),
            key.tag(&[&message])
        );
    }

    #[test]
    fn a_tag_holds_only_whole_and_never_at_length_zero() {
        let key = PurposeKey([7; 16]);
        let tag = key.tag(&[b"x"]);
        assert!(key.tag_holds(&[b"x"], tag, 16));
        assert!(key.tag_holds(&[b"x"], tag, 8));
        assert!(!key.tag_holds(&[b"x"], tag, 0));
        assert!(!key.tag_holds(&[b"x"], tag, 17));
        for bit in 0..128 {
            let mut wrong = tag;
            wrong.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.tag_holds(&[b"x"], wrong, 16), "bit {bit}");
        }
    }

    #[test]
    fn keys_do_not_print() {
        let keys = MeterKey([1; 16]).purposes();
        let printed = std::format!("{keys:?} {:?}", MeterKey([1; 16]));
        assert!(
            !printed.contains("01") && !printed.contains('1'),
            "{printed}"
        );
    }

    #[test]
    fn a_wrapped_key_opens_with_the_wrapping_key_only() {
        let (key, next) = (PurposeKey([3; 16]), MeterKey([9; 16]));
        let wrapped = key.wrap(&next).unwrap();
        assert_eq!(key.unwrap_key(&wrapped).unwrap().expose(), next.expose());
        assert!(PurposeKey([4; 16]).unwrap_key(&wrapped).is_none());
    }
}
