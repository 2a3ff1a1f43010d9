use gas_units::{Volume, VolumeError};

use crate::core::{MeterCore, Step};

const HOUR_S: u64 = 3600;
const DAY_S: u64 = 24 * HOUR_S;

/// Share of the day's gas that each hour takes, in thousandths: breakfast, lunch, dinner, hot water.
const HOUR_SHARES: [u64; 24] = [
    10, 5, 5, 5, 5, 15, 50, 85, 60, 35, 35, 60, 75, 40, 25, 25, 35, 75, 110, 95, 65, 45, 25, 15,
];
const SHARES_SUM: u64 = 1000;

/// A household: how much gas it wants at any time. One day of the file after the other, then again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Household {
    days: Vec<Volume>,
}

/// Why a list is not a household's gas use.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HouseholdError {
    /// No day in it.
    #[error("there is no day in it")]
    Empty,
    /// A day's volume is broken.
    #[error("day {day}: `{text}` is not a volume: {error}")]
    Volume {
        /// Which day, from 1.
        day: usize,
        /// What stood there.
        text: String,
        /// Why.
        error: VolumeError,
    },
}

impl Household {
    /// From the volumes of days in m³, as text (`5.1`).
    ///
    /// # Errors
    /// [`HouseholdError`] naming the day.
    pub fn from_days<'a>(days: impl IntoIterator<Item = &'a str>) -> Result<Self, HouseholdError> {
        let days: Vec<Volume> = days
            .into_iter()
            .enumerate()
            .map(|(place, text)| {
                text.parse().map_err(|error| HouseholdError::Volume {
                    day: place + 1,
                    text: text.to_owned(),
                    error,
                })
            })
            .collect::<Result<_, _>>()?;
        if days.is_empty() {
            return Err(HouseholdError::Empty);
        }
        Ok(Self { days })
    }

    /// What it wants within `seconds` from `at` (seconds since the first day's midnight).
    #[must_use]
    pub fn wants(&self, at: u64, seconds: u64) -> Volume {
        let mut wanted = 0;
        let (mut now, end) = (at, at.saturating_add(seconds));
        while now < end {
            let (day, of_day) = (now / DAY_S, now % DAY_S);
            let until = end.min((day + 1).saturating_mul(DAY_S));
            wanted += self.until(day, of_day + (until - now)) - self.until(day, of_day);
            now = until;
        }
        Volume::from_centi_m3(u32::try_from(wanted).unwrap_or(u32::MAX))
    }

    /// What `seconds` more of a meter's life hold, cut at the full hours of the meter's clock.
    #[must_use]
    pub fn steps(&self, meter: &MeterCore, seconds: u64) -> Vec<Step> {
        let (mut lived, mut clock) = (meter.lived_s(), u64::from(meter.clock().seconds()));
        let end = lived.saturating_add(seconds);
        let mut steps = Vec::new();
        while lived < end {
            let run = (end - lived).min(HOUR_S - clock % HOUR_S);
            steps.push(Step {
                seconds: u32::try_from(run).unwrap_or(u32::MAX),
                wanted: self.wants(lived, run),
            });
            lived += run;
            clock += run;
        }
        steps
    }

    /// Gas (0.01 m³) of one day up to a second of it, rounded down; the whole day is exact.
    fn until(&self, day: u64, second: u64) -> u64 {
        let place = usize::try_from(day).unwrap_or_default() % self.days.len();
        let of_day = self.days.get(place).copied().unwrap_or_default();
        let (hour, of_hour) = (second / HOUR_S, second % HOUR_S);
        let mut shares = HOUR_SHARES.into_iter();
        let whole: u64 = shares
            .by_ref()
            .take(usize::try_from(hour).unwrap_or(usize::MAX))
            .sum();
        let parts = whole * HOUR_S + shares.next().unwrap_or(0) * of_hour;
        u64::from(of_day.centi_m3()) * parts / (SHARES_SUM * HOUR_S)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn household() -> Household {
        Household::from_days(["5.1", "0.0", "22.4"]).unwrap()
    }

    #[test]
    fn every_day_takes_exactly_what_the_file_says_and_then_the_file_begins_again() {
        assert_eq!(HOUR_SHARES.iter().sum::<u64>(), SHARES_SUM);
        let days: Vec<u32> = (0..5)
            .map(|day| household().wants(day * DAY_S, DAY_S).centi_m3())
            .collect();
        assert_eq!(days, [510, 0, 2240, 510, 0]);
    }

    #[test]
    fn what_is_not_a_volume_is_named() {
        let error = Household::from_days(["1.0", "n/a"]).unwrap_err();
        assert!(error.to_string().starts_with("day 2: `n/a`"), "{error}");
        assert_eq!(Household::from_days([]), Err(HouseholdError::Empty));
    }

    proptest! {
        #[test]
        fn how_time_is_cut_does_not_change_what_is_burnt(
            at in 0_u64..5 * DAY_S,
            lengths in proptest::collection::vec(0_u64..40_000, 1..20),
        ) {
            let mut now = at;
            let mut sum = 0;
            for length in &lengths {
                sum += household().wants(now, *length).centi_m3();
                now += length;
            }
            prop_assert_eq!(sum, household().wants(at, now - at).centi_m3());
        }
    }
}
