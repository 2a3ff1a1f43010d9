//! The other direction: messages in, segments out.

use heapless::{Deque, Vec};

use crate::Value;
use crate::message::{Frame, MESSAGE_MAX};
use crate::segment::{Data, ResetReason};
use crate::session::SendError;

/// Messages that may wait: the answer under way and a "busy" behind it.
const QUEUE: usize = 2;

#[derive(Debug)]
pub(crate) struct Outgoing {
    queue: Deque<Vec<u8, MESSAGE_MAX>, QUEUE>,
    /// Bytes of the front message that are sent.
    sent: usize,
    /// Sequence of the next data segment.
    next: u8,
    /// Segments sent and not acknowledged.
    outstanding: u8,
    /// Whether anything was ever acknowledged.
    acknowledged: bool,
    window: u8,
    value_bytes: usize,
    message_max: usize,
}

impl Outgoing {
    pub(crate) const fn new(window: u8, value_bytes: usize, message_max: usize) -> Self {
        Self {
            queue: Deque::new(),
            sent: 0,
            next: 0,
            outstanding: 0,
            acknowledged: false,
            window,
            value_bytes,
            message_max,
        }
    }

    pub(crate) fn push(&mut self, frame: &Frame) -> Result<(), SendError> {
        let message = frame.to_message();
        if message.len() > self.message_max {
            return Err(SendError::TooLong);
        }
        self.queue.push_back(message).map_err(|_| SendError::Full)
    }

    pub(crate) fn can_send(&self) -> bool {
        self.outstanding < self.window && !self.queue.is_empty()
    }

    /// Whether everything pushed was sent and acknowledged.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.outstanding == 0
    }

    pub(crate) const fn outstanding(&self) -> u8 {
        self.outstanding
    }

    /// The next segment; call only where [`Self::can_send`].
    pub(crate) fn segment(&mut self, acknowledged: Option<u8>) -> Option<Value> {
        let message = self.queue.front()?;
        let first = self.sent == 0;
        let room = self
            .value_bytes
            .checked_sub(Data::header_len(first, acknowledged.is_some()))?;
        let rest = message.get(self.sent..)?;
        let payload = rest.get(..room).unwrap_or(rest);
        let last = payload.len() == rest.len();
        let value = Data {
            sequence: self.next,
            acknowledged,
            message_len: match first {
                true => Some(u16::try_from(message.len()).ok()?),
                false => None,
            },
            last,
            payload,
        }
        .to_value()?;
        self.sent += payload.len();
        self.next = self.next.wrapping_add(1);
        self.outstanding += 1;
        if last {
            self.queue.pop_front();
            self.sent = 0;
        }
        Some(value)
    }

    /// Takes an acknowledgement; whether it told anything new.
    pub(crate) const fn acknowledge(&mut self, sequence: u8) -> Result<bool, ResetReason> {
        let newest_acknowledged = self.next.wrapping_sub(self.outstanding).wrapping_sub(1);
        let newly = sequence.wrapping_sub(newest_acknowledged);
        if newly > self.outstanding || (newly == 0 && !self.acknowledged) {
            return Err(ResetReason::Sequence);
        }
        self.outstanding -= newly;
        self.acknowledged = true;
        Ok(newly > 0)
    }
}
