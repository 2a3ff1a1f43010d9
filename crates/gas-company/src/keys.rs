use std::collections::BTreeMap;

use gas_sales::MeterKeyring;
use gas_token::{Receipt, Record, Setting, SettingBody, SettingKind, Status, Tag, Tagged, Total};
use gas_token_issue::{
    MasterKey, check_receipt, check_record, check_status, seal_setting, seal_total,
};
use gas_token_keys::{MeterKey, MeterKeys};
use gas_units::MeterNumber;

/// Holds the master keys. Who has this can make gas.
#[derive(Debug)]
pub struct KeyStore {
    /// Of the first generations.
    first: MasterKey,
    /// By the generation from which on each counts.
    later: BTreeMap<u8, MasterKey>,
}

impl KeyStore {
    /// Takes the master key of all generations.
    #[must_use]
    pub const fn new(master: MasterKey) -> Self {
        Self {
            first: master,
            later: BTreeMap::new(),
        }
    }

    /// Takes another master key for `generation` and those above it.
    #[must_use]
    pub fn starting_at(mut self, generation: u8, master: MasterKey) -> Self {
        self.later.insert(generation, master);
        self
    }

    /// The keys of one meter and generation.
    pub(crate) fn keys_of(&self, meter: MeterNumber, generation: u8) -> KeysOfMeter {
        KeysOfMeter {
            meter,
            generation,
            keys: self.meter_key(meter, generation).purposes(),
        }
    }

    /// The token that gives a meter the key of generation `to`: a setting whose version is `to`, so that it
    /// rises with the generation and is the same token however often it is made.
    pub(crate) fn key_change(
        &self,
        meter: MeterNumber,
        from: u8,
        to: u8,
    ) -> Option<Tagged<Setting>> {
        let keys = self.meter_key(meter, from).purposes();
        let wrapped = keys.wrapping.wrap(&self.meter_key(meter, to))?;
        let mut body = [to; 25];
        body.get_mut(1..)?.copy_from_slice(&wrapped);
        let setting = Setting {
            generation: from,
            meter,
            kind: SettingKind::KeyChange,
            version: to.into(),
            body: SettingBody::new(&body).ok()?,
        };
        Some(seal_setting(&keys, setting))
    }

    /// What a meter is provisioned with.
    pub(crate) fn meter_key(&self, meter: MeterNumber, generation: u8) -> MeterKey {
        let later = self.later.range(..=generation).next_back();
        let master = later.map_or(&self.first, |(_, master)| master);
        master.meter_key(meter, generation)
    }
}

/// The keys of one meter and generation, derived from the master key.
pub(crate) struct KeysOfMeter {
    meter: MeterNumber,
    generation: u8,
    keys: MeterKeys,
}

impl MeterKeyring for KeysOfMeter {
    fn meter(&self) -> MeterNumber {
        self.meter
    }

    fn generation(&self) -> u8 {
        self.generation
    }

    fn receipt_holds(&self, receipt: &Tagged<Receipt>, command_tag: Tag) -> bool {
        check_receipt(&self.keys, receipt, command_tag).is_ok()
    }

    fn record_holds(&self, record: &Tagged<Record>) -> bool {
        check_record(&self.keys, record).is_ok()
    }

    fn status_holds(&self, status: &Tagged<Status>) -> bool {
        check_status(&self.keys, status).is_ok()
    }

    fn seal(&self, total: Total) -> Tagged<Total> {
        seal_total(&self.keys, total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_generation_has_the_newest_master_key_that_began_before_it() {
        let master = |byte| MasterKey::from_bytes([byte; 16]);
        let keys = KeyStore::new(master(1))
            .starting_at(5, master(5))
            .starting_at(3, master(3));
        let meter = "00110000123456".parse().unwrap();
        for (generation, of) in [(0, 1), (2, 1), (3, 3), (4, 3), (5, 5), (255, 5)] {
            let expected = master(of).meter_key(meter, generation);
            let found = keys.meter_key(meter, generation);
            assert_eq!(found.expose(), expected.expose(), "{generation}");
        }
    }
}
