use gas_api::HexBytes;
use gas_json::FromJson;
use gas_link::{CardReport, Operation, RECORDS_MAX, RecordKind, Records, Request, RequestId};
use gas_token::{ParseError, Record, Tagged};
use gas_units::{MeterNumber, UnixTime, Volume};
use serde::{Deserialize, Serialize};

use crate::records::ByNumber;

/// A meter's stored readings as one phone has them. Numbers run over daily and hourly readings alike; the
/// phone asks the card only for those after the newest it has.
#[derive(Clone, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    meter: MeterNumber,
    /// By number: whole record messages.
    records: ByNumber,
    /// All up to this number are in the cloud.
    uploaded: u32,
    /// All up to this number that the card had are here: what is fetched comes after it.
    #[serde(default)]
    fetched: u32,
    /// Of daily and of hourly readings, all up to these numbers are here: a fetch that broke off goes on
    /// after them.
    #[serde(default)]
    begun: [u32; 2],
}

/// One reading, as the meter recorded it. Only the company can tell whether it is genuine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reading {
    /// Its running number.
    pub number: u32,
    /// When, by the meter's clock.
    pub time: UnixTime,
    /// The register.
    pub register: Volume,
    /// The balance, in the meter's unit.
    pub balance: i32,
}

/// What to ask the card for next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wanted {
    kind: RecordKind,
    first: u32,
    newest: u32,
}

/// Why what the card gave was not kept. Ask again.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HistoryError {
    /// Not a record.
    #[error("the card gave a reading that cannot be read: {0}")]
    Record(#[from] ParseError),
    /// Another meter's.
    #[error("the card gave a reading of meter {0}")]
    OtherMeter(MeterNumber),
    /// Numbers out of order, or not what was asked for.
    #[error("the card gave readings that were not asked for")]
    Order,
}

impl Wanted {
    /// What is lacking of this kind, where anything is. Numbers begin with 1.
    fn new(kind: RecordKind, (oldest, newest): (u32, u32), have: u32) -> Option<Self> {
        let first = oldest.max(have.checked_add(1)?);
        (first <= newest).then_some(Self {
            kind,
            first,
            newest,
        })
    }

    /// The request for the next readings of this kind.
    #[must_use]
    pub const fn request(&self, id: RequestId) -> Request {
        Request {
            id,
            operation: Operation::Records {
                kind: self.kind,
                first: self.first,
                at_most: RECORDS_MAX,
            },
        }
    }

    /// How many are left at most; numbers may have gaps.
    #[must_use]
    pub const fn left(&self) -> u32 {
        self.newest.saturating_sub(self.first).saturating_add(1)
    }
}

impl History {
    /// Of a meter whose card was never asked.
    #[must_use]
    pub const fn new(meter: MeterNumber) -> Self {
        Self {
            meter,
            records: ByNumber::new(),
            uploaded: 0,
            fetched: 0,
            begun: [0; 2],
        }
    }

    /// The meter.
    #[must_use]
    pub const fn meter(&self) -> MeterNumber {
        self.meter
    }

    /// What is lacking of what the card has, daily readings first.
    #[must_use]
    pub fn wanted(&self, card: &CardReport) -> Vec<Wanted> {
        let kinds = [
            (RecordKind::Daily, card.daily),
            (RecordKind::Hourly, card.hourly),
        ];
        kinds
            .into_iter()
            .filter_map(|(kind, range)| {
                let [daily, hourly] = self.begun;
                let begun = match kind {
                    RecordKind::Daily => daily,
                    RecordKind::Hourly => hourly,
                };
                Wanted::new(kind, range, self.fetched.max(begun))
            })
            .collect()
    }

    /// Keeps what the card answered, and gives what is still wanted of that kind.
    ///
    /// # Errors
    /// [`HistoryError`]; nothing of the answer was kept.
    pub fn keep(
        &mut self,
        wanted: &Wanted,
        answer: &Records<'_>,
    ) -> Result<Option<Wanted>, HistoryError> {
        if answer.kind != wanted.kind {
            return Err(HistoryError::Order);
        }
        let mut last = wanted.first.saturating_sub(1);
        let mut kept = Vec::new();
        for bytes in answer.iter() {
            let record = Tagged::<Record>::parse(bytes)?.message;
            if record.meter != self.meter {
                return Err(HistoryError::OtherMeter(record.meter));
            }
            if record.number <= last {
                return Err(HistoryError::Order);
            }
            last = record.number;
            kept.push((record.number, HexBytes(bytes.to_vec())));
        }
        let nothing = kept.is_empty();
        for (number, record) in kept {
            self.records.insert(number, record);
        }
        let [daily, hourly] = &mut self.begun;
        let begun = match wanted.kind {
            RecordKind::Daily => daily,
            RecordKind::Hourly => hourly,
        };
        *begun = last.max(*begun);
        let rest = Wanted::new(wanted.kind, (answer.oldest, wanted.newest), last);
        Ok(rest.filter(|_| !nothing))
    }

    /// Everything that the card had was fetched: next time only what is newer is asked for.
    pub fn fetched_all(&mut self, card: &CardReport) {
        self.fetched = self.fetched.max(card.daily.1).max(card.hourly.1);
    }

    /// What the cloud does not have yet, in order, at most `at_most`. Not before everything was fetched:
    /// what is in the cloud has no holes.
    #[must_use]
    pub fn to_upload(&self, at_most: usize) -> Vec<HexBytes> {
        let lacking = self.records.after(self.uploaded);
        lacking
            .iter()
            .take_while(|(number, _)| *number <= self.fetched)
            .take(at_most)
            .map(|(_, record)| record.clone())
            .collect()
    }

    /// The cloud has these.
    pub fn uploaded(&mut self, records: &[HexBytes]) {
        let newest = records.iter().filter_map(number_of).max();
        self.uploaded = self.uploaded.max(newest.unwrap_or(0));
    }

    /// All readings, oldest first.
    pub fn readings(&self) -> impl DoubleEndedIterator<Item = Reading> {
        self.records.all().iter().filter_map(|(_, bytes)| {
            let record = Tagged::<Record>::parse(&bytes.0).ok()?.message;
            Some(Reading {
                number: record.number,
                time: record.time,
                register: record.volume,
                balance: record.balance,
            })
        })
    }

    /// How many readings there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.all().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.all().is_empty()
    }
}

fn number_of(record: &HexBytes) -> Option<u32> {
    let record = Tagged::<Record>::parse(&record.0).ok()?;
    Some(record.message.number)
}
