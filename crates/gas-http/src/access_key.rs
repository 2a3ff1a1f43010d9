use std::fmt;
use std::path::Path;

use gas_api::Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use zeroize::Zeroizing;

use crate::clock::{RandomError, random};
use crate::private_file::{PrivateFileError, read_private, write_private};

/// Fewest and most characters of an access key.
const KEY_LENGTH: std::ops::RangeInclusive<usize> = 32..=256;

/// With which one server proves itself to another. Never prints; the callee keeps only its SHA-256.
#[derive(Clone)]
pub struct AccessKey(Zeroizing<String>);

/// An access key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AccessKeyError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// Not 32 to 256 visible ASCII characters.
    #[error("an access key is 32 to 256 visible ASCII characters on one line; this one is not")]
    Malformed,
}

impl AccessKey {
    /// A new one: 32 random bytes in hexadecimal.
    ///
    /// # Errors
    /// [`AccessKeyError::Random`].
    pub fn generate() -> Result<Self, AccessKeyError> {
        let bytes = Zeroizing::new(random::<32>()?);
        Ok(Self(Zeroizing::new(hex::encode(bytes.as_slice()))))
    }

    /// Takes a key of 32 to 256 visible ASCII characters; space around it is not part of it.
    ///
    /// # Errors
    /// [`AccessKeyError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, AccessKeyError> {
        let text = text.trim();
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if visible && KEY_LENGTH.contains(&text.len()) {
            return Ok(Self(Zeroizing::new(text.to_owned())));
        }
        Err(AccessKeyError::Malformed)
    }

    /// Reads a key from a file that only its owner may read.
    ///
    /// # Errors
    /// [`AccessKeyError`].
    pub fn read(path: &Path) -> Result<Self, AccessKeyError> {
        let bytes = read_private(path)?;
        Self::parse(std::str::from_utf8(&bytes).map_err(|_| AccessKeyError::Malformed)?)
    }

    /// Writes the key to a file that only its owner may read.
    ///
    /// # Errors
    /// [`AccessKeyError::File`].
    pub fn write(&self, path: &Path) -> Result<(), AccessKeyError> {
        Ok(write_private(path, self.0.as_bytes())?)
    }

    /// What the callee keeps.
    #[must_use]
    pub fn sha256(&self) -> Digest {
        Digest(Sha256::digest(self.0.as_bytes()).into())
    }

    /// The key itself, to send it.
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKey(..)")
    }
}

/// One who may call, as a server's configuration names it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Caller {
    /// Its name in [`AccessRule::Caller`](crate::AccessRule::Caller).
    pub name: String,
    /// SHA-256 of its access key.
    pub access_key_sha256: Digest,
}

/// Those who may call. A name may stand twice, so that a key can be changed without a gap.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "Vec<Caller>", into = "Vec<Caller>")]
pub struct Callers(Vec<Caller>);

/// The list of callers cannot be used.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum CallersError {
    /// Two callers with the same key: which of them calls could not be told.
    #[error("callers `{0}` and `{1}` have the same access key; give each its own")]
    SameKey(String, String),
}

impl TryFrom<Vec<Caller>> for Callers {
    type Error = CallersError;

    fn try_from(callers: Vec<Caller>) -> Result<Self, CallersError> {
        for (index, caller) in callers.iter().enumerate() {
            let mut others = callers.iter().skip(index + 1);
            let twin = others.find(|other| {
                other.access_key_sha256 == caller.access_key_sha256 && other.name != caller.name
            });
            if let Some(twin) = twin {
                return Err(CallersError::SameKey(
                    caller.name.clone(),
                    twin.name.clone(),
                ));
            }
        }
        Ok(Self(callers))
    }
}

impl From<Callers> for Vec<Caller> {
    fn from(callers: Callers) -> Self {
        callers.0
    }
}

