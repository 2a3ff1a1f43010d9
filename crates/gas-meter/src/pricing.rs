use gas_cjt188::LocalTime;
use gas_units::{UnixTime, Volume};

/// The price table of a money meter: three tiers, counted anew every calendar year (UTC+8).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Prices {
    /// Price of each tier, fen per m³, at least 1.
    pub fen_per_m3: [u16; 3],
    /// Where the first and the second tier end, 0.01 m³, rising.
    pub bounds: [Volume; 2],
}

/// Why a setting's body is not a price table.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PricesError {
    /// The second tier would end before it begins.
    #[error("the tiers' bounds must rise")]
    Bounds,
    /// Not 14 bytes.
    #[error("a price table has 14 bytes")]
    Length,
    /// Gas for nothing.
    #[error("a price must be at least 1 fen per m³")]
    Price,
}

/// 0-350 m³ at 2.61, 350-500 m³ at 2.83, above at 4.23 CNY per m³.
impl Default for Prices {
    fn default() -> Self {
        Self {
            fen_per_m3: [261, 283, 423],
            bounds: [Volume::from_centi_m3(35_000), Volume::from_centi_m3(50_000)],
        }
    }
}

impl Prices {
    /// Length of the body of setting 10.
    pub const LEN: usize = 14;

    /// Parses the body of setting 10: price 2 · bound 4 · price 2 · bound 4 · price 2, big-endian.
    ///
    /// # Errors
    /// [`PricesError`] naming what is wrong.
    pub fn parse(body: &[u8]) -> Result<Self, PricesError> {
        let &[p0, p1, v0, v1, v2, v3, q0, q1, w0, w1, w2, w3, r0, r1] = body else {
            return Err(PricesError::Length);
        };
        let fen_per_m3 = [[p0, p1], [q0, q1], [r0, r1]].map(u16::from_be_bytes);
        let bounds = [[v0, v1, v2, v3], [w0, w1, w2, w3]]
            .map(|bytes| Volume::from_centi_m3(u32::from_be_bytes(bytes)));
        if fen_per_m3.contains(&0) {
            return Err(PricesError::Price);
        }
        if bounds[0] > bounds[1] {
            return Err(PricesError::Bounds);
        }
        Ok(Self { fen_per_m3, bounds })
    }

    /// The body of setting 10.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let [[p0, p1], [q0, q1], [r0, r1]] = self.fen_per_m3.map(u16::to_be_bytes);
        let [[v0, v1, v2, v3], [w0, w1, w2, w3]] =
            self.bounds.map(|bound| bound.centi_m3().to_be_bytes());
        [p0, p1, v0, v1, v2, v3, q0, q1, w0, w1, w2, w3, r0, r1]
    }

    /// Price of the next 0.01 m³ after `used` in this year. One fen per m³ is 0.01 fen for it.
    pub(crate) fn next_costs_centi_fen(&self, used: Volume) -> u32 {
        let [first, second] = self.bounds;
        let [low, middle, high] = self.fen_per_m3;
        if used < first {
            low.into()
        } else if used < second {
            middle.into()
        } else {
            high.into()
        }
    }
}

/// How far the year's tiers are used, and the part of a fen that is not yet taken from the balance.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct TierAccount {
    /// The calendar year (UTC+8) that `used` counts in.
    pub(crate) year: u16,
    /// Gas in that year.
    pub(crate) used: Volume,
    /// 0.01 fen owed, 0..=99. The true balance is `balance - remainder / 100`.
    pub(crate) remainder: u32,
}

impl TierAccount {
    pub(crate) fn starting(time: UnixTime) -> Self {
        Self {
            year: local_year(time),
            ..Self::default()
        }
    }

    /// Counts 0.01 m³ and gives the whole fen that it takes from the balance.
    pub(crate) fn burn(&mut self, prices: &Prices) -> u32 {
        let owed = self.remainder + prices.next_costs_centi_fen(self.used);
        let next = self.used.centi_m3().saturating_add(1);
        self.used = Volume::from_centi_m3(next);
        self.remainder = owed % 100;
        owed / 100
    }

    /// A clock that runs by itself: a new year begins, an old one never comes back.
    pub(crate) fn clock_ran_to(&mut self, time: UnixTime) {
        let year = local_year(time);
        if year > self.year {
            self.year = year;
            self.used = Volume::ZERO;
        }
    }

