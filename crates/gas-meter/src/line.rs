use gas_cjt188::{Decoder, Frame, PREAMBLE_BYTE};

/// A meter that heard nothing for this long sleeps, ms.
const SLEEP_AFTER_MS: u64 = 2000;
/// A frame whose bytes come with a longer gap is given up, ms (meter-link.md).
const GAP_MS: u64 = 500;
/// Preamble bytes in a row that wake a sleeping meter.
const WAKE_BYTES: u8 = 2;
/// Longest wait before an answer to a wrong tag, ms: the asker waits a second.
const WRONG_TAG_DELAY_MAX_MS: u32 = 800;

/// The meter's end of the serial line: asleep or awake, and what is half received.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    decoder: Decoder,
    awake: bool,
    wake_bytes: u8,
    last_activity_ms: u64,
    wrong_tags: u32,
}

impl Line {
    /// Notes that bytes come at `line_ms`.
    pub(crate) fn bytes_come(&mut self, line_ms: u64) {
        let silence = line_ms.saturating_sub(self.last_activity_ms);
        if silence >= SLEEP_AFTER_MS {
            self.awake = false;
            self.wake_bytes = 0;
            self.wrong_tags = 0;
        }
        if silence >= GAP_MS {
            self.decoder.clear();
        }
        self.last_activity_ms = line_ms;
    }

    /// Takes one byte; a sleeping meter takes only what wakes it.
    pub(crate) fn take(&mut self, byte: u8) {
        if self.awake {
            self.decoder.push(byte);
        } else if byte == PREAMBLE_BYTE {
            self.wake_bytes += 1;
            self.awake = self.wake_bytes == WAKE_BYTES;
        } else {
            self.wake_bytes = 0;
        }
    }

    pub(crate) fn next_frame(&mut self) -> Option<Frame> {
        self.decoder.next_frame()
    }

    /// How long the answer to one more wrong tag waits, ms. Doubles until the meter sleeps again or
    /// sees a genuine token, which never waits.
    pub(crate) fn wrong_tag_delay_ms(&mut self) -> u32 {
        let delay = 100_u32
            .checked_shl(self.wrong_tags)
            .map_or(WRONG_TAG_DELAY_MAX_MS, |delay| {
                delay.clamp(100, WRONG_TAG_DELAY_MAX_MS)
            });
        self.wrong_tags = (self.wrong_tags + 1).min(8);
        delay
    }

    pub(crate) const fn genuine_tag(&mut self) {
        self.wrong_tags = 0;
    }
}
