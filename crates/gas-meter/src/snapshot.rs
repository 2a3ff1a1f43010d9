use std::collections::VecDeque;
use std::fmt;

use gas_token::{Record, Seq, ShortTag, Tagged};
use gas_token_keys::MeterKey;
use gas_token_verify::{Account, MeterIdentity, SettingVersions};
use gas_units::{MeterNumber, Unit, UnixTime, Volume};
use zeroize::Zeroizing;

use crate::durable::Durable;
use crate::pricing::{Prices, TierAccount};
use crate::records::Records;
use crate::valve::{Position, Valve};

const VERSION: u8 = 1;
pub(crate) const FIXED_LEN: usize = 119;
pub(crate) const RECORD_LEN: usize = 36;

/// The whole durable state as bytes, key included: cleared from memory when dropped, never printed.
#[derive(Clone)]
pub struct SnapshotBytes(Zeroizing<Vec<u8>>);

impl SnapshotBytes {
    /// The bytes. Keep them where only the meter can read.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SnapshotBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SnapshotBytes({} bytes)", self.0.len())
    }
}

/// Why bytes are not a state that this program can go on with.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SnapshotError {
    /// A field holds what this program never writes.
    #[error("field `{0}` of the stored state is broken")]
    Field(&'static str),
    /// Shorter or longer than its fields.
    #[error("the stored state has the wrong length")]
    Length,
    /// Written by another version.
    #[error("the stored state is of version {0}; this program knows version 1")]
    Version(u8),
}

impl Durable {
    pub(crate) fn to_snapshot(&self) -> SnapshotBytes {
        let records = self.records.iter();
        let capacity = FIXED_LEN + records.len() * RECORD_LEN;
        // At its full size at once: growing would leave copies of the key behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
        let mut put = |field: &[u8]| bytes.extend_from_slice(field);
        let account = &self.account;
        put(&[VERSION]);
        put(&self.identity.number.to_bcd());
        put(&[self.identity.generation, self.identity.unit.to_byte()]);
        put(self.key.expose());
        put(&account.last_seq.bits().to_be_bytes());
        put(&account.last_tag.0);
        put(&account.total.to_be_bytes());
        put(&account.keypad.to_be_bytes());
        put(&account.balance.to_be_bytes());
        put(&account.tid_floor.to_be_bytes());
        put(&self.last_amount.to_be_bytes());
        put(&self.register.centi_m3().to_be_bytes());
        put(&self.prices.to_bytes());
        put(&self.tiers.year.to_be_bytes());
        put(&self.tiers.used.centi_m3().to_be_bytes());
        put(&self.tiers.remainder.to_be_bytes());
        put(&[
            position_byte(self.valve.position),
            self.valve.held.into(),
            self.battery_percent,
            self.clock_lost.into(),
            self.tampered.into(),
        ]);
        put(&self.clock.seconds().to_be_bytes());
        put(&self.lived_s.to_be_bytes());
        put(&self.corrected_day.to_be_bytes());
        for version in self.settings.0 {
            put(&version.to_be_bytes());
        }
        put(&self.records.newest().to_be_bytes());
        put(&u16::try_from(records.len())
            .unwrap_or(u16::MAX)
            .to_be_bytes());
        for record in records {
            put(&record.to_bytes());
        }
        SnapshotBytes(bytes)
    }

    pub(crate) fn from_snapshot(bytes: &[u8]) -> Result<Self, SnapshotError> {
        match bytes.first() {
            Some(&VERSION) => {}
            Some(other) => return Err(SnapshotError::Version(*other)),
            None => return Err(SnapshotError::Length),
        }
        let (fixed, records) = bytes
            .split_first_chunk::<FIXED_LEN>()
            .ok_or(SnapshotError::Length)?;
        let mut from = Fields(&fixed[1..]);
        let identity = MeterIdentity {
            number: MeterNumber::from_bcd(from.array())
                .map_err(|_| SnapshotError::Field("meter"))?,
            generation: from.u8(),
            unit: Unit::try_from(from.u8()).map_err(|_| SnapshotError::Field("unit"))?,
        };
        let key = MeterKey::from_bytes(from.array());
        let account = Account {
            last_seq: Seq::from_bits(from.u32()),
            last_tag: ShortTag(from.array()),
            total: from.u32(),
            keypad: from.u32(),
            balance: i32::from_be_bytes(from.array()),
            tid_floor: from.u32(),
        };
        Ok(Self {
            identity,
            key,
            account,
            last_amount: from.u32(),
            register: Volume::from_centi_m3(from.u32()),
            prices: Prices::parse(&from.array::<{ Prices::LEN }>())
                .map_err(|_| SnapshotError::Field("prices"))?,
            tiers: from.tiers()?,
            valve: Valve {
                position: from.position()?,
                held: from.flag("held")?,
            },
            battery_percent: from.u8(),
            clock_lost: from.flag("clock_lost")?,
            tampered: from.flag("tampered")?,
            clock: UnixTime::from_seconds(from.u32()),
            lived_s: u64::from_be_bytes(from.array()),
            corrected_day: from.u32(),
            settings: SettingVersions(std::array::from_fn(|_| from.u16())),
            records: from.records(records)?,
        })
    }
}

