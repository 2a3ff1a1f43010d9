/// Most real time that one turn of the loop counts, ms. A program that was stopped for longer did not
/// live meanwhile, and neither did its household.
const TURN_MAX_MS: u64 = 5000;

/// Turns real milliseconds into whole virtual seconds, losing none.
#[derive(Debug)]
pub(crate) struct Clockwork {
    pub(crate) speed: u32,
    carried_ms: u64,
}

impl Clockwork {
    pub(crate) const fn new(speed: u32) -> Self {
        Self {
            speed,
            carried_ms: 0,
        }
    }

    /// Virtual seconds that `real_ms` more make.
    pub(crate) fn turn(&mut self, real_ms: u64) -> u64 {
        let virtual_ms = real_ms.min(TURN_MAX_MS) * u64::from(self.speed) + self.carried_ms;
        self.carried_ms = virtual_ms % 1000;
        virtual_ms / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_millisecond_is_lost_and_a_long_stop_does_not_count() {
        let mut clockwork = Clockwork::new(7);
        let seconds: u64 = (0..1000).map(|_| clockwork.turn(201)).sum();
        assert_eq!(seconds, 201 * 7);
        assert_eq!(Clockwork::new(1).turn(86_400_000), 5);
        assert_eq!(Clockwork::new(0).turn(1000), 0);
    }
}
