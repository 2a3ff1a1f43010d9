use core::fmt;
use std::sync::Arc;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use gas_json::{FromJson, Node};
use serde::Deserialize;

use crate::digest::{QuoteHash, Sha256Digest};
use crate::key::{KeyId, SigningKey, VerifyingKey};
use crate::memory::Memory;
use crate::statement::{Quote, Statement};

/// Longest compact JWS that is made or read, in bytes.
pub const COMPACT_MAX: usize = 8 * 1024;

/// Why a text is not a statement that can be believed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StatementError {
    /// Another algorithm than EdDSA.
    #[error("the statement is signed with {0:?}; only EdDSA is accepted")]
    Algorithm(String),
    /// Not base64url without padding (RFC 7515, section 2).
    #[error("the statement's {0} is not base64url without padding")]
    Base64(&'static str),
    /// The header is not exactly `{"alg":"EdDSA","kid":..,"typ":..}`.
    #[error("the statement's header is not exactly alg, kid and typ: {0}")]
    Header(String),
    /// Signed with another key than the one to be checked with.
    #[error("the statement was signed with key {found}, not with {expected}")]
    Key {
        /// The key it was checked with.
        expected: KeyId,
        /// What its header says.
        found: String,
    },
    /// Not three parts between two dots.
    #[error("not a statement: a compact JWS has three parts between two dots")]
    Parts,
    /// The signed text is not the statement that its `typ` promises.
    #[error("the statement's contents cannot be read: {0}")]
    Payload(String),
    /// The signature does not hold.
    #[error("the statement's signature does not hold: it was forged or changed on the way")]
    Signature,
    /// Longer than 8 KiB.
    #[error("the statement is longer than 8 KiB")]
    TooLong,
    /// Another kind of statement.
    #[error("the statement is a {found:?}, not a {expected:?}")]
    Type {
        /// The wanted `typ`.
        expected: &'static str,
        /// The `typ` of its header.
        found: String,
    },
}

/// A statement that was signed here, or whose signature was found to hold. It cannot be made otherwise.
/// Clones share it.
#[derive(Debug, Eq, PartialEq)]
pub struct Signed<T>(Arc<Inner<T>>);

#[derive(Debug, Eq, PartialEq)]
struct Inner<T> {
    compact: Arc<str>,
    sha256: Sha256Digest,
    statement: T,
}

impl<T> Clone for Signed<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Statement> Signed<T> {
    /// Signs a statement.
    ///
    /// # Errors
    /// [`StatementError::TooLong`], or [`StatementError::Payload`] where it cannot be written as JSON.
    pub fn sign(key: &SigningKey, statement: T) -> Result<Self, StatementError> {
        let payload = serde_json::to_vec(&statement).map_err(|error| unreadable(&error))?;
        let header = canonical_header(&key.verifying_key().key_id(), T::TYP);
        let compact = sign_compact(key, header.as_bytes(), &payload);
        if compact.len() > COMPACT_MAX {
            return Err(StatementError::TooLong);
        }
        Ok(Self::believed(&compact, statement, key.memory()))
    }

    /// Believes a compact JWS signed with `key`. Only the spelling that [`Signed::sign`] makes is read.
    ///
    /// # Errors
    /// [`StatementError`]; nothing of it is to be believed then.
    pub fn verify(compact: &str, key: &VerifyingKey) -> Result<Self, StatementError> {
        let known = key.memory().and_then(|memory| memory.recall(compact));
        // Of another kind it is not what was asked for: read anew, it is refused.
        if let Some(Ok(known)) = known.map(Arc::downcast) {
            return Ok(Self(known));
        }
        let payload = open(compact, key, T::TYP)?;
        let mut statement = T::blank();
        (statement.fill(&payload)).map_err(|error| unreadable(&error))?;
        Ok(Self::believed(compact, statement, key.memory()))
    }

    /// Only for what was just signed, or just found to hold.
    fn believed(compact: &str, statement: T, memory: Option<&Memory>) -> Self {
        let (compact, sha256) = named(compact);
        let inner = Arc::new(Inner {
            compact,
            sha256,
            statement,
        });
        if let Some(memory) = memory {
            memory.remember(&inner.compact, Arc::clone(&inner) as _);
        }
        Self(inner)
    }
}

impl<T> Signed<T> {
    /// The compact JWS.
    #[must_use]
    pub fn compact(&self) -> &str {
        &self.0.compact
    }

    /// The compact JWS, shared with this statement.
    #[must_use]
    pub fn shared_compact(&self) -> Arc<str> {
        Arc::clone(&self.0.compact)
    }

