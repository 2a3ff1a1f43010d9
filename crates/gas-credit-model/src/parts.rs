//! The shipped rules, run on real values that are made from the small state.

use std::cell::RefCell;
use std::collections::BTreeMap;

use gas_sales::{
    Belief, Conclusion, Inquiry, LogEntry, MeterBook, MeterKeyring, OpenDebit, OpenSale, PaidQuote,
    TariffYear, Told, prove_receipt, prove_status, settlement,
};
use gas_statement::{
    Currency, Issue, Payment, Quote, Sha256Digest, Signed, SigningKey, quote_hash,
};
use gas_tariff::{Tariff, Want};
use gas_token::{
    Kind as MessageKind, MeterState, Nonce, Receipt, ReceiptResult, Record, Seq, ShortTag,
    StateFlags, Status, Tag, Tagged, Total,
};
use gas_token_issue::{MasterKey, check_receipt, check_record, check_status, seal_total};
use gas_token_keys::MeterKeys;
use gas_token_verify::{
    Account, MeterIdentity, Opened, OpenedCommand, accept_total, open, sign_receipt, sign_status,
};
use gas_units::{MeterNumber, Money, RefundId, Unit, UnixMillis, UnixTime, VendId, Volume};

use crate::model::Fault;
use crate::state::{Company, Debit, Entry, Kind, Message, Meter, Shown, VENDS};

/// What the two vends cost and credit, fen. They differ, so that a token cannot pass for the other one,
/// and the second is larger, so that its keypad code overtakes the first one's token.
pub const CREDITS: [u8; VENDS] = [1, 2];

/// 2026-11-23, noon UTC. Time stands still: no rule may need it to move.
const NOW: UnixMillis = UnixMillis::from_millis(1_795_435_200_000);
/// The TID before the first: minutes from 2014-01-01 to `NOW`, less one.
const TID_BASE: u32 = 6_781_679;
/// The register before any gas was burnt.
const REGISTER: u32 = 10_000;
const REFUND: RefundId = RefundId::from_parts(1, [9; 10]);

/// Keys, payments, and all that does not change.
#[derive(Debug)]
pub struct Parts {
    keys: Keys,
    book: MeterBook,
    paid: [PaidQuote; VENDS],
    sales: [Signed<Issue>; VENDS],
}

#[derive(Debug)]
struct Keys {
    meter: MeterNumber,
    keys: MeterKeys,
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

/// A token as the company seals it and as the meter opens it.
#[derive(Clone, Copy, Debug)]
struct Token {
    sealed: Tagged<Total>,
    opened: Opened<Total>,
}

thread_local! {
    // The same tokens and messages come up in very many states; making and proving them is most of the work.
    static TOKENS: RefCell<BTreeMap<Entry, Token>> = const { RefCell::new(BTreeMap::new()) };
    static TOLD: RefCell<BTreeMap<Message, Told>> = const { RefCell::new(BTreeMap::new()) };
}

impl Default for Parts {
    fn default() -> Self {
        Self::new()
    }
}

impl Parts {
    /// A meter that was never sold anything, and two vends that can be paid.
    #[must_use]
    pub fn new() -> Self {
        let meter = "00110000123456".parse().unwrap();
        let key = MasterKey::from_bytes([9; 16]).meter_key(meter, 1);
        let keys = Keys {
            meter,
            keys: key.purposes(),
        };
        let book = MeterBook {
            meter,
            unit: Unit::Fen,
            generation: 1,
            tariff: Tariff::default(),
            limit: 100,
            sale_limit: Money::from_fen(100),
            epoch: 0,
            counter: 0,
            total: 0,
            last_tid: 0,
            frozen: false,
            year: TariffYear::beginning(NOW, Volume::from_centi_m3(REGISTER)),
            believed: None,
            debit: None,
            replacement: None,
            retired: None,
            carried_in: 0,
            carried_out: 0,
            next_generation: None,
        };
        let signer = SigningKey::from_bytes(&[1; 32]);
        let paid = std::array::from_fn(|vend| pay(&signer, &quote(&book, vend)));
        let sale = |paid| {
            let issued = book.issue(paid, &keys, NOW).unwrap();
            Signed::sign(&signer, issued.statement).unwrap()
        };
        Self {
            sales: std::array::from_fn(|vend| sale(&paid[vend])),
            keys,
            book,
            paid,
        }
    }

