use gas_units::{UnixMillis, Volume};

/// The tariff year turns at midnight of China Standard Time, UTC+8 all year.
const ZONE_MS: i64 = 8 * 3_600_000;
const DAY_MS: i64 = 86_400_000;

/// What the tiers need to know of the running year.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TariffYear {
    /// Which calendar year, in China Standard Time.
    pub year: i64,
    /// The register when it began, as far as the company knows.
    pub start_register: Volume,
    /// Sold in it so far; stays zero for a money meter.
    pub purchased: Volume,
}

impl TariffYear {
    /// The year that `now` falls in, beginning with this register.
    #[must_use]
    pub const fn beginning(now: UnixMillis, start_register: Volume) -> Self {
        Self {
            year: calendar_year(now),
            start_register,
            purchased: Volume::ZERO,
        }
    }

    /// Before the company has read the meter: the first reading begins the year.
    pub const BEFORE_THE_FIRST_READING: Self = Self {
        year: i64::MIN,
        start_register: Volume::ZERO,
        purchased: Volume::ZERO,
    };

    /// The year at `now`. A new one begins at the first reading that the company has in it: gas burnt
    /// between New Year and that reading counts for the year before, in the customer's favour.
    pub(crate) fn at(self, now: UnixMillis, register: Volume) -> Self {
        if calendar_year(now) > self.year {
            Self::beginning(now, register)
        } else {
            self
        }
    }
}

/// The Gregorian year in China Standard Time, by counting days in eras of 400 years from 0000-03-01.
const fn calendar_year(now: UnixMillis) -> i64 {
    let days = now.millis().saturating_add(ZONE_MS).div_euclid(DAY_MS) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Day 306 counted from 1 March is 1 January.
    let after_new_year = if day_of_year >= 306 { 1 } else { 0 };
    era * 400 + year_of_era + after_new_year
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_year_turns_at_midnight_in_china() {
        for (seconds, year) in [
            (0, 1970),
            // 2025-12-31T15:59:59Z and one second later.
            (1_767_196_799, 2025),
            (1_767_196_800, 2026),
            // 2024-02-29 (a leap year), then its end in China.
            (1_709_208_000, 2024),
            (1_735_660_799, 2024),
            (1_735_660_800, 2025),
            // In 2000 (a leap year) and in 2100 (none).
            (951_912_000, 2000),
            (4_102_488_000, 2100),
        ] {
            let now = UnixMillis::from_millis(seconds * 1_000);
            assert_eq!(calendar_year(now), year, "{seconds}");
        }
    }

    #[test]
    fn the_first_reading_begins_the_first_year() {
        let now = UnixMillis::from_millis(1_767_196_800_000);
        let register = Volume::from_centi_m3(900);
        let first = TariffYear::BEFORE_THE_FIRST_READING.at(now, register);
        assert_eq!(first, TariffYear::beginning(now, register));
    }

    #[test]
    fn a_new_year_begins_with_its_first_reading_and_never_goes_back() {
        let at = |seconds: i64| UnixMillis::from_millis(seconds * 1_000);
        let mut year = TariffYear::beginning(at(1_767_196_799), Volume::from_centi_m3(100));
        year.purchased = Volume::from_centi_m3(50);
        assert_eq!(year.at(at(1_767_196_799), Volume::from_centi_m3(900)), year);
        let next = year.at(at(1_767_196_800), Volume::from_centi_m3(900));
        assert_eq!(next.year, 2026);
        assert_eq!(next.start_register, Volume::from_centi_m3(900));
        assert_eq!(next.purchased, Volume::ZERO);
        assert_eq!(next.at(at(0), Volume::from_centi_m3(1)), next);
    }
}
