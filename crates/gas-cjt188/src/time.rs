use gas_units::UnixTime;

use crate::bcd::{Bcd, BcdError};

/// The meter's civil time is UTC+8, without summer time.
const UTC_OFFSET_S: u64 = 8 * 3600;
const DAY_S: u64 = 86_400;

/// A date and time of UTC+8 as CJ/T 188 carries it: 7 BCD bytes ss mm hh DD MM YY CC.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct LocalTime {
    year: u16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
}

/// Why 7 bytes are not a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LocalTimeError {
    /// No such day or time of day.
    #[error("there is no such date or time of day")]
    Calendar,
    /// Not packed decimal.
    #[error(transparent)]
    Decimal(#[from] BcdError),
}

impl LocalTime {
    /// From year, month 1..=12, day 1..=31, and hour, minute, second.
    ///
    /// # Errors
    /// [`LocalTimeError::Calendar`] where the calendar has no such date or time.
    pub fn new(date: (u16, u8, u8), time: (u8, u8, u8)) -> Result<Self, LocalTimeError> {
        let (year, month, day) = date;
        let (hour, minute, second) = time;
        let exists = year <= 9999
            && (1..=12).contains(&month)
            && day >= 1
            && u64::from(day) <= days_of_month(year, month)
            && hour < 24
            && minute < 60
            && second < 60;
        exists
            .then_some(Self {
                year,
                month,
                day,
                hour,
                minute,
                second,
            })
            .ok_or(LocalTimeError::Calendar)
    }

    /// The civil time of a moment.
    #[must_use]
    pub fn from_unix(time: UnixTime) -> Self {
        let local = u64::from(time.seconds()) + UTC_OFFSET_S;
        let (mut days, of_day) = (local / DAY_S, local % DAY_S);
        let mut year = 1970;
        while days >= days_of_year(year) {
            days -= days_of_year(year);
            year += 1;
        }
        let mut month = 1;
        while days >= days_of_month(year, month) {
            days -= days_of_month(year, month);
            month += 1;
        }
        Self {
            year,
            month,
            day: small(days + 1),
            hour: small(of_day / 3600),
            minute: small(of_day / 60 % 60),
            second: small(of_day % 60),
        }
    }

    /// The moment; `None` before 1970 (UTC) and after the last second that 32 bits hold.
    #[must_use]
    pub fn to_unix(self) -> Option<UnixTime> {
        if self.year < 1970 {
            return None;
        }
        let years: u64 = (1970..self.year).map(days_of_year).sum();
        let months: u64 = (1..self.month)
            .map(|month| days_of_month(self.year, month))
            .sum();
        let days = years + months + u64::from(self.day) - 1;
        let local = days * DAY_S
            + u64::from(self.hour) * 3600
            + u64::from(self.minute) * 60
            + u64::from(self.second);
        let seconds = u32::try_from(local.checked_sub(UTC_OFFSET_S)?).ok()?;
        Some(UnixTime::from_seconds(seconds))
    }

    /// The year.
    #[must_use]
    pub const fn year(self) -> u16 {
        self.year
    }

    /// Month 1..=12 and day of the month 1..=31.
    #[must_use]
    pub const fn month_day(self) -> (u8, u8) {
        (self.month, self.day)
    }

    /// Hour, minute, second.
    #[must_use]
    pub const fn time_of_day(self) -> (u8, u8, u8) {
        (self.hour, self.minute, self.second)
    }

    /// Takes the 7 bytes ss mm hh DD MM YY CC.
    ///
    /// # Errors
    /// [`LocalTimeError`] where they are not decimal or name no existing time.
    pub fn from_bytes(bytes: [u8; 7]) -> Result<Self, LocalTimeError> {
        let [second, minute, hour, day, month, year_low, century] = bytes;
        let year = Bcd::from_bytes([year_low, century])?.value();
        let two_digits =
            |byte| -> Result<u8, BcdError> { Ok(small(Bcd::from_bytes([byte])?.value().into())) };
        Self::new(
            (
                u16::try_from(year).unwrap_or(u16::MAX),
                two_digits(month)?,
                two_digits(day)?,
            ),
            (two_digits(hour)?, two_digits(minute)?, two_digits(second)?),
        )
    }

