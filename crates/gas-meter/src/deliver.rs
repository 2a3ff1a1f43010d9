//! Tokens and settings: what the meter believes, and what it does then.

use gas_cjt188::{Fault, FaultCode};
use gas_token::{Kind, Receipt, ReceiptResult, Setting, SettingKind, Tag, Tagged, Total};
use gas_token_keys::MeterKey;
use gas_token_verify::{
    Opened, OpenedCommand, Refusal, accept_setting, accept_total, open, sign_receipt,
};
use gas_units::UnixTime;

use crate::core::MeterCore;
use crate::pricing::Prices;

/// First byte of the body of setting 12.
const VALVE_ARM: u8 = 0x55;
const VALVE_CLOSE: u8 = 0x99;

pub(crate) const fn fault(code: FaultCode, detail: u8) -> Fault {
    Fault {
        code,
        detail: Some(detail),
    }
}

const MALFORMED: Fault = fault(FaultCode::Malformed, 0);

/// A setting whose body makes sense.
enum Change {
    Prices(Prices),
    HoldValve,
    ReleaseValve,
    Time(UnixTime),
    Key { generation: u8, key: MeterKey },
}

impl MeterCore {
    /// Rules 1 to 6. A fault changes nothing.
    pub(crate) fn deliver(&mut self, message: &[u8]) -> Result<Tagged<Receipt>, Fault> {
        let command = open(&self.durable.identity, &self.keys, message).map_err(refusal_fault)?;
        self.line.genuine_tag();
        match command {
            OpenedCommand::Total(token) => {
                let result = self.apply_total(&token);
                Ok(self.receipt(result, Kind::Total, token.tag()))
            }
            OpenedCommand::Setting(setting) => {
                let result = self.apply_setting(&setting)?;
                let answered = Kind::Setting(setting.kind);
                Ok(self.receipt(result, answered, setting.tag()))
            }
        }
    }

    fn apply_total(&mut self, token: &Opened<Total>) -> ReceiptResult {
        let before = self.durable.account.total;
        let applied = accept_total(self.durable.account, token);
        match applied.result {
            ReceiptResult::Applied => {
                self.durable.account = applied.state;
                self.durable.last_amount = applied.state.total.saturating_sub(before);
                self.durable.close_if_forbidden();
                if applied.state.total > before {
                    self.durable.arm();
                }
                self.changed = true;
            }
            ReceiptResult::Duplicate | ReceiptResult::Insufficient | ReceiptResult::OutOfRange => {}
        }
        applied.result
    }

    fn apply_setting(&mut self, setting: &Opened<Setting>) -> Result<ReceiptResult, Fault> {
        let applied = accept_setting(self.durable.settings, setting);
        match applied.result {
            ReceiptResult::Applied => {
                let change = self.understand(setting)?;
                self.durable.settings = applied.state;
                self.apply_change(change);
                self.changed = true;
            }
            ReceiptResult::Duplicate | ReceiptResult::Insufficient | ReceiptResult::OutOfRange => {}
        }
        Ok(applied.result)
    }

    /// Parses the body of a genuine, newer setting (settings.md).
    fn understand(&self, setting: &Setting) -> Result<Change, Fault> {
        let body = setting.body.as_slice();
        match setting.kind {
            SettingKind::Prices => Prices::parse(body)
                .map(Change::Prices)
                .map_err(|_| MALFORMED),
            SettingKind::Protection => Err(fault(
                FaultCode::Unknown,
                Kind::Setting(SettingKind::Protection).to_byte(),
            )),
            SettingKind::Valve => match body {
                [VALVE_ARM] => Ok(Change::ReleaseValve),
                [VALVE_CLOSE] => Ok(Change::HoldValve),
                _ => Err(MALFORMED),
            },
            SettingKind::Time => {
                let seconds = body.try_into().map_err(|_| MALFORMED)?;
                let time = UnixTime::from_seconds(u32::from_be_bytes(seconds));
                Ok(Change::Time(time))
            }
            SettingKind::KeyChange => {
                let (generation, wrapped) = body.split_first().ok_or(MALFORMED)?;
                let wrapped = wrapped.try_into().map_err(|_| MALFORMED)?;
                if *generation <= self.durable.identity.generation {
                    return Err(MALFORMED);
                }
                let key = self
                    .keys
                    .wrapping
                    .unwrap_key(wrapped)
                    .ok_or(fault(FaultCode::WrongTag, 0))?;
                Ok(Change::Key {
                    generation: *generation,
                    key,
                })
            }
        }
    }

    fn apply_change(&mut self, change: Change) {
        match change {
            Change::Prices(prices) => self.durable.prices = prices,
            Change::HoldValve => {
                self.durable.valve.held = true;
                self.durable.close_if_forbidden();
            }
            Change::ReleaseValve => {
                self.durable.valve.held = false;
                self.durable.tampered = false;
                self.durable.arm();
            }
            Change::Time(time) => self.durable.set_clock(time),
            Change::Key { generation, key } => {
                self.durable.identity.generation = generation;
                self.keys = key.purposes();
                self.durable.key = key;
            }
        }
    }

    /// Signed with the present key: after a key change, with the new one.
    fn receipt(&self, result: ReceiptResult, answered: Kind, tag: Tag) -> Tagged<Receipt> {
        let receipt = Receipt {
            generation: self.durable.identity.generation,
            meter: self.durable.identity.number,
            result,
            answered,
            state: self.durable.meter_state(),
        };
        sign_receipt(&self.keys, receipt, tag)
    }
}

const fn refusal_fault(refusal: Refusal) -> Fault {
    match refusal {
        Refusal::WrongTag => fault(FaultCode::WrongTag, 0),
        Refusal::OtherMeter => fault(FaultCode::OtherMeter, 0),
        Refusal::OtherGeneration { current } => fault(FaultCode::OtherGeneration, current),
        Refusal::WrongUnit => fault(FaultCode::WrongUnit, 0),
        Refusal::Malformed(_) => MALFORMED,
        Refusal::UnknownType(byte) => fault(FaultCode::Unknown, byte),
    }
}
