//! A meter's data, as the cloud shows it to a phone that was there.

use std::collections::BTreeMap;

use gas_api::cloud::Meter;
use gas_token::{Record, StateFlags, Tagged};
use gas_units::{UnixMillis, Volume};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, civil::Date};
use serde_json::{Value, json};

use crate::screen::{amount, state_name, time};

/// Days drawn.
const DAYS: usize = 14;
/// Longest bar, characters.
const BAR: u64 = 40;

/// For scripts: records as numbers.
pub(crate) fn as_json(meter: &Meter) -> Value {
    let records: Vec<Value> = records(meter)
        .map(|record| {
            json!({
                "number": record.number,
                "time": record.time,
                "register_centi_m3": record.volume,
                "balance": record.balance,
                "flags": record.flags.0,
            })
        })
        .collect();
    json!({
        "meter": meter.meter,
        "state": meter.state,
        "records": records,
        "vends": meter.vends,
    })
}

/// For people.
pub(crate) fn as_text(meter: &Meter) -> String {
    let mut text = format!("Meter {}", meter.meter);
    if let Some(state) = &meter.state {
        let closed = StateFlags(state.flags).contains(StateFlags::VALVE_CLOSED);
        text += &format!(
            "\n  Register  {} m³\n  Balance   {}\n  Valve     {}\n  Credited  {} in all\n  As of     {} (believed by the gas company)",
            state.register_centi_m3,
            amount(state.unit, state.balance.into()),
            if closed { "closed" } else { "open" },
            amount(state.unit, state.total.into()),
            time(UnixMillis::from_millis(
                i64::from(state.meter_time.seconds()) * 1000
            )),
        );
    }
    let used = used_by_day(meter);
    if !used.is_empty() {
        text += "\n\nGas used by day, m³";
    }
    let most = used.values().map(|used| used.centi_m3()).max().unwrap_or(0);
    for (day, used) in used.iter().rev().take(DAYS).rev() {
        text += &format!("\n  {day}  {:>7}  {}", used.to_string(), bar(*used, most));
    }
    if !meter.vends.is_empty() {
        text += "\n\nTop-ups";
    }
    for vend in &meter.vends {
        let (begun, state) = (time(vend.begun_at_ms), state_name(vend.state));
        text += &format!("\n  {begun}  {state:<16} {}", vend.vend_id);
    }
    text
}

fn records(meter: &Meter) -> impl DoubleEndedIterator<Item = Record> {
    meter
        .records
        .iter()
        .filter_map(|bytes| Some(Tagged::<Record>::parse(&bytes.0).ok()?.message))
}

/// What was used from the first reading of a day to the first reading of the next, or to the last one.
fn used_by_day(meter: &Meter) -> BTreeMap<Date, Volume> {
    let mut first: BTreeMap<Date, Volume> = BTreeMap::new();
    let mut last = None;
    // Newest first: the earliest reading of each day is seen last.
    for record in records(meter) {
        if let Some(day) = day_of(record.time.seconds()) {
            last.get_or_insert(record.volume);
            first.insert(day, record.volume);
        }
    }
    let ends = first.values().copied().skip(1).chain(last);
    let pairs = first.iter().zip(ends);
    pairs
        .map(|((day, from), to)| (*day, to.checked_sub(*from).unwrap_or_default()))
        .collect()
}

/// The day in UTC+8, in which meters count.
fn day_of(seconds: u32) -> Option<Date> {
    let at = Timestamp::from_second(seconds.into()).ok()?;
    let zone = TimeZone::fixed(Offset::constant(8));
    Some(at.to_zoned(zone).date())
}

fn bar(used: Volume, most: u32) -> String {
    let length = u64::from(used.centi_m3()) * BAR / u64::from(most.max(1));
    "█".repeat(usize::try_from(length).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use gas_api::HexBytes;
    use gas_token::Tag;
    use gas_units::UnixTime;

    use super::*;

    fn record(number: u32, seconds: u32, centi_m3: u32) -> HexBytes {
        let message = Record {
            generation: 1,
            meter: "26110000012345".parse().unwrap(),
            number,
            time: UnixTime::from_seconds(seconds),
            volume: Volume::from_centi_m3(centi_m3),
            balance: 5,
            flags: StateFlags(0),
        };
        let tag = Tag([0; 16]);
        HexBytes(Tagged { message, tag }.to_bytes())
    }

    #[test]
    fn gas_is_counted_by_days_of_utc_plus_8() {
        // 2026-11-22 15:59:59 UTC is still the 22nd in UTC+8; a second later is the 23rd.
        let meter = Meter {
            meter: "26110000012345".parse().unwrap(),
            state: None,
            records: vec![
                record(4, 1_795_363_300, 1_750),
                record(3, 1_795_363_200, 1_700),
                record(2, 1_795_363_199, 1_650),
                record(1, 1_795_300_000, 1_000),
            ],
            vends: Vec::new(),
        };
        let used = used_by_day(&meter);
        let days: Vec<(String, u32)> = used
            .iter()
            .map(|(day, used)| (day.to_string(), used.centi_m3()))
            .collect();
        let expected = [
            ("2026-11-22".to_owned(), 700),
            ("2026-11-23".to_owned(), 50),
        ];
        assert_eq!(days, expected);
        let text = as_text(&meter);
        assert!(
            text.contains("2026-11-22     7.00  ████████████████████████████████████████"),
            "{text}"
        );
        assert_eq!(as_json(&meter)["records"][0]["number"], 4);
    }
}
