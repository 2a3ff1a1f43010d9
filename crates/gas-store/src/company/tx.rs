//! One transaction on either backend: rows are read and written here, the rules stand above.

use gas_sales::{BelievedState, MeterBook, OpenSale};
use gas_statement::{Quote, Sha256Digest, Signed};
use gas_token::{Nonce, Seq, Tagged, Total};
use gas_units::{MeterNumber, RefundId, ReplacementId, UnixMillis, VendId};
use sqlx::pool::PoolConnection;
use sqlx::{Sqlite as Engine, SqliteConnection, Transaction};

use super::mark::{Issued, Mark, Marking};
use super::{
    Alarm, Effect, KeyChangeRow, QuoteRow, RefundRow, ReplacementRow, SaleRow, memory, sql,
};
use crate::memory::{Memory, MemoryTx};
use crate::outbox;
use crate::sqlite::{Sqlite, StoreError};

/// Where the rows are.
#[derive(Clone, Debug)]
pub(super) enum Backend {
    Sqlite(Sqlite),
    Memory(Memory<memory::Tables>),
}

/// A transaction. Dropped without [`Tx::commit`], it has changed nothing.
pub(super) struct Tx {
    rows: Rows,
    pub(super) marking: Marking,
}

enum Rows {
    Sqlite(SqliteTx),
    Memory(MemoryTx<memory::Tables>),
}

enum SqliteTx {
    Reading(PoolConnection<Engine>),
    Writing(Transaction<'static, Engine>),
}

/// A book, and the version to be given back with its next change.
#[derive(Clone)]
pub(super) struct BookRow {
    pub(super) book: MeterBook,
    pub(super) version: i64,
}

/// One token in the issue log.
#[derive(Clone)]
pub(super) struct IssueRow {
    pub(super) meter: MeterNumber,
    pub(super) seq: Seq,
    pub(super) kind: IssueKind,
    pub(super) total: u32,
    pub(super) tid: u32,
    /// The vend sold, or taken back; none for the first token of an epoch and for those of a replacement.
    pub(super) vend_id: Option<VendId>,
    pub(super) token: Tagged<Total>,
    pub(super) issued_at: UnixMillis,
}

/// Why a token was issued.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum IssueKind {
    Sale,
    Debit,
    Reversal,
    Epoch,
    Carry,
}

impl IssueKind {
    const ALL: [Self; 5] = [
        Self::Sale,
        Self::Debit,
        Self::Reversal,
        Self::Epoch,
        Self::Carry,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sale => "sale",
            Self::Debit => "debit",
            Self::Reversal => "reversal",
            Self::Epoch => "epoch",
            Self::Carry => "carry",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A quote to be kept, and what was asked.
pub(super) struct NewQuote<'a> {
    pub(super) signed: &'a Signed<Quote>,
    pub(super) request: Sha256Digest,
}

/// The meter's limit and its one payment under way, held for a vend.
#[derive(Clone, Copy)]
pub(super) struct Reservation {
    pub(super) meter: MeterNumber,
    pub(super) state: ReservationState,
    pub(super) reserved_at: UnixMillis,
    /// From when on it holds nothing, though nobody gave it up.
    pub(super) ends_at: UnixMillis,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ReservationState {
    Open,
    Released,
    Issued,
}

impl ReservationState {
    const ALL: [Self; 3] = [Self::Open, Self::Released, Self::Issued];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Released => "released",
            Self::Issued => "issued",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// Something for people, with the message that showed it.
pub(super) struct NewAlarm<'a> {
    pub(super) meter: MeterNumber,
    pub(super) kind: &'static str,
    pub(super) detail: &'a str,
    pub(super) message: &'a [u8],
    pub(super) raised_at: UnixMillis,
}

impl Backend {
    /// Begins a write.
    pub(super) async fn begin(&self) -> Result<Tx, StoreError> {
        Ok(Tx::of(match self {
            Self::Sqlite(db) => Rows::Sqlite(SqliteTx::Writing(Box::pin(db.begin()).await?)),
            Self::Memory(store) => Rows::Memory(store.begin()),
        }))
    }

    /// For reading only: sees the last commit, and keeps no writer waiting.
    pub(super) async fn read(&self) -> Result<Tx, StoreError> {
        Ok(Tx::of(match self {
            Self::Sqlite(db) => {
                Rows::Sqlite(SqliteTx::Reading(Box::pin(db.readers().acquire()).await?))
            }
            Self::Memory(store) => Rows::Memory(store.begin()),
        }))
    }
}

impl SqliteTx {
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        match self {
            Self::Reading(connection) => connection,
            Self::Writing(tx) => tx,
        }
    }

