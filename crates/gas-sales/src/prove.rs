use core::ops::Deref;

use gas_statement::Sha256Digest;
use gas_token::{
    MeterState, ParseError, Receipt, ReceiptResult, Record, Status, Tag, Tagged, Total, peek,
};
use gas_units::MeterNumber;

/// The keys of one meter and generation, wherever they lie (a file, later an HSM).
pub trait MeterKeyring {
    /// The meter.
    fn meter(&self) -> MeterNumber;

    /// The key generation.
    fn generation(&self) -> u8;

    /// Whether a receipt's tag holds as the answer to the command with `command_tag`.
    fn receipt_holds(&self, receipt: &Tagged<Receipt>, command_tag: Tag) -> bool;

    /// Whether a record's tag holds.
    fn record_holds(&self, record: &Tagged<Record>) -> bool;

    /// Whether a status's tag holds.
    fn status_holds(&self, status: &Tagged<Status>) -> bool;

    /// Seals a total token.
    fn seal(&self, total: Total) -> Tagged<Total>;
}

/// Why bytes are not a genuine message of the meter. Nothing of them is believed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotProven {
    /// The tag does not hold.
    #[error("the message was not made by meter {0}, or was changed on the way")]
    Forged(MeterNumber),
    /// Not a message of this kind.
    #[error("the meter's message cannot be read: {0}")]
    Malformed(#[from] ParseError),
    /// Sealed under another key generation than the meter's.
    #[error("the message was sealed with key generation {found}; the meter has {expected}")]
    OtherGeneration {
        /// The meter's generation.
        expected: u8,
        /// What the message says.
        found: u8,
    },
    /// A message of another meter.
    #[error("this is a message of meter {found}, not of meter {expected}")]
    OtherMeter {
        /// The meter it should come from.
        expected: MeterNumber,
        /// The meter it names.
        found: MeterNumber,
    },
}

/// A message of the meter whose tag was found to hold. It cannot be made otherwise.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proven<M> {
    message: M,
    bytes: Vec<u8>,
    /// Tag of the command that a receipt was proven to answer.
    answers: Option<Tag>,
}

impl<M> Proven<M> {
    /// The whole message as it came.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the whole message.
    #[must_use]
    pub fn sha256(&self) -> Sha256Digest {
        Sha256Digest::of(&self.bytes)
    }
}

impl<M> Deref for Proven<M> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.message
    }
}

/// Proves a status. Whether its nonce is live is for the caller to see.
///
/// # Errors
/// [`NotProven`].
pub fn prove_status(keys: &impl MeterKeyring, bytes: &[u8]) -> Result<Proven<Status>, NotProven> {
    let tagged = Tagged::<Status>::parse(bytes)?;
    prove(keys, bytes, tagged.message, || keys.status_holds(&tagged))
}

/// Proves a receipt to be the answer to the command with `command_tag`.
///
/// # Errors
/// [`NotProven`].
pub fn prove_receipt(
    keys: &impl MeterKeyring,
    bytes: &[u8],
    command_tag: Tag,
) -> Result<Proven<Receipt>, NotProven> {
    let tagged = Tagged::<Receipt>::parse(bytes)?;
    let mut proven = prove(keys, bytes, tagged.message, || {
        keys.receipt_holds(&tagged, command_tag)
    })?;
    proven.answers = Some(command_tag);
    Ok(proven)
}

/// Proves a record.
///
/// # Errors
/// [`NotProven`].
pub fn prove_record(keys: &impl MeterKeyring, bytes: &[u8]) -> Result<Proven<Record>, NotProven> {
    let tagged = Tagged::<Record>::parse(bytes)?;
    prove(keys, bytes, tagged.message, || keys.record_holds(&tagged))
}

fn prove<M>(
    keys: &impl MeterKeyring,
    bytes: &[u8],
    message: M,
    tag_holds: impl FnOnce() -> bool,
) -> Result<Proven<M>, NotProven> {
    let (_, generation, meter) = peek(bytes)?;
    if meter != keys.meter() {
        return Err(NotProven::OtherMeter {
            expected: keys.meter(),
            found: meter,
        });
    }
    if generation != keys.generation() {
        return Err(NotProven::OtherGeneration {
            expected: keys.generation(),
            found: generation,
        });
    }
    if !tag_holds() {
        return Err(NotProven::Forged(meter));
    }
    Ok(Proven {
        message,
        bytes: bytes.to_vec(),
        answers: None,
    })
}

/// What a genuine status or receipt tells. It can be made from a [`Proven`] message only.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Told {
    pub(crate) meter: MeterNumber,
    pub(crate) generation: u8,
    pub(crate) state: MeterState,
    pub(crate) battery_percent: Option<u8>,
    pub(crate) sha256: Sha256Digest,
    pub(crate) result: Option<ReceiptResult>,
    pub(crate) answers: Option<Tag>,
}

impl Told {
    /// The state told.
    #[must_use]
    pub const fn state(&self) -> &MeterState {
        &self.state
    }

    /// Battery, per cent; a receipt does not tell it.
    #[must_use]
    pub const fn battery_percent(&self) -> Option<u8> {
        self.battery_percent
    }

    /// SHA-256 of the message that tells it.
    #[must_use]
    pub const fn message_sha256(&self) -> Sha256Digest {
        self.sha256
    }

    /// What became of the command that it answers, if it is a receipt.
    #[must_use]
    pub const fn result(&self) -> Option<ReceiptResult> {
        self.result
    }

    /// Tag of the command that it answers, if it is a receipt.
    #[must_use]
    pub const fn answers(&self) -> Option<Tag> {
        self.answers
    }

    /// Key generation that it was told under.
    #[must_use]
    pub const fn generation(&self) -> u8 {
        self.generation
    }

    /// The meter that told it.
    #[must_use]
    pub const fn meter(&self) -> MeterNumber {
        self.meter
    }
}

impl From<&Proven<Status>> for Told {
    fn from(status: &Proven<Status>) -> Self {
        Self {
            meter: status.meter,
            generation: status.generation,
            state: status.state,
            battery_percent: Some(status.battery_percent),
            sha256: status.sha256(),
            result: None,
            answers: None,
        }
    }
}

impl From<&Proven<Receipt>> for Told {
    fn from(receipt: &Proven<Receipt>) -> Self {
        Self {
            meter: receipt.meter,
            generation: receipt.generation,
            state: receipt.state,
            battery_percent: None,
            sha256: receipt.sha256(),
            result: Some(receipt.result),
            answers: receipt.answers,
        }
    }
}
