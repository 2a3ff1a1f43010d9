use gas_json::FromJson;
use gas_units::{Money, Volume};
use serde::{Deserialize, Serialize};

/// Money in 0.01 fen: price in fen per m³ times volume in 0.01 m³, without rounding.
pub type CentiFen = u64;

/// Gas counted within the tariff year, in 0.01 m³. Wider than the register, so that sums stay exact.
pub type YearVolume = u64;

/// Highest price that a tariff may hold, fen per m³. Keeps every cost far from overflow.
const PRICE_MAX: u32 = 1_000_000;

/// A three-tier tariff; the tiers begin anew every year.
#[derive(Clone, Copy, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
#[serde(try_from = "Parts", into = "Parts")]
#[blank(Self::default())]
pub struct Tariff {
    version: u16,
    bounds: [Volume; 2],
    prices: [u32; 3],
}

/// The tariff as JSON.
#[derive(Deserialize, FromJson, Serialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    version: u16,
    bounds_centi_m3: [Volume; 2],
    prices_fen_per_m3: [u32; 3],
}

/// Why numbers are not a tariff.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TariffError {
    /// The bounds do not rise from above zero.
    #[error("the tiers' bounds must rise: 0 < first < second")]
    Bounds,
    /// A price is zero, above 10,000 CNY per m³, or lower than that of the tier below.
    #[error("the tiers' prices must be 1 to 1,000,000 fen per m³ and must not fall")]
    Prices,
}

impl TryFrom<Parts> for Tariff {
    type Error = TariffError;

    fn try_from(parts: Parts) -> Result<Self, TariffError> {
        Self::new(
            parts.version,
            parts.bounds_centi_m3,
            parts.prices_fen_per_m3,
        )
    }
}

impl From<Tariff> for Parts {
    fn from(tariff: Tariff) -> Self {
        Self {
            version: tariff.version,
            bounds_centi_m3: tariff.bounds,
            prices_fen_per_m3: tariff.prices,
        }
    }
}

/// Version 1: 0-350 m³ at 2.61, 350-500 m³ at 2.83, above at 4.23 CNY per m³.
impl Default for Tariff {
    fn default() -> Self {
        Self {
            version: 1,
            bounds: [Volume::from_centi_m3(35_000), Volume::from_centi_m3(50_000)],
            prices: [261, 283, 423],
        }
    }
}

/// A stretch of gas within one tier.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Segment {
    /// Which tier, 1..=3.
    pub tier: u8,
    /// Where in the year it begins, 0.01 m³.
    pub from: YearVolume,
    /// Where it ends.
    pub to: YearVolume,
    /// At what price, fen per m³.
    pub price: u32,
}

impl Segment {
    /// What it costs.
    #[must_use]
    pub fn cost(&self) -> CentiFen {
        (self.to.saturating_sub(self.from)).saturating_mul(u64::from(self.price))
    }
}

impl Tariff {
    /// A tariff of three tiers: up to `bounds[0]`, up to `bounds[1]`, above; prices in fen per m³.
    ///
    /// # Errors
    /// [`TariffError`].
    pub fn new(version: u16, bounds: [Volume; 2], prices: [u32; 3]) -> Result<Self, TariffError> {
        if bounds[0] == Volume::ZERO || bounds[0] >= bounds[1] {
            return Err(TariffError::Bounds);
        }
        if prices[0] == 0 || prices[2] > PRICE_MAX || !prices.is_sorted() {
            return Err(TariffError::Prices);
        }
        Ok(Self {
            version,
            bounds,
            prices,
        })
    }

    /// Its version, as the token carries it.
    #[must_use]
    pub const fn version(&self) -> u16 {
        self.version
    }

    /// Where the first two tiers end.
    #[must_use]
    pub const fn bounds(&self) -> [Volume; 2] {
        self.bounds
    }

    /// The tiers' prices, fen per m³.
    #[must_use]
    pub const fn prices_fen_per_m3(&self) -> [u32; 3] {
        self.prices
    }

    /// The tiers as `(number, end, price)`.
    fn tiers(&self) -> [(u8, YearVolume, u32); 3] {
        let [first, second] = self.bounds.map(|bound| u64::from(bound.centi_m3()));
        let [low, middle, high] = self.prices;
        [(1, first, low), (2, second, middle), (3, u64::MAX, high)]
    }