impl Callers {
    /// Whether an `Authorization` header's value proves to be `name`.
    ///
    /// Takes as long for a wrong key as for a right one: every caller is compared, in constant time.
    #[must_use]
    pub fn prove(&self, name: &str, authorization: &[u8]) -> bool {
        let Some((scheme, key)) = authorization.split_at_checked(b"Bearer ".len()) else {
            return false;
        };
        // RFC 9110 section 11.1: the scheme's case does not matter.
        if !scheme.eq_ignore_ascii_case(b"Bearer ") {
            return false;
        }
        let sent: [u8; 32] = Sha256::digest(key).into();
        let proven = self.0.iter().fold(Choice::from(0), |proven, caller| {
            let named = Choice::from(u8::from(caller.name == name));
            proven | (caller.access_key_sha256.0.ct_eq(&sent) & named)
        });
        proven.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(name: &str, key: &AccessKey) -> Caller {
        Caller {
            name: name.to_owned(),
            access_key_sha256: key.sha256(),
        }
    }

    #[test]
    fn a_key_never_prints() {
        let key = AccessKey::generate().unwrap();
        let printed = format!("{key:?} {key:#?}");
        assert!(!printed.contains(key.secret()), "{printed}");
        assert!(!printed.contains(&key.secret()[..8]), "{printed}");
    }

    #[test]
    fn a_key_survives_its_file_and_a_line_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cloud.key");
        let key = AccessKey::generate().unwrap();
        key.write(&path).unwrap();
        assert_eq!(AccessKey::read(&path).unwrap().sha256(), key.sha256());
        write_private(&path, format!("{}\n", key.secret()).as_bytes()).unwrap();
        assert_eq!(AccessKey::read(&path).unwrap().sha256(), key.sha256());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let long = "k".repeat(257);
        for text in [
            "",
            "short",
            &"k".repeat(31),
            &long,
            "0123456789abcdef 0123456789abcdef",
            &"é".repeat(32),
        ] {
            assert!(
                matches!(AccessKey::parse(text), Err(AccessKeyError::Malformed)),
                "{text}"
            );
        }
        assert_eq!(AccessKey::parse(&long[1..]).unwrap().secret().len(), 256);
    }

    #[test]
    fn only_the_named_callers_key_proves() {
        let [cloud, pay, other] = [(); 3].map(|()| AccessKey::generate().unwrap());
        let callers =
            Callers::try_from(vec![caller("cloud", &cloud), caller("pay", &pay)]).unwrap();
        let proves = |name: &str, text: String| callers.prove(name, text.as_bytes());
        assert!(proves("cloud", format!("Bearer {}", cloud.secret())));
        assert!(proves("cloud", format!("bearer {}", cloud.secret())));
        assert!(proves("pay", format!("Bearer {}", pay.secret())));
        assert!(!proves("cloud", format!("Bearer {}", pay.secret())));
        assert!(!proves("cloud", format!("Bearer {}", other.secret())));
        assert!(!proves("cloud", format!("Basic {}", cloud.secret())));
        assert!(!proves("cloud", cloud.secret().to_owned()));
        assert!(
            !proves("cloud", format!("Bearer {}", cloud.sha256())),
            "the digest is no key"
        );
        assert!(!proves("cloud", format!("Bearer {}x", cloud.secret())));
        assert!(!proves("cloud", String::new()));
        assert!(!Callers::default().prove("cloud", b"Bearer "));
    }

    #[test]
    fn a_key_can_be_changed_without_a_gap_but_not_shared() {
        let [old, new] = [(); 2].map(|()| AccessKey::generate().unwrap());
        let both = Callers::try_from(vec![caller("cloud", &old), caller("cloud", &new)]).unwrap();
        for key in [&old, &new] {
            assert!(both.prove("cloud", format!("Bearer {}", key.secret()).as_bytes()));
        }
        let shared = Callers::try_from(vec![caller("cloud", &old), caller("pay", &old)]);
        assert_eq!(
            shared,
            Err(CallersError::SameKey("cloud".into(), "pay".into()))
        );
    }

    #[test]
    fn callers_are_read_from_configuration() {
        let digest = "ab".repeat(32);
        let text = format!(r#"[{{"name":"cloud","access_key_sha256":"{digest}"}}]"#);
        let callers: Callers = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&callers).unwrap(), text);
        let wrong = text.replace("name", "nome");
        assert!(
            serde_json::from_str::<Callers>(&wrong)
                .unwrap_err()
                .to_string()
                .contains("nome")
        );
    }
}
