//! The simulator's only source of chance.

/// Xoshiro256++ (Blackman and Vigna, public domain), seeded by SplitMix64. Written here, since a stored
/// seed must give the same numbers for ever, whatever a library's next release does.
#[derive(Clone, Debug)]
pub struct Rng([u64; 4]);

impl Rng {
    /// The numbers of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut state = seed;
        Self([(); 4].map(|()| split_mix(&mut state)))
    }

    /// Another generator, whose numbers do not depend on how many are drawn here afterwards.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::new(self.next())
    }

    /// The next 64 bits.
    pub const fn next(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.0;
        let result = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    /// A number below `bound`; 0 where `bound` is 0. The bias of the modulus is far below what any rate
    /// here could show.
    pub const fn below(&mut self, bound: u64) -> u64 {
        match self.next().checked_rem(bound) {
            Some(number) => number,
            None => 0,
        }
    }

    /// A number in `low..=high`.
    pub const fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// A place in a list of `len`, which must not be empty.
    pub fn place(&mut self, len: usize) -> usize {
        usize::try_from(self.below(u64::try_from(len).unwrap_or(u64::MAX))).unwrap_or(0)
    }

    /// True `rate` times in 100,000.
    pub const fn chance(&mut self, rate: u32) -> bool {
        // As wide as u64 for sure.
        self.below(100_000) < rate as u64
    }

    /// Fills with random bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let random = self.next().to_le_bytes();
            chunk.copy_from_slice(&random[..chunk.len()]);
        }
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

const fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First numbers of the reference implementation for the state 1, 2, 3, 4.
    #[test]
    fn the_numbers_are_those_of_the_reference() {
        let mut rng = Rng([1, 2, 3, 4]);
        let numbers = [(); 5].map(|()| rng.next());
        assert_eq!(
            numbers,
            [
                41_943_041,
                58_720_359,
                3_588_806_011_781_223,
                3_591_011_842_654_386,
                9_228_616_714_210_784_205
            ]
        );
    }

    #[test]
    fn a_rate_is_kept() {
        let mut rng = Rng::new(1);
        let hits = (0..100_000).filter(|_| rng.chance(5_000)).count();
        assert!((4_700..5_300).contains(&hits), "{hits}");
        assert!(!(0..1_000).any(|_| rng.chance(0)));
    }
}
