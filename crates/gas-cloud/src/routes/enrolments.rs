use axum::http::StatusCode;
use gas_api::cloud::{Enrolment, EnrolmentRevoked, EnrolmentWanted};
use gas_api::company::{BelievedState, StateReported};
use gas_api::{Digest, PublicKeyHex, codes};
use gas_http::{Json, Path, Problem, now};
use gas_store::cloud::Enrolling;
use gas_units::MeterNumber;
use sha2::{Digest as _, Sha256};

use super::State;
use super::vends::put::parse_status;
use crate::cloud::Cloud;
use crate::phone::FromPhone;

/// `PUT /v1/enrolments/{phone_key}`: proof of presence. The status must answer a nonce that was made for
/// this phone key, and the company must believe it.
pub(super) async fn enrol(
    state: State,
    Path(phone_key): Path<PublicKeyHex>,
    signed: FromPhone,
) -> Result<Json<Enrolment>, Problem> {
    if signed.key != phone_key {
        return Err(Problem::unproven(
            codes::UNAUTHORIZED,
            "The phone key in the path is not the one that signed the request; nothing was done.",
        ));
    }
    let EnrolmentWanted { meter, status } = signed.json()?;
    let nonce = parse_status(&status.0, meter)?.nonce;
    let could = state
        .store
        .could_enrol(nonce, meter, phone_key, now())
        .await;
    if !could.map_err(Problem::ours)? {
        return Err(nonce_not_live());
    }
    let digest = Digest(Sha256::digest(&status.0).into());
    let believed: BelievedState = state
        .company
        .post("/v1/states", &StateReported { meter, status })
        .await?;
    if (believed.meter, believed.message_sha256) != (meter, digest) {
        return Err(Problem::upstream(
            "company",
            "it believes another status than the one shown",
        ));
    }
    let enrolling = state.store.enrol(nonce, phone_key, &believed, now()).await;
    match enrolling.map_err(Problem::ours)? {
        Enrolling::Enrolled(enrolled_at_ms) => Ok(Json(Enrolment {
            phone_key,
            meter,
            enrolled_at_ms,
        })),
        Enrolling::NonceNotLive => Err(nonce_not_live()),
    }
}

fn nonce_not_live() -> Problem {
    Problem::conflict(
        codes::NONCE_NOT_LIVE,
        "The status answers no live nonce that was made for this phone; nobody was enrolled.",
    )
    .hint("Ask for a nonce with this phone's key, read the status with it, and send that.")
}

/// `DELETE /v1/enrolments/{phone_key}`: any enrolled phone of the meter may end an enrolment.
pub(super) async fn revoke(
    state: State,
    Path(phone_key): Path<PublicKeyHex>,
    signed: FromPhone,
) -> Result<StatusCode, Problem> {
    let EnrolmentRevoked { meter } = signed.json()?;
    must_be_enrolled(&state, meter, signed.key).await?;
    state
        .store
        .revoke(meter, phone_key)
        .await
        .map_err(Problem::ours)?;
    Ok(StatusCode::NO_CONTENT)
}

/// 403 for everyone else, the same for a meter that nobody has ever heard of.
pub(super) async fn must_be_enrolled(
    cloud: &Cloud,
    meter: MeterNumber,
    phone: PublicKeyHex,
) -> Result<(), Problem> {
    if cloud
        .store
        .is_enrolled(meter, phone)
        .await
        .map_err(Problem::ours)?
    {
        return Ok(());
    }
    Err(Problem::forbidden(
        codes::NOT_ENROLLED,
        "This phone is not enrolled for this meter.",
    )
    .hint("Enrol it at the meter: read a fresh status over Bluetooth with a nonce for its key."))
}
