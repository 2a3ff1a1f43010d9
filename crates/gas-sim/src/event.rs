//! What can happen in the world.

use gas_units::VendId;

use crate::net::{Arrival, Reply};

/// Something that happens at a time. Places are numbers of the world's lists.
#[derive(Debug)]
pub(crate) enum Event {
    /// At the card of a home.
    Card(usize, CardEvent),
    /// At the meter of a home.
    Meter(usize, MeterEvent),
    /// At a phone.
    Phone(usize, PhoneEvent),
    /// A message arrives at a server.
    Arrives(Arrival),
    /// An answer arrives at who asked.
    Answered(Reply),
    /// Whoever asked waits no longer.
    GivenUp(Reply),
    /// A server looks at its outbox.
    Pump(usize),
    /// A server goes on after it yielded.
    GoesOn(usize, u32, u64),
    /// A server starts again.
    Restarts(usize, u32),
    /// A server's disk has room again.
    DiskHasRoom(usize),
    /// The payer of an order pays, if it can be paid.
    Pays {
        /// The provider's number in the list of utilities.
        utility: usize,
        /// The order.
        order_no: String,
    },
    /// The provider notifies the payment server.
    Notifies {
        /// Which utility's.
        utility: usize,
        /// The order.
        order_no: String,
        /// The notification's id.
        event_id: String,
    },
    /// Somebody in a home wants gas.
    Wants(usize),
    /// A fault that comes by itself at a home or a server may strike.
    Weather,
    /// A second phone takes a vend over.
    Joins {
        /// The phone.
        phone: usize,
        /// The phone that has it.
        from: usize,
        /// The vend.
        vend: VendId,
    },
}

/// At a card.
#[derive(Debug)]
pub(crate) enum CardEvent {
    /// It wanted a tick at this time.
    Tick { life: u32, at: u64 },
    /// Power is back.
    On,
    /// The phone wrote a value.
    Written { link: u64, value: Vec<u8> },
    /// The phone confirmed an indication.
    Confirmed { link: u64 },
    /// The link is gone.
    LinkGone { life: u32 },
    /// Bytes came from the meter.
    Serial { life: u32, bytes: Vec<u8> },
}

/// At a meter.
#[derive(Debug)]
pub(crate) enum MeterEvent {
    /// Bytes came from the card.
    Serial { life: u32, bytes: Vec<u8> },
    /// It sends its answer, unless another one came meanwhile.
    Sends { life: u32, number: u64, wire: Vec<u8> },
    /// Power is back.
    On,
    /// Somebody presses the button.
    Press,
}

/// At a phone.
#[derive(Debug)]
pub(crate) enum PhoneEvent {
    /// The time that it waited for has come.
    Wakes { life: u32, wake: u64 },
    /// The link stands, or could not be made.
    Link { life: u32, wake: u64, home: usize },
    /// The card indicated a value.
    Value { home: usize, link: u64, value: Vec<u8> },
    /// The card took the value that was written.
    Sent { home: usize, link: u64 },
    /// The link is gone.
    LinkGone { home: usize, link: u64 },
}
