use gas_json::FromJson;
use serde::{Deserialize, Serialize};

/// Seconds since 1970-01-01 UTC, as the meter and the token carry them (u32, until 2106).
///
/// Never evidence: a paid token works for ever, whatever a clock says (token.md).
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    Deserialize,
    Eq,
    FromJson,
    Hash,
    Ord,
    PartialEq,
    PartialOrd,
    Serialize,
)]
#[serde(transparent)]
pub struct UnixTime(u32);

impl UnixTime {
    /// A time of `seconds` since 1970.
    #[must_use]
    pub const fn from_seconds(seconds: u32) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.0
    }
}

/// Milliseconds since 1970-01-01 UTC: the servers' and the phone's clock.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    Deserialize,
    Eq,
    FromJson,
    Hash,
    Ord,
    PartialEq,
    PartialOrd,
    Serialize,
)]
#[serde(transparent)]
pub struct UnixMillis(i64);

impl UnixMillis {
    /// A time of `milliseconds` since 1970.
    #[must_use]
    pub const fn from_millis(milliseconds: i64) -> Self {
        Self(milliseconds)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// This time and `milliseconds` later; stays at the last time that can be told.
    #[must_use]
    pub const fn plus_millis(self, milliseconds: i64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }

    /// Whole seconds, as a meter counts them: before 1970 is 1970, after 2106 is 2106.
    #[must_use]
    pub fn to_unix_time(self) -> UnixTime {
        let seconds = self.0.div_euclid(1000).clamp(0, i64::from(u32::MAX));
        UnixTime(u32::try_from(seconds).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_stay_within_what_a_meter_can_count() {
        for (millis, seconds) in [(-1, 0), (0, 0), (1_999, 1), (i64::MAX, u32::MAX)] {
            let time = UnixMillis::from_millis(millis).to_unix_time();
            assert_eq!(time, UnixTime::from_seconds(seconds), "{millis}");
        }
    }
}