    /// What it states.
    #[must_use]
    pub fn statement(&self) -> &T {
        &self.0.statement
    }

    /// SHA-256 over the compact JWS.
    #[must_use]
    pub fn sha256(&self) -> Sha256Digest {
        self.0.sha256
    }

    /// Both parts: compact JWS and statement.
    #[must_use]
    pub fn into_parts(self) -> (String, T)
    where
        T: Clone,
    {
        (self.compact().to_owned(), self.statement().clone())
    }
}

/// The compact JWS.
impl<T> fmt::Display for Signed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.compact())
    }
}

/// What a quote is named by: SHA-256 over the ASCII bytes of its compact JWS.
#[must_use]
pub fn quote_hash(quote: &Signed<Quote>) -> QuoteHash {
    QuoteHash(quote.sha256())
}

/// The payload of a compact JWS of this type, whose signature holds. Not written anew for every statement.
fn open(compact: &str, key: &VerifyingKey, typ: &'static str) -> Result<Node, StatementError> {
    if compact.len() > COMPACT_MAX {
        return Err(StatementError::TooLong);
    }
    let mut parts = compact.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(StatementError::Parts);
    };
    check_header(&decode(header, "header")?, key, typ)?;
    let signature = decode(signature, "signature")?
        .try_into()
        .map_err(|_| StatementError::Signature)?;
    let signed = format!("{header}.{payload}");
    if !key.signature_holds(signed.as_bytes(), signature) {
        return Err(StatementError::Signature);
    }
    Node::parse(&decode(payload, "payload")?).map_err(|error| unreadable(&error))
}

#[cold]
fn unreadable(error: &dyn fmt::Display) -> StatementError {
    StatementError::Payload(error.to_string())
}

#[inline(never)]
fn named(compact: &str) -> (Arc<str>, Sha256Digest) {
    (compact.into(), Sha256Digest::of(compact.as_bytes()))
}

#[derive(Deserialize, FromJson)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: String,
    typ: String,
}

/// The one spelling of a header. Neither a key id nor a type holds a character that JSON would escape.
fn canonical_header(key_id: &KeyId, typ: &str) -> String {
    format!(r#"{{"alg":"EdDSA","kid":"{key_id}","typ":"{typ}"}}"#)
}

fn check_header(bytes: &[u8], key: &VerifyingKey, typ: &'static str) -> Result<(), StatementError> {
    let header: Header =
        gas_json::from_slice(bytes).map_err(|error| StatementError::Header(error.to_string()))?;
    if header.alg != "EdDSA" {
        return Err(StatementError::Algorithm(header.alg));
    }
    if header.typ != typ {
        return Err(StatementError::Type {
            expected: typ,
            found: header.typ,
        });
    }
    let expected = key.key_id();
    if header.kid != expected.to_string() {
        return Err(StatementError::Key {
            expected,
            found: header.kid,
        });
    }
    if bytes != canonical_header(&expected, typ).as_bytes() {
        return Err(StatementError::Header(
            "its spelling is not the one we write".to_owned(),
        ));
    }
    Ok(())
}

/// RFC 7515, section 7.1: header, payload and signature in base64url, between dots.
fn sign_compact(key: &SigningKey, header: &[u8], payload: &[u8]) -> String {
    let signed = format!(
        "{}.{}",
        Base64UrlUnpadded::encode_string(header),
        Base64UrlUnpadded::encode_string(payload)
    );
    let signature = key.sign(signed.as_bytes());
    format!("{signed}.{}", Base64UrlUnpadded::encode_string(&signature))
}

fn decode(text: &str, part: &'static str) -> Result<Vec<u8>, StatementError> {
    Base64UrlUnpadded::decode_vec(text).map_err(|_| StatementError::Base64(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8037, appendix A.4 and A.5.
    #[test]
    fn signs_and_verifies_the_example_of_rfc_8037() {
        let private = decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", "d").unwrap();
        let public = decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "x").unwrap();
        let key = SigningKey::from_bytes(&private.try_into().unwrap());
        let expected = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCj\
                        P0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        let compact = sign_compact(&key, br#"{"alg":"EdDSA"}"#, b"Example of Ed25519 signing");
        assert_eq!(compact, expected);

        assert_eq!(key.verifying_key().to_bytes().as_slice(), public);
        let (signed, signature) = expected.rsplit_once('.').unwrap();
        let signature = decode(signature, "signature").unwrap().try_into().unwrap();
        assert!(
            key.verifying_key()
                .signature_holds(signed.as_bytes(), signature)
        );
        assert!(
            !key.verifying_key()
                .signature_holds(b"another text", signature)
        );
    }
}