    /// Cuts the gas between two places of the year at the tiers' borders, in order.
    #[must_use]
    pub fn segments(&self, from: YearVolume, to: YearVolume) -> Vec<Segment> {
        let mut at = from;
        let mut segments = Vec::new();
        for (tier, end, price) in self.tiers() {
            let until = end.min(to);
            if until > at {
                segments.push(Segment {
                    tier,
                    from: at,
                    to: until,
                    price,
                });
                at = until;
            }
        }
        segments
    }

    /// What the gas between two places of the year costs, exactly.
    #[must_use]
    pub fn cost(&self, from: YearVolume, to: YearVolume) -> CentiFen {
        self.segments(from, to).iter().map(Segment::cost).sum()
    }

    /// The most gas that `budget` pays for from a place of the year on, in 0.01 m³.
    #[must_use]
    pub fn affordable(&self, from: YearVolume, budget: CentiFen) -> YearVolume {
        let mut at = from;
        let mut left = budget;
        for (_, end, price) in self.tiers() {
            let room = end.saturating_sub(at);
            let price = u64::from(price);
            let taken = room.min(left / price);
            at = at.saturating_add(taken);
            left = left.saturating_sub(taken.saturating_mul(price));
            if taken < room {
                break;
            }
        }
        at.saturating_sub(from)
    }
}

/// Whole fen that cover `exact`: rounded up. The only rounding of this crate.
pub(crate) fn round_up(exact: CentiFen) -> Option<Money> {
    i64::try_from(exact.div_ceil(100)).ok().map(Money::from_fen)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_default_is_a_tariff_and_survives_json() {
        let tariff = Tariff::default();
        let text = serde_json::to_string(&tariff).unwrap();
        assert_eq!(
            text,
            r#"{"version":1,"bounds_centi_m3":[35000,50000],"prices_fen_per_m3":[261,283,423]}"#
        );
        assert_eq!(serde_json::from_str::<Tariff>(&text).unwrap(), tariff);
    }

    #[test]
    fn refuses_what_is_no_tariff() {
        let new = |a, b, prices| {
            Tariff::new(
                1,
                [Volume::from_centi_m3(a), Volume::from_centi_m3(b)],
                prices,
            )
        };
        assert_eq!(new(0, 5, [1, 2, 3]), Err(TariffError::Bounds));
        assert_eq!(new(5, 5, [1, 2, 3]), Err(TariffError::Bounds));
        assert_eq!(new(1, 5, [0, 2, 3]), Err(TariffError::Prices));
        assert_eq!(new(1, 5, [2, 1, 3]), Err(TariffError::Prices));
        assert_eq!(new(1, 5, [1, 2, 1_000_001]), Err(TariffError::Prices));
        let text = r#"{"version":1,"bounds_centi_m3":[5,5],"prices_fen_per_m3":[1,2,3]}"#;
        assert!(
            serde_json::from_str::<Tariff>(text)
                .unwrap_err()
                .to_string()
                .contains("must rise")
        );
    }

    #[test]
    fn cuts_at_the_borders() {
        let tariff = Tariff::default();
        let cut: Vec<(u8, u64, u64)> = tariff
            .segments(34_000, 51_000)
            .iter()
            .map(|segment| (segment.tier, segment.from, segment.to))
            .collect();
        assert_eq!(
            cut,
            [
                (1, 34_000, 35_000),
                (2, 35_000, 50_000),
                (3, 50_000, 51_000)
            ]
        );
        assert_eq!(tariff.segments(35_000, 35_001)[0].price, 283);
        assert_eq!(tariff.segments(34_999, 35_000)[0].price, 261);
        assert_eq!(tariff.segments(10, 10), []);
    }

    proptest! {
        #[test]
        fn costs_add_up_wherever_the_gas_is_cut(
            from in 0..60_000_u64, first in 0..60_000_u64, second in 0..60_000_u64
        ) {
            let tariff = Tariff::default();
            let (middle, to) = (from + first, from + first + second);
            prop_assert_eq!(
                tariff.cost(from, to),
                tariff.cost(from, middle) + tariff.cost(middle, to)
            );
        }

        #[test]
        fn affordable_is_the_most(from in 0..60_000_u64, budget in 0..50_000_000_u64) {
            let tariff = Tariff::default();
            let volume = tariff.affordable(from, budget);
            prop_assert!(tariff.cost(from, from + volume) <= budget);
            prop_assert!(tariff.cost(from, from + volume + 1) > budget);
        }
    }
}
