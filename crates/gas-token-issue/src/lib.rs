//! Sealing tokens and checking the meter's answers; for the gas company only.
//!
//! Who links this crate and holds a [`MasterKey`] can make gas. Nobody else in the system can.
#![no_std]
#![forbid(unsafe_code)]

use core::fmt;
use core::ops::Deref;

use gas_token::{Message, Receipt, Record, Setting, Status, Tag, Tagged, Total};
use gas_token_keys::{MeterKey, MeterKeys, PurposeKey, encrypt_block};
use gas_units::MeterNumber;
use zeroize::ZeroizeOnDrop;

/// The company's master key of one generation. It never leaves its holder.
#[derive(ZeroizeOnDrop)]
pub struct MasterKey([u8; 16]);

impl MasterKey {
    /// Takes the 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// `AES(MK, meter | generation | "PLMETER1")`.
    #[must_use]
    pub fn meter_key(&self, meter: MeterNumber, generation: u8) -> MeterKey {
        let mut block = *b"mmmmmmmgPLMETER1";
        let number = meter.to_bcd();
        for (to, from) in block.iter_mut().zip(number.iter().chain([&generation])) {
            *to = *from;
        }
        MeterKey::from_bytes(encrypt_block(&self.0, block))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

/// Seals a total token.
#[must_use]
pub fn seal_total(keys: &MeterKeys, total: Total) -> Tagged<Total> {
    seal(&keys.token, total)
}

/// Seals a setting.
#[must_use]
pub fn seal_setting(keys: &MeterKeys, setting: Setting) -> Tagged<Setting> {
    seal(&keys.token, setting)
}

fn seal<M: Message>(key: &PurposeKey, message: M) -> Tagged<M> {
    let tag = key.tag(&[&message.untagged()]);
    Tagged { message, tag }
}

/// A message of the meter whose tag was found to hold. It cannot be made otherwise.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Genuine<M>(M);

impl<M> Genuine<M> {
    /// The message.
    #[must_use]
    pub fn into_inner(self) -> M {
        self.0
    }
}

impl<M> Deref for Genuine<M> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.0
    }
}

/// The tag does not hold: not from this meter, changed on the way, or answering another command.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the tag does not hold: this was not made by the meter it names, or was changed on the way"
)]
pub struct Forged;

/// Believes a receipt that answers the command with `command_tag`.
///
/// # Errors
/// [`Forged`] where the tag does not hold.
pub fn check_receipt(
    keys: &MeterKeys,
    receipt: &Tagged<Receipt>,
    command_tag: Tag,
) -> Result<Genuine<Receipt>, Forged> {
    let body = receipt.message.untagged();
    let holds = keys
        .receipt
        .tag_holds(&[&body, &command_tag.0], receipt.tag, Receipt::TAG_LEN);
    holds.then_some(Genuine(receipt.message)).ok_or(Forged)
}

/// Believes a status. Whether its nonce is the company's own and unused is for the caller to see.
///
/// # Errors
/// [`Forged`] where the tag does not hold.
pub fn check_status(keys: &MeterKeys, status: &Tagged<Status>) -> Result<Genuine<Status>, Forged> {
    check(&keys.state, status)
}

/// Believes a record.
///
/// # Errors
/// [`Forged`] where the tag does not hold.
pub fn check_record(keys: &MeterKeys, record: &Tagged<Record>) -> Result<Genuine<Record>, Forged> {
    check(&keys.history, record)
}

fn check<M: Message + Copy>(key: &PurposeKey, tagged: &Tagged<M>) -> Result<Genuine<M>, Forged> {
    let holds = key.tag_holds(&[&tagged.message.untagged()], tagged.tag, M::TAG_LEN);
    holds.then_some(Genuine(tagged.message)).ok_or(Forged)
}