    fn writing(&mut self) -> Result<&mut Transaction<'static, Engine>, StoreError> {
        match self {
            Self::Writing(tx) => Ok(tx),
            Self::Reading(_) => Err(StoreError::Corrupt("a write while reading".to_owned())),
        }
    }
}

impl Tx {
    fn of(rows: Rows) -> Self {
        let marking = Marking::default();
        Self { rows, marking }
    }

    /// This transaction holds what it issues, or shows, against the mark.
    pub(super) fn marked(mut self, mark: Option<Mark>) -> Self {
        self.marking.mark = mark;
        self
    }

    /// This transaction restores books that are behind the mark.
    pub(super) const fn restoring(mut self) -> Self {
        self.marking.restores = true;
        self
    }

    /// Whether nobody else changes anything while this transaction lasts.
    pub(super) const fn is_alone(&self) -> bool {
        match self.rows {
            Rows::Sqlite(SqliteTx::Writing(_)) | Rows::Memory(_) => true,
            Rows::Sqlite(SqliteTx::Reading(_)) => false,
        }
    }

    /// Keeps what was written; then the mark is raised to what was issued.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        match self.rows {
            Rows::Sqlite(SqliteTx::Writing(tx)) => Box::pin(tx.commit()).await?,
            Rows::Sqlite(SqliteTx::Reading(_)) => {}
            Rows::Memory(tx) => tx.commit()?,
        }
        self.marking.committed().await
    }

    /// What the issue log holds of a meter at a sequence above 0. What is found may be shown.
    pub(super) async fn find_issue(
        &mut self,
        meter: MeterNumber,
        seq: Seq,
    ) -> Result<Option<IssueRow>, StoreError> {
        let found = self.read_issue(meter, seq).await?;
        self.agree().await?;
        Ok(found)
    }

    /// The sale of a vend, with its token, which may be shown.
    pub(super) async fn find_sale(
        &mut self,
        vend_id: VendId,
    ) -> Result<Option<SaleRow>, StoreError> {
        let found = self.read_sale(vend_id).await?;
        self.agree().await?;
        Ok(found)
    }

    /// Logs a token.
    pub(super) async fn insert_issue(&mut self, row: &IssueRow) -> Result<(), StoreError> {
        self.may_issue(row.seq.epoch()).await?;
        let issued = self.log_issue(row).await?;
        self.marking.issued = Some(issued);
        Ok(())
    }

    /// Saves something to be done, in this transaction; `about` says for which vend or replacement. Again,
    /// it changes nothing.
    pub(super) async fn put_effect(
        &mut self,
        effect: &Effect,
        about: &str,
        due_at: UnixMillis,
    ) -> Result<(), StoreError> {
        match &mut self.rows {
            Rows::Sqlite(tx) => {
                let id = effect.id();
                Box::pin(outbox::put(tx.writing()?, &id, about, effect, due_at)).await
            }
            Rows::Memory(tx) => {
                memory::put_effect(tx, effect, due_at);
                Ok(())
            }
        }
    }

    /// It is done.
    pub(super) async fn done(
        &mut self,
        effect: &Effect,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        match &mut self.rows {
            Rows::Sqlite(tx) => {
                let id = effect.id();
                Box::pin(outbox::done(tx.writing()?, &id, now)).await
            }
            Rows::Memory(tx) => {
                memory::done(tx, effect);
                Ok(())
            }
        }
    }

    /// The book of a meter that other rows name: it must be there.
    pub(super) async fn load_book(&mut self, meter: MeterNumber) -> Result<BookRow, StoreError> {
        self.find_book(meter)
            .await?
            .ok_or_else(|| StoreError::Corrupt(format!("meter {meter} is missing")))
    }
}

