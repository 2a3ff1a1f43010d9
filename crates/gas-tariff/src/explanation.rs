use core::fmt;

use gas_json::FromJson;
use gas_units::{Money, Unit, Volume};
use serde::{Deserialize, Serialize};

use crate::basis::{QuoteBasis, Want};
use crate::quote::QuoteError;
use crate::tariff::{CentiFen, Tariff};

/// What a line is for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LineKind {
    /// Gas burnt before it was paid. For a money meter a sum without volume: the meter has priced it.
    Arrears,
    /// Gas of this tier, 1..=3.
    Tier(u8),
    /// Less than one fen of rounding up, or on a money meter money worth less than 0.01 m³ more:
    /// it stays in the balance.
    Rounding,
}

/// One line of a quote: these cubic metres of the year, at this price.
#[derive(Clone, Copy, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// What it is for.
    pub kind: LineKind,
    /// Where in the year it begins.
    pub from_centi_m3: Volume,
    /// Where in the year it ends.
    pub to_centi_m3: Volume,
    /// Fen per m³; 0 where the line has no volume.
    pub price_fen_per_m3: u32,
    /// Exact amount in 0.01 fen.
    pub amount_centi_fen: CentiFen,
}

impl Line {
    /// How much gas.
    #[must_use]
    pub fn volume(&self) -> Volume {
        self.to_centi_m3
            .checked_sub(self.from_centi_m3)
            .unwrap_or_default()
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (
            self.amount_centi_fen / 10_000,
            self.amount_centi_fen % 10_000,
        );
        match self.kind {
            LineKind::Arrears => write!(f, "Arrears")?,
            LineKind::Tier(tier) => write!(f, "Tier {tier}")?,
            LineKind::Rounding => write!(f, "Rounding")?,
        }
        if self.price_fen_per_m3 != 0 {
            write!(
                f,
                ": m³ {} to {} of this year, {} m³ at {} CNY",
                self.from_centi_m3,
                self.to_centi_m3,
                self.volume(),
                Money::from_fen(self.price_fen_per_m3.into()),
            )?;
        }
        write!(f, ": {whole}.{fraction:04} CNY")
    }
}

/// A quote that explains itself, with all that it was computed from.
#[derive(Clone, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Explanation {
    /// The tariff.
    pub tariff: Tariff,
    /// Reading and purchases.
    pub basis: QuoteBasis,
    /// What was asked for.
    pub want: Want,
    /// Where in the year this sale begins: gas that counts as used or bought already.
    pub position_centi_m3: Volume,
    /// Which gas costs what, in order of the year.
    pub lines: Vec<Line>,
    /// What is to be paid.
    pub payable_fen: Money,
    /// What the meter will be credited, in its unit.
    pub credit: i32,
}

/// Why a quote's arithmetic does not hold.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CheckError {
    /// The basis could not have led to any quote.
    #[error("the quote rests on numbers that give none: {0}")]
    Basis(#[from] QuoteError),
    /// Another result comes from the same basis and tariff.
    #[error("computed again from its own basis, the quote comes out differently: {0}")]
    Differs(&'static str),
    /// A line's amount is not its volume times its price.
    #[error("line {0} of the quote is not its volume times its price")]
    Line(usize),
    /// The lines do not add up to the payable.
    #[error("the quote's lines do not add up to what is to be paid")]
    Sum,
}

impl Explanation {
    /// Computes everything again: each line, the sum, and the quote as a whole from its basis.
    ///
    /// # Errors
    /// [`CheckError`] saying what does not hold. Such a quote must not be paid.
    pub fn check(&self) -> Result<(), CheckError> {
        let mut sum: u128 = 0;
        for (number, line) in (1..).zip(&self.lines) {
            let priced = u64::from(line.volume().centi_m3()) * u64::from(line.price_fen_per_m3);
            let has_volume = line.from_centi_m3 < line.to_centi_m3;
            if has_volume && line.amount_centi_fen != priced {
                return Err(CheckError::Line(number));
            }
            sum += u128::from(line.amount_centi_fen);
        }
        if i128::from(self.payable_fen.fen()) * 100 != i128::try_from(sum).unwrap_or(-1) {
            return Err(CheckError::Sum);
        }
        let again = self.tariff.explain(self.basis, self.want)?;
        let differs = |what| Err(CheckError::Differs(what));
        if again.position_centi_m3 != self.position_centi_m3 {
            return differs("the place in the year");
        }
        if again.payable_fen != self.payable_fen {
            return differs("what is to be paid");
        }
        if again.credit != self.credit {
            return differs("what will be credited");
        }
        if again.lines != self.lines {
            return differs("the lines");
        }
        Ok(())
    }

    /// Gas to burn that this quote buys, arrears not counted. On a money meter, at the tariff from here.
    #[must_use]
    pub fn new_gas(&self) -> Volume {
        let hundredths = self
            .lines
            .iter()
            .filter(|line| matches!(line.kind, LineKind::Tier(_)))
            .map(|line| line.volume().centi_m3())
            .sum();
        Volume::from_centi_m3(hundredths)
    }
}

/// The whole quote as a person reads it, one line each.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Reading {} m³; the sale begins at m³ {} of this year (tariff version {})",
            self.basis.register_centi_m3,
            self.position_centi_m3,
            self.tariff.version(),
        )?;
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        write!(f, "To pay {} CNY; credited ", self.payable_fen)?;
        match self.basis.unit {
            Unit::Fen => write!(f, "{} CNY", Money::from_fen(self.credit.into())),
            Unit::CentiCubicMetre => {
                let volume = u32::try_from(self.credit).unwrap_or_default();
                write!(f, "{} m³", Volume::from_centi_m3(volume))
            }
        }
    }
}
