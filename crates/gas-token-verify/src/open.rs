use core::ops::Deref;

use gas_token::{Command, Message, ParseError, Setting, Tag, Tagged, Total, peek};
use gas_token_keys::{MeterKeys, PurposeKey};
use gas_units::{MeterNumber, Unit};

/// Who this meter is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MeterIdentity {
    /// Its number.
    pub number: MeterNumber,
    /// The key generation it accepts.
    pub generation: u8,
    /// What it counts its balance in.
    pub unit: Unit,
}

/// A command whose tag was found to hold, for this meter and generation. It cannot be made otherwise.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Opened<M> {
    message: M,
    tag: Tag,
}

impl<M> Opened<M> {
    /// The command's tag, which the receipt's tag covers.
    #[must_use]
    pub const fn tag(&self) -> Tag {
        self.tag
    }
}

impl<M> Deref for Opened<M> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.message
    }
}

/// An opened total or setting token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OpenedCommand {
    /// A setting.
    Setting(Opened<Setting>),
    /// A total token.
    Total(Opened<Total>),
}

/// Why a token is refused. Nothing changes in the meter and no receipt is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// Not a message of this format.
    Malformed(ParseError),
    /// Sealed under another key generation; `current` is the one this meter accepts.
    OtherGeneration {
        /// The generation this meter accepts.
        current: u8,
    },
    /// For another meter.
    OtherMeter,
    /// Not a command.
    UnknownType(u8),
    /// The tag does not hold: forged, or changed on the way.
    WrongTag,
    /// A total in another unit than this meter counts in.
    WrongUnit,
}

/// Rule 1: head, length, unit, meter, generation must match and the tag must hold.
///
/// # Errors
/// [`Refusal`]; nothing changes.
pub fn open(
    identity: &MeterIdentity,
    keys: &MeterKeys,
    bytes: &[u8],
) -> Result<OpenedCommand, Refusal> {
    let (_, generation, meter) = peek(bytes).map_err(refuse)?;
    let command = Command::parse(bytes).map_err(refuse)?;
    if meter != identity.number {
        return Err(Refusal::OtherMeter);
    }
    if generation != identity.generation {
        return Err(Refusal::OtherGeneration {
            current: identity.generation,
        });
    }
    match command {
        Command::Setting(token) => check(&keys.token, &token).map(OpenedCommand::Setting),
        Command::Total(token) => {
            let opened = check(&keys.token, &token)?;
            if opened.unit != identity.unit {
                return Err(Refusal::WrongUnit);
            }
            Ok(OpenedCommand::Total(opened))
        }
    }
}

fn check<M: Message + Copy>(key: &PurposeKey, token: &Tagged<M>) -> Result<Opened<M>, Refusal> {
    if !key.tag_holds(&[&token.message.untagged()], token.tag, M::TAG_LEN) {
        return Err(Refusal::WrongTag);
    }
    Ok(Opened {
        message: token.message,
        tag: token.tag,
    })
}

const fn refuse(error: ParseError) -> Refusal {
    match error {
        ParseError::Type(byte) => Refusal::UnknownType(byte),
        ParseError::Field { .. }
        | ParseError::Length { .. }
        | ParseError::Meter(_)
        | ParseError::Version(_) => Refusal::Malformed(error),
    }
}