/// The row operations: each is a function of that name in [`sql`] and one in [`memory`]. A query's future is
/// large: boxed, here and below, it is carried only where a query is made.
macro_rules! row_operations {
    ($($(#[doc = $doc:literal])* $name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        impl Tx {
            $($(#[doc = $doc])*
            pub(super) async fn $name(
                &mut self,
                $($argument: $type,)*
            ) -> Result<$answer, StoreError> {
                match &mut self.rows {
                    Rows::Sqlite(tx) => Box::pin(sql::$name(tx.connection(), $($argument),*)).await,
                    Rows::Memory(tx) => memory::$name(tx, $($argument),*),
                }
            })*
        }
    };
}

row_operations! {
    /// The book of a meter, and its version.
    find_book(meter: MeterNumber) -> Option<BookRow>;
    /// Every meter, by number.
    meters() -> Vec<MeterNumber>;
    /// Begins a meter's book.
    insert_book(book: &MeterBook) -> ();
    /// Saves what a rule may change of a book, if it still has this version; the believed state is
    /// saved by [`Tx::save_state`].
    save_book(book: &MeterBook, version: i64) -> ();
    /// Saves the newest believed state, told by `message`.
    save_state(meter: MeterNumber, believed: &BelievedState, message: &[u8]) -> ();

    /// For [`Tx::find_issue`] only.
    read_issue(meter: MeterNumber, seq: Seq) -> Option<IssueRow>;
    /// For [`Tx::insert_issue`] only: logs a token and counts it.
    log_issue(row: &IssueRow) -> Issued;
    /// How far all meters together have been issued to.
    issued() -> Issued;
    /// The meters whose epoch is below this one.
    meters_before(epoch: u8) -> Vec<MeterNumber>;
    /// Every meter has begun this epoch, or a higher one is begun already.
    raise_epoch(epoch: u8) -> Issued;

    /// Forgets challenges that have expired.
    forget_nonces(now: UnixMillis) -> ();
    /// Keeps a challenge.
    insert_nonce(meter: MeterNumber, nonce: Nonce, expires_at: UnixMillis) -> ();
    /// Until when a challenge lives.
    nonce_expiry(meter: MeterNumber, nonce: Nonce) -> Option<UnixMillis>;
    /// Uses a challenge up for one message. False where it is unknown, expired, or used by another.
    use_nonce(meter: MeterNumber, nonce: Nonce, message: Sha256Digest, now: UnixMillis) -> bool;

    /// The quote of a vend.
    find_quote(vend_id: VendId) -> Option<QuoteRow>;
    /// Keeps a quote.
    insert_quote(new: &NewQuote<'_>) -> ();

    /// A meter's open reservation, and the vend that holds it.
    open_reservation(meter: MeterNumber) -> Option<(VendId, Reservation)>;
    /// The reservation of a vend.
    find_reservation(vend_id: VendId) -> Option<Reservation>;
    /// Saves the reservation of a vend.
    put_reservation(vend_id: VendId, reservation: &Reservation) -> ();

    /// For [`Tx::find_sale`] only.
    read_sale(vend_id: VendId) -> Option<SaleRow>;
    /// Keeps a sale, whose token is logged, and its payment (compact JWS).
    insert_sale(sale: &SaleRow, payment: &str) -> ();
    /// Quote and payment (compact JWS) of a meter's sales, by vend.
    payments(meter: MeterNumber) -> Vec<(String, String)>;
    /// The sales of a meter up to a sequence that are not settled, by sequence.
    unsettled_sales(meter: MeterNumber, up_to: Seq) -> Vec<OpenSale>;
    /// Keeps the settlement (compact JWS) of a sale that has none.
    settle_sale(vend_id: VendId, settlement: &str, now: UnixMillis) -> ();

    /// A refund.
    find_refund(refund_id: RefundId) -> Option<RefundRow>;
    /// The refund of a vend that was not closed without money.
    refund_of_vend(vend_id: VendId) -> Option<RefundId>;
    /// Saves a refund. To be done before [`Tx::save_book`] of a book that names it.
    put_refund(row: &RefundRow) -> ();

    /// A replacement.
    find_replacement(replacement_id: ReplacementId) -> Option<ReplacementRow>;
    /// A replacement by which this meter may still get something.
    incoming_replacement(new_meter: MeterNumber) -> Option<ReplacementId>;
    /// The replacements whose credit this meter's tokens up to `seq` hold.
    carried_to(new_meter: MeterNumber, seq: Seq) -> Vec<ReplacementRow>;
    /// Saves a replacement. To be done before [`Tx::save_book`] of a book that names it.
    put_replacement(row: &ReplacementRow) -> ();

    /// The tokens of a meter above a sequence, by sequence.
    issues_after(meter: MeterNumber, seq: Seq) -> Vec<IssueRow>;
    /// A token as it was sealed again, by generation.
    find_seals(meter: MeterNumber, seq: Seq) -> Vec<Tagged<Total>>;
    /// Keeps a token that was sealed again.
    insert_seal(token: &Tagged<Total>, now: UnixMillis) -> ();
    /// The change of a meter's key to a generation.
    find_key_change(meter: MeterNumber, generation: u8) -> Option<KeyChangeRow>;
    /// Keeps a key change; one to the same generation that was begun from an older one is replaced.
    put_key_change(row: &KeyChangeRow) -> ();

    /// A record of a meter.
    find_record(meter: MeterNumber, number: u32) -> Option<Vec<u8>>;
    /// Keeps a record.
    insert_record(meter: MeterNumber, number: u32, record: &[u8], now: UnixMillis) -> ();
    /// Highest number of a record kept.
    newest_record(meter: MeterNumber) -> Option<u32>;

    /// Keeps an alarm; the same message again is no news.
    insert_alarm(alarm: &NewAlarm<'_>) -> ();
    /// All alarms, oldest first.
    alarms() -> Vec<Alarm>;
}