    /// The meter's rule on a delivered token, and its receipt.
    #[must_use]
    pub fn deliver(&self, meter: Meter, entry: Entry, fault: Option<Fault>) -> (Meter, Message) {
        let token = self.token(entry).opened;
        let state = self.state(&meter.shown);
        let mut account = Account {
            last_seq: state.last_seq,
            last_tag: state.last_tag,
            total: state.total,
            keypad: state.keypad,
            balance: state.balance,
            tid_floor: TID_BASE + u32::from(meter.floor),
        };
        if fault == Some(Fault::NoSequenceCheck) {
            account.last_seq = Seq::default();
        }
        let answer = accept_total(account, &token);
        let mut after = meter;
        if answer.result == ReceiptResult::Applied {
            after.shown.last = Some(entry);
            after.shown.keypad = small(answer.state.keypad);
            after.floor = small(answer.state.tid_floor - TID_BASE);
            let shown = self.state(&after.shown);
            assert_eq!(
                (
                    answer.state.total,
                    answer.state.balance,
                    answer.state.last_tag
                ),
                (shown.total, shown.balance, shown.last_tag),
                "the small state holds all that the account does"
            );
        }
        let message = Message {
            answers: Some((entry, answer.result.to_byte())),
            shown: after.shown,
        };
        (after, message)
    }

    /// Types the code of the second vend; [`None`] where the meter refuses it (the meter's rule 7, which
    /// has no function to itself yet).
    #[must_use]
    pub fn type_code(&self, meter: Meter, company: &Company) -> Option<Meter> {
        const VEND: usize = 1;
        let tid = company.entry_for(Kind::Sale(VEND))?.tid;
        if meter.typed || tid <= meter.floor {
            return None;
        }
        let mut after = meter;
        after.typed = true;
        after.shown.keypad += CREDITS[VEND];
        Some(after)
    }

    /// The company issues for a paid vend; [`None`] where it does not.
    #[must_use]
    pub fn sell(&self, company: &Company, vend: usize, fault: Option<Fault>) -> Option<Company> {
        let known = company.entry_for(Kind::Sale(vend)).is_some();
        if known && (fault != Some(Fault::IssuesAgain) || company.counter > 2) {
            return None;
        }
        let mut book = self.book_of(company);
        if fault == Some(Fault::SellsWhileDebitIsOpen) {
            book.debit = None;
        }
        let issued = book.issue(&self.paid[vend], &self.keys, NOW).ok()?;
        let mut after = *company;
        self.enter(&mut after, &issued.book, issued.token, Kind::Sale(vend));
        Some(after)
    }

    /// The company is asked to take a sale back; [`None`] where it does not.
    #[must_use]
    pub fn ask(&self, company: &Company, vend: usize, fault: Option<Fault>) -> Option<Company> {
        if company.asked.is_some() || company.entry_for(Kind::Sale(vend)).is_none() {
            return None;
        }
        let book = self.book_of(company);
        let sale = &self.sales[vend];
        let debit = book.debit(REFUND, sale, None, &self.keys, NOW).ok()?;
        let mut after = *company;
        after.asked = Some(vend);
        self.enter(&mut after, &debit.book, debit.token, Kind::Debit(vend));
        after.debit = after.newest().map(|entry| Debit {
            vend,
            entry,
            reversal: None,
        });
        if fault == Some(Fault::MoneyWithoutProof) {
            after.debit = None;
            after.ordered = Some(vend);
        }
        Some(after)
    }

    /// The company is told something by the meter: what its transaction makes of it.
    #[must_use]
    pub fn learn(&self, company: &Company, message: &Message, fault: Option<Fault>) -> Company {
        let told = self.told(message);
        let shown = Seq::from_bits(message.shown.seq().into());
        let logged = self.logged_at(company, shown);
        let mut after = *company;
        let book = match self.book_of(company).believe(&told, logged, NOW) {
            Belief::Believed(book) => book,
            Belief::Contradicts(..) => {
                after.frozen = true;
                return after;
            }
            Belief::Known | Belief::Old | Belief::NotYet(_) => return after,
        };
        after.believed = Some(message.shown);
        self.settle(&mut after, &told);
        if fault == Some(Fault::AnyRefusalReverses) {
            self.conclude_loosely(&mut after, &book, &told);
        } else {
            self.conclude(&mut after, &book, &told);
        }
        after
    }

    fn settle(&self, company: &mut Company, told: &Told) {
        for vend in 0..VENDS {
            if let Some(entry) = company.entry_for(Kind::Sale(vend)) {
                let sale = OpenSale {
                    vend_id: self.paid[vend].vend_id(),
                    meter: self.book.meter,
                    seq: Seq::from_bits(entry.seq.into()),
                };
                company.settled[vend] |= settlement(sale, told, None, NOW).is_some();
            }
        }
    }

