//! One direction of a session: segments in, messages out.

use heapless::Vec;

use crate::message::{Frame, MESSAGE_MAX, MESSAGE_MIN};
use crate::segment::{Data, ResetReason};

#[derive(Debug)]
pub(crate) struct Incoming {
    /// Sequence of the next data segment.
    next: u8,
    /// Segments taken and not yet acknowledged.
    unacknowledged: u8,
    /// How many of those this side offered to take.
    window: u8,
    /// Acknowledge at the latest when so many are unacknowledged.
    ack_at: u8,
    ack_due: bool,
    /// Length of the message under way.
    expected: Option<usize>,
    message: Vec<u8, MESSAGE_MAX>,
}

impl Incoming {
    /// `window`: what this side offered. `other_window`: what the other side offered; where it is
    /// smaller the acknowledgement comes sooner, for senders that keep to their own window.
    pub(crate) fn new(window: u8, other_window: u8) -> Self {
        Self {
            next: 0,
            unacknowledged: 0,
            window,
            ack_at: (window.min(other_window) / 2).max(1),
            ack_due: false,
            expected: None,
            message: Vec::new(),
        }
    }

    /// Takes a data segment; gives the message that it completes.
    pub(crate) fn take(&mut self, data: &Data<'_>) -> Result<Option<Frame>, ResetReason> {
        if data.sequence != self.next {
            return Err(ResetReason::Sequence);
        }
        if self.unacknowledged >= self.window {
            return Err(ResetReason::WindowExceeded);
        }
        self.next = self.next.wrapping_add(1);
        self.unacknowledged += 1;
        self.ack_due |= data.last || self.unacknowledged >= self.ack_at;
        let expected = match (self.expected, data.message_len) {
            (None, Some(length)) => {
                let length = usize::from(length);
                if length < MESSAGE_MIN {
                    return Err(ResetReason::Length);
                }
                if length > MESSAGE_MAX {
                    return Err(ResetReason::TooLong);
                }
                self.message.clear();
                length
            }
            (Some(length), None) => length,
            (None, None) | (Some(_), Some(_)) => return Err(ResetReason::Flags),
        };
        self.expected = Some(expected);
        let length = self.message.len() + data.payload.len();
        // `last` and the length told at the beginning must agree, in both directions.
        if length > expected || data.last != (length == expected) {
            return Err(ResetReason::Length);
        }
        self.message
            .extend_from_slice(data.payload)
            .map_err(|_| ResetReason::TooLong)?;
        if !data.last {
            return Ok(None);
        }
        self.expected = None;
        Frame::checked(&self.message)
            .map(Some)
            .ok_or(ResetReason::Checksum)
    }

    /// Whether an acknowledgement must go out even with nothing to carry it.
    pub(crate) const fn ack_due(&self) -> bool {
        self.ack_due
    }

    /// What to acknowledge, if anything is unacknowledged; it counts as acknowledged from now on.
    pub(crate) const fn take_ack(&mut self) -> Option<u8> {
        if self.unacknowledged == 0 {
            return None;
        }
        self.unacknowledged = 0;
        self.ack_due = false;
        Some(self.next.wrapping_sub(1))
    }
}
