use embedded_storage::nor_flash::NorFlash;
use gas_link::{CardState, Info};

use crate::api::{BootError, CardConfig, Effect, Event};

/// The card. Call order, always with the shell's steady clock in ms (it need not start at 0):
///
/// 1. [`Card::boot`] once;
/// 2. [`Card::poll`] until it gives `None`, doing each effect;
/// 3. wait for something to happen, or for [`Card::deadline`];
/// 4. [`Card::handle`] with it (or [`Event::Tick`]), and on with 2.
///
/// Flash is written inside `handle` and `poll`, before the effect that depends on it is given out.
#[derive(Debug)]
pub struct Card<F> {
    flash: F,
    config: CardConfig,
    info_sent: bool,
}

impl<F: NorFlash> Card<F> {
    /// Reads the journal and starts. A blank flash is a new card.
    ///
    /// # Errors
    /// [`BootError`]; see there.
    pub fn boot(flash: F, config: CardConfig, now_ms: u64) -> Result<Self, BootError> {
        let _ = now_ms;
        Ok(Self {
            flash,
            config,
            info_sent: false,
        })
    }

    /// Takes in what happened.
    pub fn handle(&mut self, event: Event<'_>, now_ms: u64) {
        let _ = (event, now_ms);
    }

    /// The next thing to do, or `None` until something happens or the deadline is reached.
    pub fn poll(&mut self, now_ms: u64) -> Option<Effect> {
        let _ = now_ms;
        if self.info_sent {
            return None;
        }
        self.info_sent = true;
        let state = CardState(CardState::NEEDS_PAIRING);
        Some(Effect::SetInfo(
            Info::of_card(self.config.card, state, 4).to_bytes(),
        ))
    }

    /// When to call again with [`Event::Tick`] if nothing happens before, in ms of the shell's clock.
    #[must_use]
    pub const fn deadline(&self) -> Option<u64> {
        None
    }

    /// Gives the flash back, as after a power cut.
    pub fn into_flash(self) -> F {
        self.flash
    }
}