    fn conclude(&self, company: &mut Company, book: &MeterBook, told: &Told) {
        match book.conclude(told, NOW) {
            Conclusion::Nothing => {}
            Conclusion::MoneyDue(book, order) => {
                assert_eq!(book.debit, None);
                let ordered = |paid: &PaidQuote| paid.vend_id() == order.vend_id;
                company.ordered = self.paid.iter().position(ordered);
                company.debit = None;
            }
            Conclusion::ReversalDue => self.reverse(company, book),
            Conclusion::Closed(book, _) => {
                assert_eq!(book.debit, None);
                company.debit = None;
            }
        }
    }

    fn reverse(&self, company: &mut Company, book: &MeterBook) {
        let reversal = book.reverse(&self.keys, NOW).unwrap();
        if let Some(debit) = &mut company.debit {
            debit.reversal = Some(small(reversal.seq.bits()));
            let kind = Kind::Reversal(debit.vend);
            self.enter(company, &reversal.book, reversal.token, kind);
        }
    }

    /// The rule as it was written first: the refusal of any token reverses, and money goes back between
    /// debit and reversal too.
    fn conclude_loosely(&self, company: &mut Company, book: &MeterBook, told: &Told) {
        let Some(debit) = company.debit else {
            return;
        };
        let shown = told.state().last_seq.bits();
        let reversed = debit.reversal.is_some_and(|seq| shown >= u32::from(seq));
        if told.result() == Some(ReceiptResult::Insufficient) && debit.reversal.is_none() {
            self.reverse(company, book);
        } else if shown >= u32::from(debit.entry.seq) && !reversed {
            company.debit = None;
            company.ordered = Some(debit.vend);
        } else {
            self.conclude(company, book, told);
        }
    }

    /// Takes over what the rule has made of the book, and the new token into the log.
    fn enter(&self, company: &mut Company, book: &MeterBook, token: Tagged<Total>, kind: Kind) {
        company.counter = small(book.counter);
        company.tid = small(book.last_tid - TID_BASE);
        company.total = small(book.total);
        let entry = Entry {
            seq: company.counter,
            tid: company.tid,
            total: company.total,
            kind,
        };
        assert_eq!(self.token(entry).sealed, token, "an entry tells its token");
        let reused = company.entries().any(|known| known.seq == entry.seq);
        company.reused |= reused;
        let room = company.log.iter_mut().find(|entry| entry.is_none());
        *room.unwrap() = Some(entry);
    }

    fn book_of(&self, company: &Company) -> MeterBook {
        let mut book = self.book.clone();
        book.counter = company.counter.into();
        book.total = company.total.into();
        if company.tid > 0 {
            book.last_tid = TID_BASE + u32::from(company.tid);
        }
        book.frozen = company.frozen;
        book.believed = company.believed.map(|shown| gas_sales::BelievedState {
            state: self.state(&shown),
            battery_percent: None,
            // Which message told it does not matter any more: told again, it is believed again.
            message_sha256: Sha256Digest([0; 32]),
            believed_at: NOW,
        });
        book.debit = company.debit.map(|debit| self.open_debit(debit));
        book
    }

    fn open_debit(&self, debit: Debit) -> OpenDebit {
        let sale = self.sales[debit.vend].statement();
        OpenDebit {
            refund_id: REFUND,
            vend_id: sale.vend_id,
            credit: CREDITS[debit.vend].into(),
            amount: sale.amount_fen,
            payment_sha256: sale.payment_sha256,
            sold_at: sale.issued_at_ms,
            seq: Seq::from_bits(debit.entry.seq.into()),
            tag: self.token(debit.entry).sealed.tag.short(),
            reversal: debit.reversal.map(|seq| Seq::from_bits(seq.into())),
        }
    }

    fn logged_at(&self, company: &Company, seq: Seq) -> Option<LogEntry> {
        if seq == Seq::default() {
            return Some(LogEntry::BEFORE_THE_FIRST);
        }
        let at = |entry: &Entry| u32::from(entry.seq) == seq.bits();
        company.entries().find(at).map(|entry| LogEntry {
            tag: self.token(entry).sealed.tag.short(),
            total: entry.total.into(),
        })
    }

    fn state(&self, shown: &Shown) -> MeterState {
        let tag = |entry| self.token(entry).sealed.tag.short();
        MeterState {
            last_seq: Seq::from_bits(shown.seq().into()),
            last_tag: shown.last.map_or_else(ShortTag::default, tag),
            total: shown.total().into(),
            keypad: shown.keypad.into(),
            balance: i32::from(shown.total()) - i32::from(shown.burnt),
            volume: Volume::from_centi_m3(REGISTER + u32::from(shown.burnt)),
            time: UnixTime::from_seconds(0),
            flags: StateFlags(0),
        }
    }

