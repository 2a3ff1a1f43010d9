use gas_units::{Money, Unit, Volume};

use crate::basis::{Place, QuoteBasis, Want};
use crate::explanation::{Explanation, Line, LineKind};
use crate::tariff::{CentiFen, Tariff, YearVolume, round_up};

/// Why something cannot be quoted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum QuoteError {
    /// More than may be sold at once.
    #[error("{payable} CNY is more than may be sold at once ({limit} CNY); ask for less")]
    AboveLimit {
        /// What it would cost.
        payable: Money,
        /// The most that may be sold at once.
        limit: Money,
    },
    /// Too little money for 0.01 m³.
    #[error("{amount} CNY buys less than 0.01 m³; ask for more")]
    BuysNothing {
        /// What was offered.
        amount: Money,
    },
    /// A number left its range.
    #[error("the meter cannot count that much; ask for less")]
    OutOfRange,
    /// Less than 1 fen, or no gas.
    #[error("nothing was asked for; the least is 0.01 CNY or 0.01 m³")]
    Nothing,
    /// The register is below that of the year's beginning.
    #[error(
        "the register reads {register} m³, less than at the year's beginning ({year_start} m³)"
    )]
    RegisterWentBack {
        /// The register now.
        register: Volume,
        /// The register at the year's beginning.
        year_start: Volume,
    },
}

impl Tariff {
    /// Quotes what is wanted, up to `limit` fen at once.
    ///
    /// # Errors
    /// [`QuoteError`] saying why it cannot be sold, in words for the customer.
    pub fn quote(
        &self,
        basis: QuoteBasis,
        want: Want,
        limit: Money,
    ) -> Result<Explanation, QuoteError> {
        if let Want::Amount(amount) = want
            && amount > limit
        {
            return Err(QuoteError::AboveLimit {
                payable: amount,
                limit,
            });
        }
        let explanation = self.explain(basis, want)?;
        if explanation.payable_fen > limit {
            return Err(QuoteError::AboveLimit {
                payable: explanation.payable_fen,
                limit,
            });
        }
        Ok(explanation)
    }

    /// The arithmetic of [`Tariff::quote`], without its limit.
    pub(crate) fn explain(&self, basis: QuoteBasis, want: Want) -> Result<Explanation, QuoteError> {
        let asked_for_something = match want {
            Want::Amount(amount) => amount > Money::ZERO,
            Want::Volume(volume) => volume > Volume::ZERO,
        };
        if !asked_for_something {
            return Err(QuoteError::Nothing);
        }
        let (place, sold) = match basis.unit {
            Unit::Fen => {
                let place = basis.place_of_money(self)?;
                let sold = self.sell_money(&place, want)?;
                (place, sold)
            }
            Unit::CentiCubicMetre => {
                let place = basis.place_of_volume()?;
                let sold = self.sell_volume(&place, want)?;
                (place, sold)
            }
        };
        Ok(Explanation {
            tariff: *self,
            basis,
            want,
            position_centi_m3: volume(place.position)?,
            lines: sold.lines,
            payable_fen: sold.payable,
            credit: sold.credit,
        })
    }

    /// Money meter: the credit is what is paid, exactly.
    fn sell_money(&self, place: &Place, want: Want) -> Result<Sold, QuoteError> {
        let owed: CentiFen = place.arrears.saturating_mul(100);
        let (payable, arrears, gas) = match want {
            Want::Amount(amount) => {
                let exact = centi_fen(amount)?;
                let arrears = owed.min(exact);
                let gas = self.affordable(place.position, exact.saturating_sub(arrears));
                (amount, arrears, gas)
            }
            Want::Volume(wanted) => {
                let gas = u64::from(wanted.centi_m3());
                let cost = self.cost(place.position, place.position.saturating_add(gas));
                let payable = round_up(owed.saturating_add(cost)).ok_or(QuoteError::OutOfRange)?;
                (payable, owed, gas)
            }
        };
        let mut lines = Vec::new();
        if arrears > 0 {
            lines.push(line_without_gas(
                LineKind::Arrears,
                place.position,
                arrears,
            )?);
        }
        let end = place.position.saturating_add(gas);
        self.push_gas(&mut lines, place.position, end, Kind::ByTier)?;
        push_rounding(&mut lines, end, payable)?;
        Ok(Sold {
            credit: i32::try_from(payable.fen()).map_err(|_| QuoteError::OutOfRange)?,
            lines,
            payable,
        })
    }

