//! A phone: the real core, what its storage holds, and what it is at.

use std::collections::BTreeMap;

use gas_api::HexBytes;
use gas_api::cloud::Vend;
use gas_link::{Request, RequestId};
use gas_phone::{Carry, Exchange, TopUp, Trust};
use gas_units::VendId;

use crate::rng::Rng;

/// A phone.
#[derive(Debug)]
pub(crate) struct Phone {
    /// The utility whose card it talks to.
    pub(crate) utility: usize,
    /// The home where it lives.
    pub(crate) home: usize,
    /// Whom it trusts.
    pub(crate) trust: Trust,
    /// What its storage holds: every vend as it was last saved.
    pub(crate) saved: BTreeMap<VendId, TopUp>,
    /// What it is at; gone when its program dies.
    pub(crate) walk: Option<Walk>,
    /// Counts its program's lives.
    pub(crate) life: u32,
    /// Counts what it waits for: only the newest counts.
    pub(crate) wake: u64,
    /// Counts what it asks servers.
    pub(crate) call: u64,
    /// What its payers have decided, by vend.
    pub(crate) payers: BTreeMap<VendId, Payer>,
}

/// What the payer of a vend does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payer {
    /// Presses "paid" at this time; `None`: never.
    pub(crate) confirms_at: Option<u64>,
}

/// A vend that a phone is at.
#[derive(Debug)]
pub(crate) struct Walk {
    /// The purchase; without one, it only reads the meter.
    pub(crate) top_up: Option<TopUp>,
    /// The status that it has read and not used yet.
    pub(crate) status: Option<HexBytes>,
    /// What it brings the meter besides, and how much it has brought.
    pub(crate) carry: Option<Carry>,
    pub(crate) carried: usize,
    pub(crate) doing: Doing,
    /// Failures one after the other.
    pub(crate) failures: u32,
    /// Looks at the cloud without news, one after the other.
    pub(crate) looks: u32,
    /// It has waited before it asks for a payment request again.
    pub(crate) waited: bool,
    /// Carried to this home, which is not its meter's.
    pub(crate) astray: Option<usize>,
    /// The link to a card, while there is one.
    pub(crate) card: Option<Line>,
}

impl Walk {
    /// Whether it asks the card about the token of its purchase.
    pub(crate) const fn delivers(&self) -> bool {
        self.carry.is_none() && matches!(self.doing, Doing::AtCard(CardWork::Request(..)))
    }

    /// The vend as it was shown last.
    pub(crate) fn vend(&self) -> Option<&Vend> {
        self.top_up.as_ref()?.vend()
    }

    /// For this purchase, or to read the meter only.
    pub(crate) const fn new(top_up: Option<TopUp>) -> Self {
        Self {
            top_up,
            status: None,
            carry: None,
            carried: 0,
            doing: Doing::Pausing,
            failures: 0,
            looks: 0,
            waited: false,
            astray: None,
            card: None,
        }
    }
}

/// What a phone is doing.
#[expect(
    clippy::large_enum_variant,
    reason = "one of each phone, and moved rarely"
)]
#[derive(Debug)]
pub(crate) enum Doing {
    /// Waits, then takes the next step.
    Pausing,
    /// Waits, then looks how the vend stands.
    Looking,
    /// Waits for the answer to this call.
    Asking { call: u64, what: Asked },
    /// Asks the card.
    AtCard(CardWork),
}

/// What the cloud was asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Asked {
    /// A nonce.
    Nonce,
    /// What it makes of a status.
    Presence,
    /// What it makes of a receipt for no vend.
    Taken,
    /// Something that is answered by the vend.
    Vend,
}

/// What the phone wants of the card.
#[expect(
    clippy::large_enum_variant,
    reason = "one of each phone, and moved rarely"
)]
#[derive(Clone, Debug)]
pub(crate) enum CardWork {
    /// The status that answers this ask.
    Status([u8; 18]),
    /// The answer to the vend's request, after so many ms.
    Request(Request, u32),
}

/// A link to a card, and the exchange over it.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) home: usize,
    pub(crate) link: u64,
    pub(crate) exchange: Exchange,
    /// The card has told which meter it is in.
    pub(crate) met: bool,
}

impl Phone {
    pub(crate) fn new(utility: usize, home: usize, trust: Trust) -> Self {
        Self {
            utility,
            home,
            trust,
            saved: BTreeMap::new(),
            walk: None,
            life: 0,
            wake: 0,
            call: 0,
            payers: BTreeMap::new(),
        }
    }

    /// Its program dies: what is not saved is gone.
    pub(crate) fn die(&mut self) -> Option<Line> {
        self.life += 1;
        self.walk.take().and_then(|walk| walk.card)
    }

    /// What is left to go on with: what has ended is not kept.
    pub(crate) fn open_vends(&self) -> Vec<VendId> {
        self.saved.keys().copied().collect()
    }
}

/// An id for a request to the card.
pub(crate) fn request_id(rng: &mut Rng) -> RequestId {
    RequestId(rng.bytes())
}