const fn position_byte(position: Position) -> u8 {
    match position {
        Position::Open => 0,
        Position::Closed => 1,
        Position::Armed => 2,
    }
}

/// Takes fields off the front; the caller has seen to the length.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk().unwrap_or((&[0; N], &[]));
        self.0 = rest;
        *field
    }

    fn u8(&mut self) -> u8 {
        u8::from_be_bytes(self.array())
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    fn flag(&mut self, name: &'static str) -> Result<bool, SnapshotError> {
        match self.u8() {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(SnapshotError::Field(name)),
        }
    }

    fn tiers(&mut self) -> Result<TierAccount, SnapshotError> {
        let tiers = TierAccount {
            year: self.u16(),
            used: Volume::from_centi_m3(self.u32()),
            remainder: self.u32(),
        };
        (tiers.remainder < 100)
            .then_some(tiers)
            .ok_or(SnapshotError::Field("remainder"))
    }

    fn position(&mut self) -> Result<Position, SnapshotError> {
        match self.u8() {
            0 => Ok(Position::Open),
            1 => Ok(Position::Closed),
            2 => Ok(Position::Armed),
            _ => Err(SnapshotError::Field("valve")),
        }
    }

    fn records(&mut self, bytes: &[u8]) -> Result<Records, SnapshotError> {
        let newest = self.u32();
        let count = usize::from(self.u16());
        if bytes.len() != count * RECORD_LEN {
            return Err(SnapshotError::Length);
        }
        let kept: VecDeque<Tagged<Record>> = bytes
            .chunks_exact(RECORD_LEN)
            .map(|record| Tagged::parse(record).map_err(|_| SnapshotError::Field("records")))
            .collect::<Result<_, _>>()?;
        Records::restored(kept, newest).ok_or(SnapshotError::Field("records"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::Start;
    use crate::provision::Provision;

    fn durable() -> Durable {
        let provision = Provision {
            meter: "00110000123456".parse().unwrap(),
            generation: 1,
            meter_key: MeterKey::from_bytes([7; 16]),
            unit: Unit::Fen,
        };
        let start = Start {
            balance: 5000,
            register: Volume::from_centi_m3(100),
            time: UnixTime::from_seconds(1_795_393_815),
        };
        let mut durable = Durable::new(&provision, start);
        let keys = durable.key.purposes();
        durable.burn(Volume::from_centi_m3(7));
        durable.run_clock(3 * 3600, &keys);
        durable
    }

    #[test]
    fn everything_comes_back() {
        let durable = durable();
        let bytes = durable.to_snapshot();
        assert_eq!(bytes.as_slice().len(), FIXED_LEN + 3 * RECORD_LEN);
        let back = Durable::from_snapshot(bytes.as_slice()).unwrap();
        assert_eq!(back.to_snapshot().as_slice(), bytes.as_slice());
        assert_eq!(back.meter_state(), durable.meter_state());
        assert_eq!(back.tiers, durable.tiers);
        assert_eq!(back.records.span(), Some((1, 3)));
    }

    #[test]
    fn cut_longer_or_of_another_version_is_refused() {
        let bytes = durable().to_snapshot();
        let bytes = bytes.as_slice();
        for length in 0..bytes.len() {
            let refused = Durable::from_snapshot(&bytes[..length]).map(|_| ());
            assert_eq!(refused, Err(SnapshotError::Length), "{length}");
        }
        let longer = [bytes, &[0]].concat();
        assert_eq!(
            Durable::from_snapshot(&longer).map(|_| ()),
            Err(SnapshotError::Length)
        );
        let mut newer = bytes.to_vec();
        newer[0] = 2;
        assert_eq!(
            Durable::from_snapshot(&newer).map(|_| ()),
            Err(SnapshotError::Version(2))
        );
    }

    #[test]
    fn record_numbers_that_do_not_rise_are_refused() {
        let mut bytes = durable().to_snapshot().as_slice().to_vec();
        let (first, second) = (FIXED_LEN, FIXED_LEN + RECORD_LEN);
        let one = bytes[first..second].to_vec();
        bytes[second..second + RECORD_LEN].copy_from_slice(&one);
        assert_eq!(
            Durable::from_snapshot(&bytes).map(|_| ()),
            Err(SnapshotError::Field("records"))
        );
    }

    #[test]
    fn a_snapshot_does_not_print_its_key() {
        assert_eq!(
            format!("{:?}", durable().to_snapshot()),
            "SnapshotBytes(227 bytes)"
        );
    }
}
