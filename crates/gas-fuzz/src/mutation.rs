use std::iter;

/// Changed inputs, the same for the same seeds: bits flipped, pieces cut, doubled, mixed.
#[derive(Debug)]
pub struct Mutations<'a> {
    seeds: &'a [Vec<u8>],
    state: u64,
}

/// Bytes at which parsers decide.
const TELLING: [u8; 8] = [0x00, 0x01, 0x7F, 0x80, 0xFF, b'0', b'"', b'}'];

impl<'a> Mutations<'a> {
    /// Changes of these seeds, in an order that `start` decides.
    #[must_use]
    pub const fn new(seeds: &'a [Vec<u8>], start: u64) -> Self {
        Self {
            seeds,
            state: start,
        }
    }

    /// Sebastiano Vigna's splitmix64 (public domain).
    fn next_random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 where there is none.
    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next_random() % end).unwrap_or(0)
    }

    fn random_byte(&mut self) -> u8 {
        self.next_random().to_be_bytes()[0]
    }

    fn seed(&mut self) -> Vec<u8> {
        let at = self.below(self.seeds.len());
        self.seeds.get(at).cloned().unwrap_or_default()
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        let end = (at + 1 + self.below(16)).min(bytes.len());
        match self.below(7) {
            0 => {
                let bit = 1 << self.below(8);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= bit;
                }
            }
            1 => {
                let telling = TELLING[self.below(TELLING.len())];
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = telling;
                }
            }
            2 => drop(bytes.drain(at.min(end)..end)),
            3 => {
                let doubled: Vec<u8> = bytes.get(at..end).unwrap_or_default().to_vec();
                bytes.splice(at..at, doubled);
            }
            4 => {
                let count = 1 + self.below(8);
                let new: Vec<u8> = iter::repeat_with(|| self.random_byte())
                    .take(count)
                    .collect();
                bytes.splice(at..at, new);
            }
            5 => bytes.truncate(at),
            _ => {
                let other = self.seed();
                let from = self.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend(other.get(from..).unwrap_or_default());
            }
        }
    }
}

impl Iterator for Mutations<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut bytes = self.seed();
        for _ in 0..=self.below(6) {
            self.change(&mut bytes);
        }
        Some(bytes)
    }
}
