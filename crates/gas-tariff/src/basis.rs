use gas_json::FromJson;
use gas_units::{Money, Unit, Volume};
use serde::{Deserialize, Serialize};

use crate::quote::QuoteError;
use crate::tariff::{Tariff, YearVolume};

/// What a customer asks for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Want {
    /// Gas for this much money (fen); arrears are paid back out of it first.
    #[serde(rename = "amount_fen")]
    Amount(Money),
    /// This much gas to burn (0.01 m³); arrears come on top.
    #[serde(rename = "volume_centi_m3")]
    Volume(Volume),
}

/// What a quote is computed from: an authenticated reading and the year's purchases.
#[derive(Clone, Copy, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct QuoteBasis {
    /// What the meter counts its balance in.
    pub unit: Unit,
    /// The register, from the authenticated status.
    pub register_centi_m3: Volume,
    /// The register when the tariff year began.
    pub year_start_register_centi_m3: Volume,
    /// Volume sold to this meter in this year. Counts for a volume meter only.
    pub purchased_this_year_centi_m3: Volume,
    /// Used in this year at meters that this one has replaced: the place in the year is the household's.
    /// Left out where it is zero.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub used_before_centi_m3: Volume,
    /// Sold, and not yet believed to be on the meter; in the meter's unit.
    pub undelivered: u32,
    /// The meter's balance in its unit; negative in arrears.
    pub balance: i32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde gives the field by reference"
)]
fn is_zero(volume: &Volume) -> bool {
    *volume == Volume::ZERO
}

/// Where in the year a sale begins, and what must be paid back first.
pub(crate) struct Place {
    /// Place in the year, 0.01 m³.
    pub(crate) position: YearVolume,
    /// In the meter's unit.
    pub(crate) arrears: u64,
}

impl QuoteBasis {
    /// Gas used in this year, 0.01 m³.
    pub(crate) fn used(&self) -> Result<YearVolume, QuoteError> {
        self.register_centi_m3
            .checked_sub(self.year_start_register_centi_m3)
            .map(|used| {
                u64::from(used.centi_m3()) + u64::from(self.used_before_centi_m3.centi_m3())
            })
            .ok_or(QuoteError::RegisterWentBack {
                register: self.register_centi_m3,
                year_start: self.year_start_register_centi_m3,
            })
    }

    /// The balance once everything sold has arrived: `(arrears, credit)`, one of them zero.
    fn arrears_and_credit(&self) -> (u64, u64) {
        let balance = i64::from(self.balance) + i64::from(self.undelivered);
        let amount = balance.unsigned_abs();
        if balance < 0 {
            (amount, 0)
        } else {
            (0, amount)
        }
    }

    /// Money meter: what was used, and the gas that the credit at hand still covers from there.
    pub(crate) fn place_of_money(&self, tariff: &Tariff) -> Result<Place, QuoteError> {
        let used = self.used()?;
        let (arrears, credit_fen) = self.arrears_and_credit();
        let covered = tariff.affordable(used, credit_fen.saturating_mul(100));
        Ok(Place {
            position: used.saturating_add(covered),
            arrears,
        })
    }

    /// Volume meter: the larger of this year's purchases and this year's use. Gas in arrears was used
    /// and not yet bought, so it does not count as used before it is paid back.
    pub(crate) fn place_of_volume(&self) -> Result<Place, QuoteError> {
        let used = self.used()?;
        let (arrears, _) = self.arrears_and_credit();
        let purchased = u64::from(self.purchased_this_year_centi_m3.centi_m3());
        Ok(Place {
            position: purchased.max(used.saturating_sub(arrears)),
            arrears,
        })
    }
}
