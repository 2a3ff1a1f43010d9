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
    /// What the household has used and bought in it at meters that this one has replaced.
    pub moved: Moved,
    /// The year before, to return to where the clock turned out to have been ahead.
    pub before: Option<PastYear>,
}

/// A year as it stood when the next one began.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PastYear {
    /// Which calendar year, in China Standard Time.
    pub year: i64,
    /// The register when it began.
    pub start_register: Volume,
    /// Sold in it.
    pub purchased: Volume,
    /// What had come from replaced meters.
    pub moved: Moved,
}

/// A household's part of a year at meters that were replaced.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Moved {
    /// Burnt.
    pub used: Volume,
    /// Bought; zero for money meters.
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
            moved: Moved::NONE,
            before: None,
        }
    }

    /// Before the company has read the meter: the first reading begins the year.
    pub const BEFORE_THE_FIRST_READING: Self = Self {
        year: i64::MIN,
        start_register: Volume::ZERO,
        purchased: Volume::ZERO,
        moved: Moved::NONE,
        before: None,
    };

    /// The year at `now`. A new one begins at the first reading that the company has in it: gas burnt
    /// between New Year and that reading counts for the year before, in the customer's favour.
    ///
    /// The company's clock alone turns the year, and it can be wrong. So a turn is taken back as soon as
    /// the clock stands before it again: the year before goes on where it stood, and what was sold under
    /// the wrong clock counts in it. Without that, a clock ahead for one minute would begin next year's
    /// tiers today, and on New Year they would not begin again. The meter's clock has no say: it may be
    /// lost for months, its tiers would never begin anew, and time that others tell is never evidence.
    /// A clock set back across New Year by mistake takes a rightful turn back, and the year then begins
    /// a second time: what was burnt and bought in between counts for the year before, in the customer's
    /// favour too.
    pub(crate) fn at(self, now: UnixMillis, register: Volume) -> Self {
        let year = calendar_year(now);
        match self.before {
            _ if year > self.year => Self {
                before: self.as_past(),
                ..Self::beginning(now, register)
            },
            Some(past) if year < self.year => Self {
                year: past.year,
                start_register: past.start_register,
                purchased: both(past.purchased, self.purchased),
                moved: past.moved.and(self.moved),
                before: None,
            },
            Some(_) | None => self,
        }
    }

    /// Whether `at` falls in this year.
    pub(crate) const fn includes(self, at: UnixMillis) -> bool {
        calendar_year(at) == self.year
    }

    fn as_past(self) -> Option<PastYear> {
        let has_begun = self.year != Self::BEFORE_THE_FIRST_READING.year;
        has_begun.then_some(PastYear {
            year: self.year,
            start_register: self.start_register,
            purchased: self.purchased,
            moved: self.moved,
        })
    }

    /// Bought by the household in this year, at this meter and at those that it has replaced.
    pub(crate) const fn purchased_by_household(&self) -> Volume {
        both(self.purchased, self.moved.purchased)
    }

    /// The year of a meter that takes the place of one whose year was `old`, at that one's last known
    /// register. Both years are those at the same moment; where clocks have made them differ, an older
    /// year's gas does not count in this one.
    #[must_use]
    pub(crate) fn succeeding(self, old: Self, old_register: Volume) -> Self {
        if old.year != self.year {
            return self;
        }
        let burnt = old_register
            .checked_sub(old.start_register)
            .unwrap_or(Volume::ZERO);
        let of_old = Moved {
            used: burnt,
            purchased: old.purchased,
        };
        Self {
            moved: self.moved.and(old.moved).and(of_old),
            ..self
        }
    }
}

impl Moved {
    /// Nothing: no meter was replaced in the year.
    pub const NONE: Self = Self {
        used: Volume::ZERO,
        purchased: Volume::ZERO,
    };

    const fn and(self, other: Self) -> Self {
        Self {
            used: both(self.used, other.used),
            purchased: both(self.purchased, other.purchased),
        }
    }
}

const fn both(one: Volume, other: Volume) -> Volume {
    Volume::from_centi_m3(one.centi_m3().saturating_add(other.centi_m3()))
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

    /// The last second of 2025 in China, and the first of 2026.
    const OLD_YEAR: UnixMillis = UnixMillis::from_millis(1_767_196_799_000);
    const NEW_YEAR: UnixMillis = UnixMillis::from_millis(1_767_196_800_000);

    fn in_2025() -> TariffYear {
        TariffYear {
            purchased: Volume::from_centi_m3(50),
            ..TariffYear::beginning(OLD_YEAR, Volume::from_centi_m3(100))
        }
    }

    #[test]
    fn a_new_year_begins_with_its_first_reading() {
        let year = in_2025();
        assert_eq!(year.at(OLD_YEAR, Volume::from_centi_m3(900)), year);
        let next = year.at(NEW_YEAR, Volume::from_centi_m3(900));
        assert_eq!(next.year, 2026);
        assert_eq!(next.start_register, Volume::from_centi_m3(900));
        assert_eq!(next.purchased, Volume::ZERO);
        assert_eq!(next.at(NEW_YEAR, Volume::from_centi_m3(950)), next);
    }

    #[test]
    fn a_clock_ahead_turns_no_year_for_ever() {
        let mut turned = in_2025().at(NEW_YEAR, Volume::from_centi_m3(200));
        turned.purchased = Volume::from_centi_m3(7);
        let back = turned.at(OLD_YEAR, Volume::from_centi_m3(300));
        let expected = TariffYear {
            purchased: Volume::from_centi_m3(57),
            ..in_2025()
        };
        assert_eq!(back, expected, "what was sold meanwhile counts");
        assert_eq!(back.at(OLD_YEAR, Volume::from_centi_m3(400)), back);
        let next = back.at(NEW_YEAR, Volume::from_centi_m3(900));
        assert_eq!(next.start_register, Volume::from_centi_m3(900));
    }

    #[test]
    fn a_households_year_goes_on_at_the_next_meter() {
        let m3 = Volume::from_centi_m3;
        let old = in_2025();
        let new = TariffYear::beginning(OLD_YEAR, m3(7)).succeeding(old, m3(130));
        let (used, purchased) = (m3(30), m3(50));
        assert_eq!(new.moved, Moved { used, purchased });
        assert_eq!((new.start_register, new.purchased), (m3(7), Volume::ZERO));
        // To a third meter goes what both have seen.
        let third = TariffYear::beginning(OLD_YEAR, Volume::ZERO).succeeding(new, m3(17));
        let used = m3(40);
        assert_eq!(third.moved, Moved { used, purchased });
        // It ends with the year, and comes back with it.
        let turned = third.at(NEW_YEAR, m3(5));
        assert_eq!(turned.moved, Moved::NONE);
        assert_eq!(turned.at(OLD_YEAR, m3(5)).moved, third.moved);
        let next_year = TariffYear::beginning(NEW_YEAR, m3(7));
        assert_eq!(next_year.succeeding(old, m3(130)), next_year);
    }

    #[test]
    fn a_clock_far_behind_goes_back_one_year_at_most() {
        let turned = in_2025().at(NEW_YEAR, Volume::from_centi_m3(900));
        let lost = UnixMillis::from_millis(0);
        let back = turned.at(lost, Volume::from_centi_m3(900));
        assert_eq!(back, in_2025());
        assert_eq!(back.at(lost, Volume::from_centi_m3(950)), back);
    }
}
