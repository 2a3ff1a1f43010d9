//! What goes into the card's core and what comes out of it.

use embedded_storage::nor_flash::NorFlashErrorKind;
use gas_link::{CardNumber, Info, Value};
use heapless::Vec;

/// Most bytes of one serial write: wake-up preamble and the longest CJ/T 188 frame the card sends.
pub const SERIAL_WRITE_MAX: usize = 264;

/// What a card is told when it starts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CardConfig {
    /// The card's own number, printed on it; shown in Info and in the advertised name.
    pub card: CardNumber,
    /// Firmware version: major, minor, patch.
    pub firmware: [u8; 3],
    /// Time between two readings of the meter, ms. Under 1000 counts as 1000.
    pub poll_interval_ms: u64,
}

/// What happened outside. Times are told beside it, not in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event<'a> {
    /// A phone connected. `att_mtu`: as known now, 23 before an exchange.
    LinkConnected {
        /// ATT MTU in bytes, 23..=517.
        att_mtu: u16,
    },
    /// The ATT MTU was exchanged after connecting. Counts for the next hello.
    LinkMtu {
        /// ATT MTU in bytes, 23..=517.
        att_mtu: u16,
    },
    /// The link is encrypted now (paired, or a bond was used).
    LinkEncrypted,
    /// The link is gone, for whatever reason.
    LinkDisconnected,
    /// The phone wrote this value to Request.
    Written(&'a [u8]),
    /// The phone confirmed the indication that [`Effect::Indicate`] asked for.
    IndicationConfirmed,
    /// The indication could not be sent or was not confirmed.
    IndicationFailed,
    /// The serial line to the meter can be used.
    SerialOpened,
    /// Bytes came from the meter, in any chunks.
    SerialReceived(&'a [u8]),
    /// The serial line is gone. [`Event::SerialOpened`] says when it is back.
    SerialClosed,
    /// Nothing happened, but [`crate::Card::deadline`] is reached. Harmless at any time.
    Tick,
}

/// What the shell has to do, in the order it is given out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Effect {
    /// Indicate this value of Response; then [`Event::IndicationConfirmed`] or
    /// [`Event::IndicationFailed`]. There is never more than one to be confirmed.
    Indicate(Value),
    /// Drop the link; then [`Event::LinkDisconnected`].
    Disconnect,
    /// Write these bytes to the serial line, at once and whole.
    SerialWrite(Vec<u8, SERIAL_WRITE_MAX>),
    /// The Info characteristic reads like this from now on.
    SetInfo([u8; Info::LEN]),
}

/// Why a card cannot start. Nothing in the flash was changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BootError {
    /// The flash gave an error while the journal was read or repaired.
    #[error("the card's flash cannot be read ({0:?}); what it holds was left as it is")]
    Flash(NorFlashErrorKind),
    /// The flash is too small, or its pages or words have another size than the journal needs.
    #[error("the card's flash does not fit the journal: {0}")]
    Geometry(&'static str),
}
