//! The tiered tariff: what gas costs, explained line by line.
//!
//! Pure and in integers. Prices are whole fen per m³ and volumes whole 0.01 m³, so every cost is a
//! whole number of 0.01 fen: exact. The one rounding is on a quote's sum, up to the next whole fen;
//! as it is never down, buying in small pieces gains nothing. [`Explanation::check`] computes a quote
//! again from its own basis, so that who pays can verify it without asking anyone.
#![forbid(unsafe_code)]

mod basis;
mod explanation;
mod quote;
mod tariff;

pub use basis::{QuoteBasis, Want};
pub use explanation::{CheckError, Explanation, Line, LineKind};
pub use quote::QuoteError;
pub use tariff::{CentiFen, Segment, Tariff, TariffError, YearVolume};