    fn token(&self, entry: Entry) -> Token {
        if let Some(token) = TOKENS.with_borrow(|tokens| tokens.get(&entry).copied()) {
            return token;
        }
        let (vend, sign) = match entry.kind {
            Kind::Sale(vend) | Kind::Reversal(vend) => (vend, 1),
            Kind::Debit(vend) => (vend, -1),
        };
        let sealed = self.keys.seal(Total {
            generation: 1,
            meter: self.book.meter,
            seq: Seq::from_bits(entry.seq.into()),
            unit: Unit::Fen,
            total: entry.total.into(),
            amount: sign * i32::from(CREDITS[vend]),
            tid_floor: TID_BASE + u32::from(entry.tid),
            tariff: self.book.tariff.version(),
            issued: NOW.to_unix_time(),
            reference: self.paid[vend].vend_id().reference(),
        });
        let identity = MeterIdentity {
            number: self.book.meter,
            generation: 1,
            unit: Unit::Fen,
        };
        let opened = match open(&identity, &self.keys.keys, &sealed.to_bytes()).unwrap() {
            OpenedCommand::Total(opened) => opened,
            OpenedCommand::Setting(_) => unreachable!("a total was sealed"),
        };
        let token = Token { sealed, opened };
        TOKENS.with_borrow_mut(|tokens| tokens.insert(entry, token));
        token
    }

    fn told(&self, message: &Message) -> Told {
        if let Some(told) = TOLD.with_borrow(|known| known.get(message).copied()) {
            return told;
        }
        let state = self.state(&message.shown);
        let told = match message.answers {
            Some((entry, result)) => {
                let tag = self.token(entry).sealed.tag;
                let receipt = Receipt {
                    generation: 1,
                    meter: self.book.meter,
                    result: result.try_into().unwrap(),
                    answered: MessageKind::Total,
                    state,
                };
                let bytes = sign_receipt(&self.keys.keys, receipt, tag).to_bytes();
                Told::from(&prove_receipt(&self.keys, &bytes, tag).unwrap())
            }
            None => {
                let status = Status {
                    generation: 1,
                    meter: self.book.meter,
                    nonce: Nonce([0; 8]),
                    state,
                    battery_percent: 90,
                    settings: [0; 5],
                };
                let bytes = sign_status(&self.keys.keys, status).to_bytes();
                Told::from(&prove_status(&self.keys, &bytes).unwrap())
            }
        };
        TOLD.with_borrow_mut(|known| known.insert(*message, told));
        told
    }
}

fn small(number: u32) -> u8 {
    u8::try_from(number).unwrap()
}

/// A quote of the tariff; it is paid long after any believed state, so any basis will do.
fn quote(book: &MeterBook, vend: usize) -> Quote {
    let basis = gas_tariff::QuoteBasis {
        unit: Unit::Fen,
        register_centi_m3: Volume::from_centi_m3(REGISTER),
        year_start_register_centi_m3: Volume::from_centi_m3(REGISTER),
        purchased_this_year_centi_m3: Volume::ZERO,
        used_before_centi_m3: Volume::ZERO,
        undelivered: 0,
        balance: 0,
    };
    let inquiry = Inquiry {
        vend_id: VendId::from_parts(1, [u8::try_from(vend).unwrap(); 10]),
        want: Want::Amount(Money::from_fen(CREDITS[vend].into())),
        valid_for_ms: 1,
    };
    Quote {
        vend_id: inquiry.vend_id,
        meter: book.meter,
        explanation: book
            .tariff
            .quote(basis, inquiry.want, book.sale_limit)
            .unwrap(),
        last_seq: 0,
        meter_time: UnixTime::from_seconds(0),
        status_sha256: Sha256Digest([0; 32]),
        created_at_ms: NOW,
        valid_until_ms: NOW.plus_millis(inquiry.valid_for_ms),
    }
}

fn pay(signer: &SigningKey, quote: &Quote) -> PaidQuote {
    let quote = Signed::sign(signer, quote.clone()).unwrap();
    let payment = Payment {
        vend_id: quote.statement().vend_id,
        meter: quote.statement().meter,
        quote_hash: quote_hash(&quote),
        amount_fen: quote.statement().payable(),
        currency: Currency::Cny,
        provider: "test".to_owned(),
        order_no: "1".to_owned(),
        transaction_id: "2".to_owned(),
        paid_at_ms: NOW,
    };
    let payment = Signed::sign(&SigningKey::from_bytes(&[2; 32]), payment).unwrap();
    PaidQuote::new(quote, payment).unwrap()
}
