//! A token of the gas company that no purchase of this phone brought: a sale taken back, books restored, a
//! new key. Whoever reads the meter carries it.

use gas_api::HexBytes;
use gas_link::{Request, RequestId, Response};
use gas_token::{Kind, Setting, Tagged, Total};
use gas_units::MeterNumber;

use crate::delivery::Delivery;
use crate::step::EventError;

/// Most tokens that one visit at a meter carries: a company that always has another one is broken.
pub const CARRIED_MAX: usize = 8;

/// One such token on its way. Nothing of it needs to be saved: a phone that dies is given it again with the
/// next status, and the meter takes it once, however often it comes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Carry {
    meter: MeterNumber,
    token: HexBytes,
    kind: Kind,
    /// Of a total token; a setting, like a new key, shows in the next status.
    seq: Option<u32>,
    delivery: Delivery,
    receipt: Option<HexBytes>,
}

/// What to do next for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CarryStep {
    /// Think of 8 random bytes; then [`Carry::named`].
    NameDelivery,
    /// Ask the card, after waiting; then [`Carry::answered`].
    AskCard {
        /// DELIVER, or RESULT of an earlier one.
        request: Request,
        /// How long to wait before, ms.
        after_ms: u32,
    },
    /// `PUT /v1/meters/{meter}/tokens/{seq}/receipt`: its answer may hold the next token.
    Upload {
        /// Sequence of the token.
        seq: u32,
        /// The meter's answer to it.
        receipt: HexBytes,
    },
    /// The meter has taken it, and its next status shows so.
    ReadAgain,
}

impl Carry {
    /// A token for this meter, as the cloud gave it.
    ///
    /// # Errors
    /// [`EventError`]: it is none, or another meter's.
    pub fn new(meter: MeterNumber, token: HexBytes) -> Result<Self, EventError> {
        let total = Tagged::<Total>::parse(&token.0).map(|total| {
            let seq = total.message.seq.bits();
            (total.message.meter, Kind::Total, Some(seq))
        });
        let parsed = total.or_else(|_| {
            Tagged::<Setting>::parse(&token.0).map(|setting| {
                let Setting { meter, kind, .. } = setting.message;
                (meter, Kind::Setting(kind), None)
            })
        });
        let (of, kind, seq) = parsed.map_err(|error| EventError::Card(error.to_string()))?;
        if of != meter {
            return Err(EventError::OtherMeter(of));
        }
        Ok(Self {
            meter,
            token,
            kind,
            seq,
            delivery: Delivery::default(),
            receipt: None,
        })
    }

    /// What to do next.
    #[must_use]
    pub fn next(&self) -> CarryStep {
        match (
            &self.receipt,
            self.seq,
            self.delivery.request(&self.token.0),
        ) {
            (Some(receipt), Some(seq), _) => CarryStep::Upload {
                seq,
                receipt: receipt.clone(),
            },
            (Some(_), None, _) => CarryStep::ReadAgain,
            (None, _, None) => CarryStep::NameDelivery,
            (None, _, Some((request, after_ms))) => CarryStep::AskCard { request, after_ms },
        }
    }

    /// The delivery has an id; a second one is not taken.
    pub const fn named(&mut self, id: RequestId) {
        if !self.delivery.is_named() {
            self.delivery.name(id);
        }
    }

    /// The card has answered.
    ///
    /// # Errors
    /// [`EventError`]; it can be asked again.
    pub fn answered(&mut self, response: &Response) -> Result<(), EventError> {
        if self.receipt.is_none() {
            self.receipt = self.delivery.answered(response, self.meter, self.kind)?;
        }
        Ok(())
    }
}