    /// A clock set by the company: its year is the year, and only a later one begins anew.
    pub(crate) fn clock_set_to(&mut self, time: UnixTime) {
        self.clock_ran_to(time);
        self.year = local_year(time);
    }
}

fn local_year(time: UnixTime) -> u16 {
    LocalTime::from_unix(time).year()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the gas between two points of a year costs, in 0.01 fen, by tiers instead of pulses.
    fn closed_form(prices: &Prices, from: u64, to: u64) -> u64 {
        let [first, second] = prices.bounds.map(|bound| u64::from(bound.centi_m3()));
        [(0, first), (first, second), (second, u64::MAX)]
            .into_iter()
            .zip(prices.fen_per_m3)
            .map(|((begin, end), price)| {
                to.min(end).saturating_sub(from.max(begin)) * u64::from(price)
            })
            .sum()
    }

    fn prices() -> impl Strategy<Value = Prices> {
        let price = 1_u16..=5000;
        let bound = 0_u32..=3000;
        (
            [price.clone(), price.clone(), price],
            [bound.clone(), bound],
        )
            .prop_map(|(fen_per_m3, mut bounds)| {
                bounds.sort_unstable();
                Prices {
                    fen_per_m3,
                    bounds: bounds.map(Volume::from_centi_m3),
                }
            })
    }

    proptest! {
        #[test]
        fn pulse_by_pulse_is_exactly_the_closed_form(
            prices in prices(),
            used in 0_u32..=4000,
            remainder in 0_u32..=99,
            pulses in 0_u32..=4000,
        ) {
            let mut tiers = TierAccount { year: 2026, used: Volume::from_centi_m3(used), remainder };
            let mut taken = 0_u64;
            for _ in 0..pulses {
                taken += u64::from(tiers.burn(&prices));
                prop_assert!(tiers.remainder < 100);
            }
            let owed_before = u64::from(remainder);
            let cost = closed_form(&prices, used.into(), u64::from(used) + u64::from(pulses));
            prop_assert_eq!(taken * 100 + u64::from(tiers.remainder), owed_before + cost);
        }

        #[test]
        fn a_table_comes_back(prices in prices()) {
            prop_assert_eq!(Prices::parse(&prices.to_bytes()), Ok(prices));
        }
    }

    #[test]
    fn a_tier_ends_with_its_last_hundredth() {
        let prices = Prices::default();
        for (used, price) in [
            (0, 261),
            (34_999, 261),
            (35_000, 283),
            (49_999, 283),
            (50_000, 423),
        ] {
            let used = Volume::from_centi_m3(used);
            assert_eq!(prices.next_costs_centi_fen(used), price, "{used}");
        }
    }

    #[test]
    fn what_is_not_a_price_table() {
        let good = Prices::default().to_bytes();
        for length in 0..good.len() {
            assert_eq!(Prices::parse(&good[..length]), Err(PricesError::Length));
        }
        assert_eq!(
            Prices::parse(&[&good[..], &[0]].concat()),
            Err(PricesError::Length)
        );
        let mut free = good;
        [free[6], free[7]] = [0, 0];
        assert_eq!(Prices::parse(&free), Err(PricesError::Price));
        let mut falling = good;
        falling[2] = 1;
        assert_eq!(Prices::parse(&falling), Err(PricesError::Bounds));
    }

    #[test]
    fn tiers_begin_anew_with_the_chinese_year_and_never_with_an_old_one() {
        // 2026-12-31 23:59:59 in UTC+8.
        let last = UnixTime::from_seconds(1_798_732_799);
        let first = UnixTime::from_seconds(1_798_732_800);
        let used = Volume::from_centi_m3(36_000);
        let mut tiers = TierAccount {
            used,
            ..TierAccount::starting(last)
        };
        assert_eq!(tiers.year, 2026);
        tiers.clock_ran_to(last);
        assert_eq!(tiers.used, used);
        tiers.clock_ran_to(first);
        assert_eq!((tiers.year, tiers.used), (2027, Volume::ZERO));
        tiers.used = used;
        tiers.clock_ran_to(last);
        assert_eq!((tiers.year, tiers.used), (2027, used));
        tiers.clock_set_to(last);
        assert_eq!(
            (tiers.year, tiers.used),
            (2026, used),
            "corrected, not refilled"
        );
    }
}
