//! Messages between programs: phones and servers, servers among themselves, and the provider.

use gas_api::PublicKeyHex;
use gas_api::cloud::{
    Consent, Enrolment, EnrolmentWanted, Nonce, NonceWanted, ReceiptDelivered, TokenDelivered,
    TokenTaken, Vend, VendWanted,
};
use gas_api::company::{
    BelievedState, Nonces, NoncesWanted, QuoteMade, QuoteWanted, ReceiptBelieved, ReceiptReported,
    RecordsBelieved, RecordsReported, Refund, RefundWanted, ReservationWanted, Reserved, Sale,
    SaleWanted, StateReported,
};
use gas_api::desk::{KeyWanted, Replacement, ReplacementWanted};
use gas_api::pay::{self, MeterEpoch, MeterPayments, Tender, TenderEvent, TenderWanted, Way};
use gas_tender::{CloseOutcome, Event as TenderCoreEvent, QueryAnswer, RefundAnswer};
use gas_units::{MeterNumber, RefundId, ReplacementId, UnixMillis, VendId};

/// What one program asks of another.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    /// Of the gas company's server.
    Company(CompanyAsk),
    /// Of the payment server.
    Pay(PayAsk),
    /// Of the cloud.
    Cloud(CloudAsk),
    /// Of the provider.
    Provider(ProviderAsk),
    /// Of nobody: lets so many ms pass.
    Wait(u64),
}

impl Ask {
    /// Whether it leaves the server's outbox as it is.
    pub(crate) const fn reads_only(&self) -> bool {
        matches!(
            self,
            Self::Cloud(CloudAsk::Show(_) | CloudAsk::Nonce(_)) | Self::Pay(PayAsk::Show(_, false))
        )
    }
}

/// Of the gas company's server.
#[derive(Clone, Debug)]
pub(crate) enum CompanyAsk {
    Nonces(NoncesWanted),
    State(StateReported),
    Quote(VendId, QuoteWanted),
    Reserve(VendId, ReservationWanted),
    Release(VendId),
    Sell(VendId, SaleWanted),
    Sale(VendId),
    Receipt(VendId, ReceiptReported),
    TokenReceipt(MeterNumber, u32, ReceiptReported),
    Records(RecordsReported),
    Refund(RefundId, RefundWanted),
    Replace(ReplacementId, ReplacementWanted),
    ChangeKey(MeterNumber, KeyWanted),
}

/// Of the payment server.
#[derive(Clone, Debug)]
pub(crate) enum PayAsk {
    Open(VendId, TenderWanted),
    Show(VendId, bool),
    Notified {
        order_no: String,
        event_id: String,
    },
    RefundNotified {
        number: String,
        order_no: String,
        event_id: String,
    },
    Refund(RefundId, Box<pay::RefundWanted>),
    BeginEpoch(MeterNumber, u8),
    Payments(MeterNumber),
}

/// Of the cloud.
#[derive(Clone, Debug)]
pub(crate) enum CloudAsk {
    Nonce(NonceWanted),
    Begin(VendId, VendWanted, PublicKeyHex),
    Tender(VendId, Consent, Way),
    Confirm(VendId, Consent),
    Show(VendId),
    Receipt(VendId, ReceiptDelivered),
    Enrol(PublicKeyHex, EnrolmentWanted),
    Token(MeterNumber, u32, TokenDelivered),
    TenderEvent(Box<TenderEvent>),
}

/// Of the provider.
#[derive(Clone, Debug)]
pub(crate) enum ProviderAsk {
    Prepay {
        order_no: String,
        amount_fen: i64,
        expires_at: UnixMillis,
        way: Way,
    },
    Query(String),
    Close(String),
    /// A refund by its number, of an order.
    Refund {
        number: String,
        order_no: String,
    },
    QueryRefund(String),
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    Done,
    Nonces(Nonces),
    State(BelievedState),
    Quote(QuoteMade),
    Reserved(Reserved),
    Sale(Box<Sale>),
    Receipt(Box<ReceiptBelieved>),
    Records(RecordsBelieved),
    Tender(Box<Tender>),
    Nonce(Nonce),
    Enrolled(Enrolment),
    Taken(TokenTaken),
    Vend(Box<Vend>),
    Prepaid(TenderCoreEvent),
    Queried(QueryAnswer),
    Closed(CloseOutcome),
    Refunding(RefundAnswer),
    Refund(Box<Refund>),
    Replacement(Box<Replacement>),
    KeyOnItsWay,
    MoneyBack(Box<pay::Refund>),
    Epoch(MeterEpoch),
    Payments(Box<MeterPayments>),
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// A refusal, with its words.
    Problem(Box<gas_api::Problem>),
    /// Nothing came back: what became of it is unknown.
    Silence,
}

/// How asking ended.
pub(crate) type Outcome = Result<Told, Failure>;

/// Who asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Asker {
    /// A phone, in one of its lives.
    Phone { phone: usize, life: u32 },
    /// A task of a server, in one of its lives.
    Task { server: usize, life: u32, task: u64 },
    /// Who sits at the gas company's desk.
    Desk(DeskMatter),
    /// Somebody who takes no answer.
    Nobody,
}

/// What somebody at the desk is at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum DeskMatter {
    /// A refund of this vend.
    Refund(VendId),
    /// A replacement, by its place in the world's list.
    Replacement(usize),
    /// The next key of this home's meter.
    Key(usize),
}

/// Who is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum To {
    /// A server, by its place in the world.
    Server(usize),
    /// The provider of a utility.
    Provider(usize),
}

/// A message that arrives.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    /// Where.
    pub(crate) to: To,
    /// What is asked.
    pub(crate) ask: Ask,
    /// Who asks.
    pub(crate) asker: Asker,
    /// The asker's number of it.
    pub(crate) call: u64,
}

/// An answer that arrives.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// Who asked.
    pub(crate) asker: Asker,
    /// The asker's number of it.
    pub(crate) call: u64,
    /// The answer.
    pub(crate) outcome: Outcome,
}
