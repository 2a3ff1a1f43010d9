use gas_units::{MeterNumber, Unit, UnixTime, Volume};
use serde::Serialize;

use crate::core::MeterCore;
use crate::durable::Durable;
use crate::valve::Position;

/// What a person sees who looks at the meter. Nothing secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct View {
    /// Meter number.
    pub meter: MeterNumber,
    /// Key generation.
    pub generation: u8,
    /// What balance and total count.
    pub unit: Unit,
    /// The register, 0.01 m³.
    pub register_centi_m3: Volume,
    /// What remains, in `unit`; negative in arrears.
    pub balance: i32,
    /// `open`, `closed` or `armed`.
    pub valve: &'static str,
    /// The company holds the valve closed.
    pub held: bool,
    /// The meter's clock, Unix seconds.
    pub time: UnixTime,
    /// Sequence of the total token last applied (epoch in the upper 8 bits).
    pub last_seq: u32,
    /// Everything ever credited, in `unit`.
    pub total: u32,
    /// Battery, per cent.
    pub battery_percent: u8,
    /// State bits, as receipts carry them.
    pub flags: u16,
    /// Versions of the settings 10..=14.
    pub settings: [u16; 5],
    /// Gas in this calendar year, 0.01 m³: where the tiers stand.
    pub year_centi_m3: Volume,
    /// The hourly records.
    pub records: RecordsView,
}

/// Numbers of the records kept; 0 and 0 before the first.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct RecordsView {
    /// Number of the oldest.
    pub oldest: u32,
    /// Number of the newest.
    pub newest: u32,
}

impl MeterCore {
    /// What a person sees who looks at the meter.
    #[must_use]
    pub fn view(&self) -> View {
        let Durable {
            identity,
            key: _,
            account,
            last_amount: _,
            register,
            prices: _,
            tiers,
            valve,
            battery_percent,
            clock_lost: _,
            tampered: _,
            clock,
            lived_s: _,
            corrected_day: _,
            settings,
            records,
        } = &self.durable;
        let (oldest, newest) = records.span().unwrap_or_default();
        View {
            meter: identity.number,
            generation: identity.generation,
            unit: identity.unit,
            register_centi_m3: *register,
            balance: account.balance,
            valve: match valve.position {
                Position::Open => "open",
                Position::Closed => "closed",
                Position::Armed => "armed",
            },
            held: valve.held,
            time: *clock,
            last_seq: account.last_seq.bits(),
            total: account.total,
            battery_percent: *battery_percent,
            flags: self.durable.flags().0,
            settings: settings.0,
            year_centi_m3: tiers.used,
            records: RecordsView { oldest, newest },
        }
    }
}
