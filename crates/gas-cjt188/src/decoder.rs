use heapless::Vec;

use crate::frame::{FRAME_MAX, Frame, HEAD_LEN, RawFrame, frame_len, may_begin_frame};

/// Finds frames in a stream with noise, half frames and wrong sums.
///
/// Give it bytes with [`Decoder::push`], and after each byte take frames with [`Decoder::next_frame`]
/// until there is none. After the inter-byte time, call [`Decoder::line_went_quiet`] and take frames once more:
/// a true frame may stand behind bytes that looked like the head of a longer one.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8, FRAME_MAX>,
    /// Nothing more comes for what is in the buffer now.
    quiet: bool,
}

impl Decoder {
    /// An empty decoder.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            buffer: Vec::new(),
            quiet: false,
        }
    }

    /// Takes one byte. Bytes that cannot begin a frame are dropped at once.
    pub fn push(&mut self, byte: u8) {
        self.quiet = false;
        if self.buffer.is_full() {
            // Only a caller that never takes frames comes here; the oldest byte gives way.
            self.drop_first();
        }
        self.buffer.extend([byte]);
        // Behind a head that fits, any byte does.
        if self.buffer.len() <= HEAD_LEN {
            self.drop_noise();
        }
    }

    /// The next frame, if one is complete.
    pub fn next_frame(&mut self) -> Option<Frame> {
        loop {
            let expected = match self.buffer.get(HEAD_LEN - 1) {
                Some(length) => frame_len(*length),
                None if self.quiet && !self.buffer.is_empty() => {
                    self.drop_first();
                    continue;
                }
                None => return None,
            };
            let Some(bytes) = self.buffer.get(..expected) else {
                if self.quiet {
                    self.drop_first();
                    continue;
                }
                return None;
            };
            if let Ok(frame) = RawFrame::new_checked(bytes).and_then(Frame::from_raw) {
                self.drop_front(expected);
                return Some(frame);
            }
            self.drop_first();
        }
    }

    /// The line was silent for longer than a frame allows: what is incomplete will not be completed.
    pub const fn line_went_quiet(&mut self) {
        self.quiet = true;
    }

    /// Whether a frame has begun and is not complete.
    #[must_use]
    pub fn is_mid_frame(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.quiet = false;
    }

    fn drop_first(&mut self) {
        self.drop_front(1);
        self.drop_noise();
    }

    /// Drops bytes until the buffer is empty or begins like a frame.
    fn drop_noise(&mut self) {
        let begins = (0..self.buffer.len())
            .find(|start| self.buffer.get(*start..).is_some_and(may_begin_frame))
            .unwrap_or(self.buffer.len());
        self.drop_front(begins);
    }

    fn drop_front(&mut self, count: usize) {
        let count = count.min(self.buffer.len());
        self.buffer.rotate_left(count);
        self.buffer.truncate(self.buffer.len() - count);
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::frame::{Address, Content, Function, MeterType};
    use crate::identifier::{Identifier, IdentifierOrder};

    fn frame(serial: u8, body: &[u8]) -> Frame {
        Frame {
            meter_type: MeterType::GAS,
            address: Address::Meter("00110000123456".parse().unwrap()),
            function: Function::WriteData,
            order: IdentifierOrder::HighFirst,
            serial,
            content: Content::Request {
                identifier: Identifier::DELIVER,
                body: body.iter().copied().collect(),
            },
        }
    }

    fn run(decoder: &mut Decoder, bytes: &[u8]) -> Vec<Frame> {
        let mut frames = Vec::new();
        for byte in bytes {
            decoder.push(*byte);
            frames.extend(core::iter::from_fn(|| decoder.next_frame()));
        }
        frames
    }

    #[test]
    fn noise_half_frames_and_wrong_sums_cost_no_good_frame() {
        let (one, two) = (frame(1, b"abc"), frame(2, b"def"));
        let good = one.to_wire(4);
        let mut wrong_sum = good.clone();
        *wrong_sum.last_mut().unwrap() = 0x17;
        let mut stream = Vec::new();
        stream.extend_from_slice(b"\x68\x68\xFE\x00\x16");
        stream.extend_from_slice(&good);
        stream.extend_from_slice(&wrong_sum);
        stream.extend_from_slice(&good[4..14]);
        stream.extend_from_slice(&two.to_wire(2));
        let mut decoder = Decoder::new();
        assert_eq!(run(&mut decoder, &stream), [one]);
        // The half frame swallowed what came behind it; silence on the line gives it back.
        decoder.line_went_quiet();
        assert_eq!(decoder.next_frame(), Some(two));
        assert_eq!(decoder.next_frame(), None);
        assert!(!decoder.is_mid_frame());
    }

    #[test]
    fn a_half_frame_and_silence_leave_nothing() {
        let wire = frame(1, &[7; 40]).to_wire(0);
        for cut in 1..wire.len() {
            let mut decoder = Decoder::new();
            assert_eq!(run(&mut decoder, &wire[..cut]), []);
            decoder.line_went_quiet();
            assert_eq!(decoder.next_frame(), None, "cut at {cut}");
            assert!(!decoder.is_mid_frame(), "cut at {cut}");
            assert_eq!(run(&mut decoder, &wire), [frame(1, &[7; 40])]);
        }
    }

    #[test]
    fn a_caller_that_takes_no_frames_cannot_fill_it() {
        let mut decoder = Decoder::new();
        for byte in frame(1, &[0x68; 252]).to_wire(0).iter().cycle().take(5000) {
            decoder.push(*byte);
        }
        assert!(decoder.buffer.len() <= FRAME_MAX);
    }

    proptest! {
        #[test]
        fn frames_survive_any_noise_before_them(
            noise in proptest::collection::vec(any::<u8>(), 0..300),
            body in proptest::collection::vec(any::<u8>(), 0..=252),
        ) {
            let wanted = frame(9, &body);
            let mut decoder = Decoder::new();
            let mut frames = run(&mut decoder, &noise);
            frames.extend(run(&mut decoder, &wanted.to_wire(4)));
            decoder.line_went_quiet();
            frames.extend(core::iter::from_fn(|| decoder.next_frame()));
            prop_assert!(frames.contains(&wanted));
        }

        #[test]
        fn whatever_comes_it_ends(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let mut decoder = Decoder::new();
            run(&mut decoder, &bytes);
            decoder.line_went_quiet();
            while decoder.next_frame().is_some() {}
            prop_assert!(!decoder.is_mid_frame());
        }
    }
}
