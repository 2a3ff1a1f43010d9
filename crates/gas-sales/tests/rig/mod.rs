//! A company's keys and a meter that keeps the meter's rule, for the tests of the company's rules.

use gas_sales::{LogEntry, MeterBook, MeterKeyring, PaidQuote, TariffYear};
use gas_statement::{Currency, Payment, Quote, Signed, SigningKey, quote_hash};
use gas_tariff::Tariff;
use gas_token::{Kind, MeterState, Nonce, Receipt, Record, StateFlags, Status, Tag, Tagged, Total};
use gas_token_issue::{MasterKey, check_receipt, check_record, check_status, seal_total};
use gas_token_keys::MeterKeys;
use gas_token_verify::{
    Account, MeterIdentity, OpenedCommand, accept_total, open, sign_receipt, sign_status,
};
use gas_units::{MeterNumber, Money, Unit, UnixMillis, UnixTime, Volume};

/// 2026-11-23, noon UTC.
pub(crate) const NOW: UnixMillis = UnixMillis::from_millis(1_795_435_200_000);

pub(crate) struct Keys {
    pub(crate) meter: MeterNumber,
    pub(crate) keys: MeterKeys,
}

impl Keys {
    pub(crate) fn new(number: &str) -> Self {
        let meter = number.parse().unwrap();
        let keys = MasterKey::from_bytes([9; 16])
            .meter_key(meter, 1)
            .purposes();
        Self { meter, keys }
    }
}

impl MeterKeyring for Keys {
    fn meter(&self) -> MeterNumber {
        self.meter
    }

    fn generation(&self) -> u8 {
        1
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

/// The meter: its account, and a register that its household turns.
pub(crate) struct Meter {
    pub(crate) account: Account,
    pub(crate) register: u32,
    pub(crate) unit: Unit,
}

impl Meter {
    pub(crate) const fn state(&self) -> MeterState {
        MeterState {
            last_seq: self.account.last_seq,
            last_tag: self.account.last_tag,
            total: self.account.total,
            keypad: self.account.keypad,
            balance: self.account.balance,
            volume: Volume::from_centi_m3(self.register),
            time: UnixTime::from_seconds(0),
            flags: StateFlags(0),
        }
    }

    pub(crate) fn status(&self, keys: &Keys, nonce: u8) -> Vec<u8> {
        let status = Status {
            generation: 1,
            meter: keys.meter,
            nonce: Nonce([nonce; 8]),
            state: self.state(),
            battery_percent: 90,
            settings: [0; 5],
        };
        sign_status(&keys.keys, status).to_bytes()
    }

    /// Takes a token and answers with a receipt.
    pub(crate) fn deliver(&mut self, keys: &Keys, token: &Tagged<Total>) -> Vec<u8> {
        let identity = MeterIdentity {
            number: keys.meter,
            generation: 1,
            unit: self.unit,
        };
        let opened = match open(&identity, &keys.keys, &token.to_bytes()).unwrap() {
            OpenedCommand::Total(total) => total,
            OpenedCommand::Setting(_) => unreachable!("a total was sealed"),
        };
        let applied = accept_total(self.account, &opened);
        self.account = applied.state;
        let receipt = Receipt {
            generation: 1,
            meter: keys.meter,
            result: applied.result,
            answered: Kind::Total,
            state: self.state(),
        };
        sign_receipt(&keys.keys, receipt, token.tag).to_bytes()
    }
}

pub(crate) fn a_book(keys: &Keys, unit: Unit) -> MeterBook {
    MeterBook {
        meter: keys.meter,
        unit,
        generation: 1,
        tariff: Tariff::default(),
        limit: 100_000,
        sale_limit: Money::from_fen(500_000),
        epoch: 0,
        counter: 0,
        total: 0,
        last_tid: 0,
        frozen: false,
        year: TariffYear::beginning(NOW, Volume::from_centi_m3(10_000)),
        believed: None,
        debit: None,
        replacement: None,
        retired: None,
        carried_in: 0,
        carried_out: 0,
        next_generation: None,
    }
}

pub(crate) fn a_meter(unit: Unit) -> Meter {
    Meter {
        account: Account::default(),
        register: 10_000,
        unit,
    }
}

pub(crate) fn company_key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

pub(crate) fn pay(quote: &Quote) -> PaidQuote {
    let quote = Signed::sign(&company_key(), quote.clone()).unwrap();
    let payment = a_payment(&quote);
    let payment = Signed::sign(&SigningKey::from_bytes(&[2; 32]), payment).unwrap();
    PaidQuote::new(quote, payment).unwrap()
}

pub(crate) fn a_payment(quote: &Signed<Quote>) -> Payment {
    Payment {
        vend_id: quote.statement().vend_id,
        meter: quote.statement().meter,
        quote_hash: quote_hash(quote),
        amount_fen: quote.statement().payable(),
        currency: Currency::Cny,
        provider: "test".to_owned(),
        order_no: "1".to_owned(),
        transaction_id: "2".to_owned(),
        paid_at_ms: NOW,
    }
}

/// What the issue log holds of a token.
pub(crate) fn logged(token: &Tagged<Total>) -> LogEntry {
    LogEntry {
        tag: token.tag.short(),
        total: token.message.total,
    }
}
