use core::fmt;
use core::str::FromStr;

use ed25519_dalek::Signer as _;
use serde::{Deserialize, Serialize};

use crate::digest::Sha256Digest;
use crate::memory::Memory;

/// Names a key in a statement's header: first 8 bytes of SHA-256 of the public key, in hexadecimal.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct KeyId(String);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// With which a server signs its statements. Wiped when dropped; never prints. Clones share the memory.
#[derive(Clone)]
pub struct SigningKey {
    key: ed25519_dalek::SigningKey,
    memory: Option<Memory>,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, ..)", self.verifying_key().key_id())
    }
}

impl SigningKey {
    /// Takes the 32 bytes of an Ed25519 private key (RFC 8032, section 5.1.5).
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self {
            key: ed25519_dalek::SigningKey::from_bytes(bytes),
            memory: None,
        }
    }

    /// As [`VerifyingKey::remembering`]; what is signed from now on is remembered too. For servers that
    /// read their own statements back.
    #[must_use]
    pub fn remembering(self, capacity: usize) -> Self {
        Self {
            key: self.key,
            memory: self.memory.or_else(|| Some(Memory::new(capacity))),
        }
    }

    /// The same key, which from now on shares the memory of `public`, its public half: who verifies with
    /// that finds what was signed here. For several servers in one process. Unchanged where `public` is
    /// another key's, or remembers nothing.
    #[must_use]
    pub fn sharing(self, public: &VerifyingKey) -> Self {
        if self.key.verifying_key() != public.key || public.memory.is_none() {
            return self;
        }
        Self {
            key: self.key,
            memory: public.memory.clone(),
        }
    }

    /// The public half; it shares the memory.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey {
            key: self.key.verifying_key(),
            memory: self.memory.clone(),
        }
    }

    pub(crate) fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.key.sign(bytes).to_bytes()
    }

    pub(crate) const fn memory(&self) -> Option<&Memory> {
        self.memory.as_ref()
    }
}

/// Not an Ed25519 public key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an Ed25519 public key: 64 lower-case hexadecimal digits of a point of large order")]
pub struct KeyError;

/// With which anyone checks statements; 64 lower-case hexadecimal digits in JSON. Two are equal where the
/// key is, whatever they remember.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct VerifyingKey {
    key: ed25519_dalek::VerifyingKey,
    memory: Option<Memory>,
}

impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for VerifyingKey {}

impl VerifyingKey {
    /// Takes the 32 bytes of an Ed25519 public key.
    ///
    /// # Errors
    /// [`KeyError`] where they are no point, or one of small order, for which signatures prove nothing.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| KeyError)?;
        if key.is_weak() {
            return Err(KeyError);
        }
        Ok(Self { key, memory: None })
    }

    /// The same key, which from now on remembers the last `capacity` statements whose signature it found
    /// to hold, about 3 KB each, and neither checks nor reads one twice. For servers, which are shown the
    /// same statement at every step of a vend. Clones share the memory; 0 remembers nothing. A key that
    /// remembers already keeps the memory that it has.
    #[must_use]
    pub fn remembering(self, capacity: usize) -> Self {
        Self {
            key: self.key,
            memory: self.memory.or_else(|| Some(Memory::new(capacity))),
        }
    }

    /// The 32 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.key.to_bytes()
    }

    /// The name by which statements call this key.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        let Sha256Digest(digest) = Sha256Digest::of(self.key.as_bytes());
        KeyId(hex::encode(&digest[..8]))
    }

    pub(crate) const fn memory(&self) -> Option<&Memory> {
        self.memory.as_ref()
    }

    /// Whether `signature` over `signed` holds.
    pub(crate) fn signature_holds(&self, signed: &[u8], signature: [u8; 64]) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature);
        self.key.verify_strict(signed, &signature).is_ok()
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.to_bytes()))
    }
}

impl FromStr for VerifyingKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let Sha256Digest(bytes) = text.parse().map_err(|_| KeyError)?;
        Self::from_bytes(&bytes)
    }
}

impl TryFrom<String> for VerifyingKey {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

impl From<VerifyingKey> for String {
    fn from(key: VerifyingKey) -> Self {
        key.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signing_key_never_prints() {
        let key = SigningKey::from_bytes(&[0x5A; 32]);
        let printed = format!("{key:?} {key:#?}");
        assert!(
            !printed.contains("5a5a") && !printed.contains("90, 90"),
            "{printed}"
        );
        assert!(printed.contains(&key.verifying_key().key_id().to_string()));
    }

    #[test]
    fn weak_and_broken_public_keys_are_refused() {
        // The neutral point: any message has a "signature" under it.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        assert_eq!(VerifyingKey::from_bytes(&neutral), Err(KeyError));
        let no_point = (0..=255)
            .map(|first| {
                let mut bytes = [7; 32];
                bytes[0] = first;
                bytes
            })
            .filter(|bytes| VerifyingKey::from_bytes(bytes).is_err());
        assert!(
            no_point.count() > 64,
            "about half of all encodings are no point"
        );
        assert_eq!("00".parse::<VerifyingKey>(), Err(KeyError));
    }

    #[test]
    fn public_keys_read_back() {
        let key = SigningKey::from_bytes(&[1; 32]).verifying_key();
        assert_eq!(key.to_string().parse(), Ok(key.clone()));
        let json = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<VerifyingKey>(&json).unwrap(), key);
        assert_eq!(key.key_id().to_string().len(), 16);
    }

    #[test]
    fn keys_are_equal_whatever_they_remember() {
        let key = SigningKey::from_bytes(&[1; 32]).verifying_key();
        assert_eq!(key.clone().remembering(8), key);
        assert_ne!(SigningKey::from_bytes(&[2; 32]).verifying_key(), key);
    }
}
