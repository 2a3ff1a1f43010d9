//! What happened, as a hash that two runs of one seed must share, and as a timeline for people.

use std::fmt;

/// FNV-1a's offset basis and prime, 128 bits.
const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013B;

/// The trace of a run.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    hash: u128,
    events: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// An empty one; with `recording`, it keeps lines for people as well.
    #[must_use]
    pub(crate) fn new(recording: bool) -> Self {
        Self {
            hash: BASIS,
            events: 0,
            lines: recording.then(Vec::new),
        }
    }

    /// Takes note of something that happened at `now` (ms of virtual time) to number `who`.
    pub(crate) fn note(&mut self, now: u64, what: &'static str, who: usize) {
        self.events += 1;
        self.mix(now);
        self.mix(u64::try_from(who).unwrap_or(u64::MAX));
        // No name holds a zero: filled up with them, no two read alike.
        for chunk in what.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }

    /// A line of the timeline, where one is kept.
    pub(crate) fn line(&mut self, now: u64, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{} {}", Clock(now), line()));
        }
    }

    /// The hash of everything noted so far.
    #[must_use]
    pub(crate) const fn hash(&self) -> u128 {
        self.hash
    }

    /// How many events were noted.
    #[must_use]
    pub(crate) const fn events(&self) -> u64 {
        self.events
    }

    /// The timeline, where one was kept.
    #[must_use]
    pub(crate) fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }

    /// FNV-1a over words: quick, and no adversary writes traces.
    const fn mix(&mut self, word: u64) {
        // As wide as u128 for sure.
        self.hash = (self.hash ^ word as u128).wrapping_mul(PRIME);
    }
}

/// Virtual time since the start of a run, for people.
pub(crate) struct Clock(pub(crate) u64);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, ms) = (self.0 / 1_000, self.0 % 1_000);
        let (days, of_day) = (seconds / 86_400, seconds % 86_400);
        let (hours, minutes, seconds) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
        write!(f, "{days}d {hours:02}:{minutes:02}:{seconds:02}.{ms:03}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_event_is_another_hash() {
        let trace = |now, what, who| {
            let mut trace = Trace::new(false);
            trace.note(now, what, who);
            trace.hash()
        };
        assert_eq!(trace(1, "sent", 1), trace(1, "sent", 1));
        assert_ne!(trace(1, "sent", 1), trace(2, "sent", 1));
        assert_ne!(trace(1, "sent", 1), trace(1, "sent", 2));
        assert_ne!(trace(1, "sent", 1), trace(1, "sent again", 1));
    }

    #[test]
    fn lines_tell_the_time() {
        let mut trace = Trace::new(true);
        trace.line(90_061_001, || "paid".to_owned());
        assert_eq!(trace.lines(), ["1d 01:01:01.001 paid"]);
    }
}