    /// The 7 bytes ss mm hh DD MM YY CC.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 7] {
        let pack = |value: u8| Bcd::<1>::clamped(value.into()).to_bytes()[0];
        let [year_low, century] = Bcd::<2>::clamped(self.year.into()).to_bytes();
        [
            pack(self.second),
            pack(self.minute),
            pack(self.hour),
            pack(self.day),
            pack(self.month),
            year_low,
            century,
        ]
    }
}

const fn is_leap(year: u16) -> bool {
    year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
}

const fn days_of_year(year: u16) -> u64 {
    if is_leap(year) { 366 } else { 365 }
}

const fn days_of_month(year: u16, month: u8) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Numbers that are below 100 by the arithmetic before.
fn small(value: u64) -> u8 {
    u8::try_from(value).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_vectors_moment() {
        let bytes = [0x15, 0x30, 0x08, 0x23, 0x11, 0x26, 0x20];
        let time = LocalTime::from_bytes(bytes).unwrap();
        assert_eq!(time, LocalTime::new((2026, 11, 23), (8, 30, 15)).unwrap());
        // 2026-11-23 00:30:15 UTC, as `date -u -d @1795393815` says.
        assert_eq!(time.to_unix(), Some(UnixTime::from_seconds(1_795_393_815)));
        assert_eq!(time.to_bytes(), bytes);
    }

    #[test]
    fn leap_days() {
        for (year, exists) in [(2024, true), (2026, false), (2000, true), (2100, false)] {
            let day = LocalTime::new((year, 2, 29), (0, 0, 0));
            assert_eq!(day.is_ok(), exists, "{year}");
        }
    }

    #[test]
    fn what_the_calendar_does_not_have() {
        for bytes in [
            [0x60, 0x30, 0x08, 0x23, 0x11, 0x26, 0x20],
            [0x15, 0x60, 0x08, 0x23, 0x11, 0x26, 0x20],
            [0x15, 0x30, 0x24, 0x23, 0x11, 0x26, 0x20],
            [0x15, 0x30, 0x08, 0x00, 0x11, 0x26, 0x20],
            [0x15, 0x30, 0x08, 0x31, 0x11, 0x26, 0x20],
            [0x15, 0x30, 0x08, 0x23, 0x13, 0x26, 0x20],
            [0x15, 0x30, 0x08, 0x23, 0x00, 0x26, 0x20],
        ] {
            let refused = LocalTime::from_bytes(bytes);
            assert_eq!(refused, Err(LocalTimeError::Calendar), "{bytes:02x?}");
        }
        let hexadecimal = LocalTime::from_bytes([0x15, 0x30, 0x08, 0x2A, 0x11, 0x26, 0x20]);
        assert_eq!(hexadecimal, Err(LocalTimeError::Decimal(BcdError(0x2A))));
    }

    #[test]
    fn times_that_32_bits_do_not_hold() {
        for date in [(1969, 12, 31), (1970, 1, 1), (2106, 2, 8), (9999, 1, 1)] {
            let time = LocalTime::new(date, (0, 0, 0)).unwrap();
            assert_eq!(time.to_unix(), None, "{date:?}");
        }
    }

    proptest! {
        #[test]
        fn every_second_comes_back(seconds: u32) {
            let time = UnixTime::from_seconds(seconds);
            let local = LocalTime::from_unix(time);
            prop_assert_eq!(local.to_unix(), Some(time));
            prop_assert_eq!(LocalTime::from_bytes(local.to_bytes()), Ok(local));
        }
    }
}