    /// Volume meter: the credit is volume, arrears of gas first; the price is rounded up to whole fen.
    fn sell_volume(&self, place: &Place, want: Want) -> Result<Sold, QuoteError> {
        let gas = match want {
            Want::Amount(amount) => {
                let gas = self.affordable(place.position, centi_fen(amount)?);
                if gas == 0 {
                    return Err(QuoteError::BuysNothing { amount });
                }
                gas
            }
            Want::Volume(wanted) => place.arrears.saturating_add(u64::from(wanted.centi_m3())),
        };
        let fresh = place.position.saturating_add(place.arrears.min(gas));
        let end = place.position.saturating_add(gas);
        let mut lines = Vec::new();
        self.push_gas(&mut lines, place.position, fresh, Kind::Arrears)?;
        self.push_gas(&mut lines, fresh, end, Kind::ByTier)?;
        let payable = round_up(self.cost(place.position, end)).ok_or(QuoteError::OutOfRange)?;
        push_rounding(&mut lines, end, payable)?;
        Ok(Sold {
            credit: i32::try_from(gas).map_err(|_| QuoteError::OutOfRange)?,
            lines,
            payable,
        })
    }

    fn push_gas(
        &self,
        lines: &mut Vec<Line>,
        from: YearVolume,
        to: YearVolume,
        kind: Kind,
    ) -> Result<(), QuoteError> {
        for segment in self.segments(from, to) {
            lines.push(Line {
                kind: match kind {
                    Kind::Arrears => LineKind::Arrears,
                    Kind::ByTier => LineKind::Tier(segment.tier),
                },
                from_centi_m3: volume(segment.from)?,
                to_centi_m3: volume(segment.to)?,
                price_fen_per_m3: segment.price,
                amount_centi_fen: segment.cost(),
            });
        }
        Ok(())
    }
}

struct Sold {
    lines: Vec<Line>,
    payable: Money,
    credit: i32,
}

/// How lines with gas are named.
#[derive(Clone, Copy)]
enum Kind {
    Arrears,
    ByTier,
}

/// The line that makes the exact lines come to whole fen, where they do not by themselves.
fn push_rounding(lines: &mut Vec<Line>, at: YearVolume, payable: Money) -> Result<(), QuoteError> {
    let exact: CentiFen = lines.iter().map(|line| line.amount_centi_fen).sum();
    let rest = centi_fen(payable)?
        .checked_sub(exact)
        .ok_or(QuoteError::OutOfRange)?;
    if rest > 0 {
        lines.push(line_without_gas(LineKind::Rounding, at, rest)?);
    }
    Ok(())
}

fn line_without_gas(kind: LineKind, at: YearVolume, amount: CentiFen) -> Result<Line, QuoteError> {
    Ok(Line {
        kind,
        from_centi_m3: volume(at)?,
        to_centi_m3: volume(at)?,
        price_fen_per_m3: 0,
        amount_centi_fen: amount,
    })
}

fn centi_fen(money: Money) -> Result<CentiFen, QuoteError> {
    u64::try_from(money.fen())
        .ok()
        .and_then(|fen| fen.checked_mul(100))
        .ok_or(QuoteError::OutOfRange)
}

fn volume(hundredths: YearVolume) -> Result<Volume, QuoteError> {
    u32::try_from(hundredths)
        .map(Volume::from_centi_m3)
        .map_err(|_| QuoteError::OutOfRange)
}
