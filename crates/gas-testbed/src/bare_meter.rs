use gas_http::random;
use gas_meter::Provision;
use gas_token::{Ask, Kind, MeterState, Receipt, StateFlags, Status, Tagged};
use gas_token_keys::MeterKeys;
use gas_token_verify::{
    Account, MeterIdentity, OpenedCommand, accept_total, open, sign_receipt, sign_status,
};
use gas_units::{MeterNumber, UnixMillis, VendId, Volume};

use anyhow::{Context as _, bail};

/// A meter without card, radio and serial line, for measuring servers: it signs statuses, applies tokens
/// and signs receipts by the meter's own rule.
pub(crate) struct BareMeter {
    identity: MeterIdentity,
    keys: MeterKeys,
    account: Account,
    volume: Volume,
}

impl BareMeter {
    pub(crate) fn new(provision: &Provision) -> Self {
        let identity = MeterIdentity {
            number: provision.meter,
            generation: provision.generation,
            unit: provision.unit,
        };
        Self {
            identity,
            keys: provision.meter_key.purposes(),
            account: Account::default(),
            volume: Volume::default(),
        }
    }

    pub(crate) const fn number(&self) -> MeterNumber {
        self.identity.number
    }

    /// A new vend id, as the phone makes it.
    pub(crate) fn vend_id(now: UnixMillis) -> anyhow::Result<VendId> {
        Ok(VendId::from_parts(u64::try_from(now.millis())?, random()?))
    }

    /// The signed status that answers `ask`.
    pub(crate) fn status(&self, ask: &[u8], now: UnixMillis) -> anyhow::Result<Vec<u8>> {
        let ask = Tagged::<Ask>::parse(ask)
            .context("the ask message is malformed")?
            .message;
        let status = Status {
            generation: self.identity.generation,
            meter: self.identity.number,
            nonce: ask.nonce,
            state: self.state(now),
            battery_percent: 90,
            settings: [0; 5],
        };
        Ok(sign_status(&self.keys, status).to_bytes())
    }

    /// Applies a token and signs the receipt. All that was credited is then burnt: a household whose
    /// balance only grows would reach the meter's limit.
    pub(crate) fn apply(&mut self, token: &[u8], now: UnixMillis) -> anyhow::Result<Vec<u8>> {
        let opened = match open(&self.identity, &self.keys, token) {
            Ok(OpenedCommand::Total(opened)) => opened,
            Ok(OpenedCommand::Setting(_)) => bail!("the token is a setting, not a total"),
            Err(refusal) => bail!("the meter refuses the token: {refusal:?}"),
        };
        let applied = accept_total(self.account, &opened);
        self.account = applied.state;
        let receipt = Receipt {
            generation: self.identity.generation,
            meter: self.identity.number,
            result: applied.result,
            answered: Kind::Total,
            state: self.state(now),
        };
        let receipt = sign_receipt(&self.keys, receipt, opened.tag()).to_bytes();
        self.account.balance = 0;
        self.volume = Volume::from_centi_m3(self.volume.centi_m3() + 100);
        Ok(receipt)
    }

    fn state(&self, now: UnixMillis) -> MeterState {
        MeterState {
            last_seq: self.account.last_seq,
            last_tag: self.account.last_tag,
            total: self.account.total,
            keypad: self.account.keypad,
            balance: self.account.balance,
            volume: self.volume,
            time: now.to_unix_time(),
            flags: StateFlags::default(),
        }
    }
}
