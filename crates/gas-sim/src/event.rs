//! What can happen in the world.

use gas_units::VendId;

use crate::net::{Arrival, PayAsk, Reply};

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
    /// An answer arrives at who asked, or its patience ends.
    Answered(Reply),
    /// A server looks at its outbox.
    Pump(usize),
    /// A server starts again.
    Restarts(usize, u32),
    /// A task of a server goes on between two of its transactions.
    GoesOn { server: usize, life: u32, task: u64 },
    /// The operator of a server whose backup was put back brings its books up to date.
    Mends(usize, u32),
    /// A server's clock is set right.
    ClockRight(usize),
    /// A server's disk has room again.
    DiskHasRoom(usize),
    /// The payer of an order pays, if it can be paid.
    Pays {
        /// The provider's number in the list of utilities.
        utility: usize,
        /// The order.
        order_no: String,
    },
    /// The provider notifies the payment server of this utility.
    Notifies(usize, Box<PayAsk>),
    /// The provider ends a refund.
    RefundEnds {
        /// Which utility's.
        utility: usize,
        /// The refund's number there.
        number: String,
    },
    /// The gas company's desk asks for a vend to be taken back.
    DeskAsks(VendId),
    /// The desk asks for a replacement, or how it stands.
    DeskReplaces(usize),
    /// The desk asks for a meter's next key.
    DeskChangesKey(usize),
    /// Somebody in a home wants gas.
    Wants(usize),
    /// Somebody in a home reads the meter.
    Reads(usize),
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
    Sends {
        life: u32,
        number: u64,
        wire: Vec<u8>,
    },
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
    Value {
        home: usize,
        link: u64,
        value: Vec<u8>,
    },
    /// The card took the value that was written.
    Sent { home: usize, link: u64 },
    /// The link is gone.
    LinkGone { home: usize, link: u64 },
}

impl Event {
    /// Its name and place, for the trace.
    pub(crate) const fn name(&self) -> (&'static str, usize) {
        match self {
            Self::Card(home, event) => (event.name(), *home),
            Self::Meter(home, event) => (event.name(), *home),
            Self::Phone(phone, event) => (event.name(), *phone),
            Self::Arrives(_) => ("arrives", 0),
            Self::Answered(_) => ("answered", 0),
            Self::Pump(server) => ("pump", *server),
            Self::Restarts(server, _) => ("restarts", *server),
            Self::GoesOn { server, .. } => ("goes on", *server),
            Self::Mends(server, _) => ("operator mends", *server),
            Self::ClockRight(server) => ("clock right", *server),
            Self::DiskHasRoom(server) => ("disk has room", *server),
            Self::Pays { utility, .. } => ("pays", *utility),
            Self::Notifies(utility, _) => ("notifies", *utility),
            Self::RefundEnds { utility, .. } => ("refund ends", *utility),
            Self::DeskAsks(_) => ("desk asks", 0),
            Self::DeskReplaces(number) => ("desk replaces", *number),
            Self::DeskChangesKey(home) => ("desk changes a key", *home),
            Self::Wants(home) => ("wants", *home),
            Self::Reads(home) => ("reads", *home),
            Self::Weather => ("weather", 0),
            Self::Joins { phone, .. } => ("joins", *phone),
        }
    }
}

impl CardEvent {
    const fn name(&self) -> &'static str {
        match self {
            Self::Tick { .. } => "card ticks",
            Self::On => "card on",
            Self::Written { .. } => "card is written to",
            Self::Confirmed { .. } => "indication confirmed",
            Self::LinkGone { .. } => "card's link gone",
            Self::Serial { .. } => "card hears its meter",
        }
    }
}

impl MeterEvent {
    const fn name(&self) -> &'static str {
        match self {
            Self::Serial { .. } => "meter hears its card",
            Self::Sends { .. } => "meter answers",
            Self::On => "meter on",
            Self::Press => "button pressed",
        }
    }
}

impl PhoneEvent {
    const fn name(&self) -> &'static str {
        match self {
            Self::Wakes { .. } => "phone wakes",
            Self::Link { .. } => "phone connects",
            Self::Value { .. } => "phone hears the card",
            Self::Sent { .. } => "phone's value taken",
            Self::LinkGone { .. } => "phone's link gone",
        }
    }
}
