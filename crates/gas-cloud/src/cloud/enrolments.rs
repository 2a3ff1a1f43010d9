use gas_api::cloud::{Enrolment, EnrolmentRevoked, EnrolmentWanted};
use gas_api::company::StateReported;
use gas_api::{Digest, PublicKeyHex, codes};
use gas_http::Problem;
use gas_store::cloud::Enrolling;
use gas_units::MeterNumber;
use sha2::{Digest as _, Sha256};

use super::Cloud;
use super::tokens::lacking;
use super::vends::parse_status;

impl Cloud {
    /// Proof of presence, by the phone that has signed the request. The status must answer a nonce that
    /// was made for this phone key, and the company must believe it.
    ///
    /// # Errors
    /// [`Problem`], as `PUT /v1/enrolments/{phone_key}` answers it.
    pub async fn enrol(
        &self,
        signer: PublicKeyHex,
        phone_key: PublicKeyHex,
        wanted: EnrolmentWanted,
    ) -> Result<Enrolment, Problem> {
        if signer != phone_key {
            return Err(Problem::unproven(
                codes::UNAUTHORIZED,
                "The phone key in the path is not the one that signed the request; nothing was done.",
            ));
        }
        let EnrolmentWanted { meter, status } = wanted;
        let nonce = parse_status(&status.0, meter)?.nonce;
        let store = self.store();
        let could = store.could_enrol(nonce, meter, phone_key, self.now()).await;
        if !could.map_err(Problem::ours)? {
            return Err(nonce_not_live());
        }
        let digest = Digest(Sha256::digest(&status.0).into());
        let reported = StateReported { meter, status };
        let believed = self.company().report_state(reported).await?;
        if (believed.meter, believed.message_sha256) != (meter, digest) {
            return Err(Problem::upstream(
                "company",
                "it believes another status than the one shown",
            ));
        }
        let enrolling = store.enrol(nonce, phone_key, &believed, self.now()).await;
        match enrolling.map_err(Problem::ours)? {
            Enrolling::Enrolled(enrolled_at_ms) => {
                self.look_at_sales(meter).await;
                Ok(Enrolment {
                    phone_key,
                    meter,
                    enrolled_at_ms,
                    waiting: lacking(believed),
                })
            }
            Enrolling::NonceNotLive => Err(nonce_not_live()),
        }
    }

    /// Ends an enrolment, for the phone that has signed the request: any enrolled phone of the meter may.
    ///
    /// # Errors
    /// [`Problem`], as `DELETE /v1/enrolments/{phone_key}` answers it.
    pub async fn revoke(
        &self,
        signer: PublicKeyHex,
        phone_key: PublicKeyHex,
        revoked: EnrolmentRevoked,
    ) -> Result<(), Problem> {
        let EnrolmentRevoked { meter } = revoked;
        self.must_be_enrolled(meter, signer).await?;
        let revoked = self.store().revoke(meter, phone_key).await;
        revoked.map_err(Problem::ours)
    }

    /// 403 for everyone else, the same for a meter that nobody has ever heard of.
    pub(super) async fn must_be_enrolled(
        &self,
        meter: MeterNumber,
        phone: PublicKeyHex,
    ) -> Result<(), Problem> {
        let enrolled = self.store().is_enrolled(meter, phone).await;
        if enrolled.map_err(Problem::ours)? {
            return Ok(());
        }
        Err(not_enrolled())
    }
}

pub(super) fn not_enrolled() -> Problem {
    Problem::forbidden(
        codes::NOT_ENROLLED,
        "This phone is not enrolled for this meter.",
    )
    .hint("Enrol it at the meter: read a fresh status over Bluetooth with a nonce for its key.")
}

fn nonce_not_live() -> Problem {
    Problem::conflict(
        codes::NONCE_NOT_LIVE,
        "The status answers no live nonce that was made for this phone; nobody was enrolled.",
    )
    .hint("Ask for a nonce with this phone's key, read the status with it, and send that.")
}
