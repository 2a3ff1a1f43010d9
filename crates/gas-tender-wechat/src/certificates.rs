use gas_units::UnixMillis;
use serde::Deserialize;

use crate::answer::{Answer, parse};
use crate::error::{Doubt, ProviderError};
use crate::keys::{KeyError, PlatformKeys};
use crate::merchant::{Merchant, Method, SignedRequest};
use crate::seal::Sealed;

/// A platform certificate the provider sent; keep it, and hand it over again at the next start.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PlatformCertificate {
    /// The serial, upper-case hex.
    pub serial: String,
    /// The certificate, PEM.
    pub pem: String,
}

#[derive(Deserialize)]
struct CertificatesAnswer {
    data: Vec<CertificateBody>,
}

#[derive(Deserialize)]
struct CertificateBody {
    encrypt_certificate: Sealed,
}

impl Merchant {
    /// Asks for the provider's certificates: at the start, twice a day, and when
    /// [`crate::SignatureError::UnknownSerial`] turns up (seldom: anybody can send one).
    ///
    /// # Errors
    /// [`KeyError`] where the key cannot sign.
    pub fn certificates(
        &self,
        nonce: [u8; 16],
        now: UnixMillis,
    ) -> Result<SignedRequest, KeyError> {
        self.sign(
            Method::Get,
            "/v3/certificates".to_owned(),
            Vec::new(),
            nonce,
            now,
        )
    }

    /// Reads the answer to [`Merchant::certificates`], and from now on verifies with these keys
    /// too.
    ///
    /// The answer may be signed by a certificate that it brings itself: that it opens with the
    /// API v3 key, which only the provider and the merchant have, is what it is believed for.
    ///
    /// # Errors
    /// [`ProviderError`]; a merchant who only has a public key is answered
    /// [`crate::ErrorCode::ResourceNotExists`].
    pub fn read_certificates_answer(
        &mut self,
        answer: &Answer<'_>,
        now: UnixMillis,
    ) -> Result<Vec<PlatformCertificate>, ProviderError> {
        answer.expect_success()?;
        let mut brought = PlatformKeys::new();
        let mut certificates = Vec::new();
        for entry in parse::<CertificatesAnswer>(answer.body)?.data {
            let pem = self
                .apiv3_key
                .open(&entry.encrypt_certificate)
                .map_err(Doubt::Sealed)?;
            let pem = String::from_utf8(pem)
                .map_err(|_| Doubt::Body("a certificate is not text".to_owned()))?;
            let serial = brought
                .add_certificate(&pem)
                .map_err(|fault| Doubt::Body(fault.to_string()))?;
            certificates.push(PlatformCertificate { serial, pem });
        }
        let mut keys = self.platform.clone();
        keys.extend(brought);
        answer.verified(&keys, now)?;
        self.platform = keys;
        Ok(certificates)
    }
}
