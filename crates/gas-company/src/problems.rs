//! What callers are told when a rule says no: one code each, what was not lost, what to do next.

use gas_api::codes;
use gas_http::{BoxError, Problem};
use gas_sales::{
    Contradiction, DebitRefusal, Halt, IssueRefusal, KeyChangeRefusal, NotProven, OverLimit,
    QuoteRefusal, ReplaceRefusal, ResealRefusal, ReserveRefusal,
};
use gas_statement::{ChainError, StatementError};
use gas_store::StoreError;
use gas_units::{MeterNumber, RefundId, ReplacementId, VendId};

/// The books failed, or they are behind the mark.
pub(crate) fn ours(error: impl Into<BoxError>) -> Problem {
    let error = error.into();
    match error.downcast_ref() {
        Some(StoreError::Behind(behind)) => {
            tracing::error!(%behind, "alarm: the books are older than what was issued");
            Problem::conflict(
                codes::BOOKS_RESTORED,
                "The gas company's books were put back from a backup. Nothing was done, no money is lost.",
            )
            .hint("Ask again once the gas company has restored its books; what was paid is issued then.")
        }
        Some(_) | None => Problem::ours(error),
    }
}

pub(crate) fn meter_unknown(meter: MeterNumber) -> Problem {
    Problem::not_found(
        codes::METER_UNKNOWN,
        format!("This company has no meter {meter}; nothing was done."),
    )
    .hint("Compare the 14 digits with those on the meter.")
}

pub(crate) fn vend_unknown(vend_id: VendId) -> Problem {
    Problem::not_found(
        codes::VEND_UNKNOWN,
        format!("This company knows nothing of vend {vend_id}; nothing was done."),
    )
    .hint("Ask for its quote first.")
}

pub(crate) fn id_reused(vend_id: VendId) -> Problem {
    Problem::conflict(
        codes::ID_REUSED,
        format!("Vend {vend_id} was asked for before with other contents; nothing was done."),
    )
    .hint("Begin a new vend.")
}

pub(crate) fn not_proven(error: NotProven) -> Problem {
    let code = match error {
        NotProven::Malformed(_) => codes::MESSAGE_MALFORMED,
        NotProven::OtherMeter { .. } => codes::OTHER_METER,
        NotProven::Forged(_) | NotProven::OtherGeneration { .. } => codes::MESSAGE_FORGED,
    };
    Problem::unprocessable(code, format!("Nothing was believed: {error}."))
        .hint("Read the meter again; if this comes back, the card or the meter needs a look.")
}

pub(crate) fn nonce_not_live() -> Problem {
    Problem::conflict(
        codes::NONCE_NOT_LIVE,
        "The status answers a challenge that is unknown, expired, or was answered by another status; \
         nothing was believed.",
    )
    .hint("Fetch a new nonce and read the meter again.")
}

/// Why the meter is sold nothing for now.
fn halted(halt: Halt) -> Problem {
    let (code, hint) = match halt {
        Halt::Frozen => (
            codes::METER_FROZEN,
            "Call the gas company; what was paid is issued once the meter was looked at.",
        ),
        Halt::Replaced(_) => (
            codes::METER_REPLACED,
            "Buy for the meter that stands in its place.",
        ),
        Halt::DebitOpen(_) | Halt::Replacing(_) => (
            codes::DEBIT_OPEN,
            "Deliver the meter's newest token and read it; what was paid is issued after that.",
        ),
        Halt::Restoring => (
            codes::BOOKS_RESTORED,
            "Deliver the meter's newest token and read it; what was paid is issued after that.",
        ),
    };
    Problem::conflict(code, format!("Nothing was done, no money is lost: {halt}.")).hint(hint)
}

/// Paid for after another meter had taken this one's place.
pub(crate) fn given_back(new_meter: MeterNumber) -> Problem {
    Problem::conflict(
        codes::METER_REPLACED,
        format!(
            "Meter {new_meter} stands in its place now, and no token was issued: what was paid goes back \
             to who paid, all of it."
        ),
    )
    .hint("Buy for the meter that stands in its place.")
}

pub(crate) fn contradiction(contradiction: Contradiction) -> Problem {
    Problem::conflict(
        codes::METER_FROZEN,
        format!(
            "The state is genuine and disagrees with what was issued: {contradiction}. The meter is \
             frozen for sales; no money is lost."
        ),
    )
    .hint("Call the gas company; what was paid is issued once the meter was looked at.")
}

/// Restored books do not know the token that a genuine state shows.
pub(crate) fn not_yet() -> Problem {
    halted(Halt::Restoring)
}

pub(crate) fn refund_unknown(refund_id: RefundId) -> Problem {
    Problem::not_found(
        codes::REFUND_UNKNOWN,
        format!("This company knows nothing of refund {refund_id}."),
    )
    .hint("Ask for it with its vend and the reason.")
}

pub(crate) fn token_unknown(meter: MeterNumber, seq: u32) -> Problem {
    Problem::not_found(
        codes::TOKEN_UNKNOWN,
        format!("This company issued no token {seq} for meter {meter}; nothing was believed."),
    )
    .hint("The sequence is the 4 bytes after the meter's number in the token, as a number.")
}

pub(crate) fn refund_id_reused(refund_id: RefundId) -> Problem {
    Problem::conflict(
        codes::ID_REUSED,
        format!("Refund {refund_id} is that of another vend; nothing was done."),
    )
    .hint("Ask under a fresh refund id.")
}

pub(crate) fn refunded_twice(vend_id: VendId, other: RefundId) -> Problem {
    Problem::conflict(
        codes::WRONG_STATE,
        format!("Vend {vend_id} is taken back by refund {other} already; nothing was done."),
    )
    .hint("Ask how that refund stands.")
}

pub(crate) fn not_taken_back(refusal: DebitRefusal) -> Problem {
    match refusal {
        DebitRefusal::Halted(halt) => halted(halt),
        DebitRefusal::Reserved(vend_id) => Problem::conflict(
            codes::TENDER_OPEN,
            "A payment for this meter is under way; nothing was taken back.",
        )
        .hint("Finish that payment, or wait until it expires.")
        .vend_id(vend_id),
        DebitRefusal::Exhausted(_)
        | DebitRefusal::Keys
        | DebitRefusal::Meter
        | DebitRefusal::NoDebit => Problem::ours(refusal),
    }
}

pub(crate) fn replacement_unknown(replacement_id: ReplacementId) -> Problem {
    Problem::not_found(
        codes::REPLACEMENT_UNKNOWN,
        format!("This company knows nothing of replacement {replacement_id}."),
    )
    .hint("Ask for it with both meters and the reason.")
}

pub(crate) fn replacement_id_reused(replacement_id: ReplacementId) -> Problem {
    Problem::conflict(
        codes::ID_REUSED,
        format!(
            "Replacement {replacement_id} is that of other meters, or other people have approved it; \
             nothing was done."
        ),
    )
    .hint("Ask under a fresh replacement id.")
}

pub(crate) fn not_replaced(refusal: ReplaceRefusal) -> Problem {
    match refusal {
        ReplaceRefusal::Halted(halt) => halted(halt),
        ReplaceRefusal::Reserved(vend_id) => not_taken_back(DebitRefusal::Reserved(vend_id)),
        ReplaceRefusal::OverLimit(over) => over_limit(over),
        ReplaceRefusal::Awaits(_)
        | ReplaceRefusal::New(_)
        | ReplaceRefusal::SameMeter
        | ReplaceRefusal::Unit
        | ReplaceRefusal::Unread(_) => Problem::conflict(
            codes::NOT_REPLACEABLE,
            format!("Nothing was taken off the meter: {refusal}."),
        )
        .hint("Mend that, and ask again."),
        ReplaceRefusal::Exhausted(_) | ReplaceRefusal::Keys | ReplaceRefusal::NoReplacement => {
            Problem::ours(refusal)
        }
    }
}

pub(crate) fn key_change_unknown(meter: MeterNumber, generation: u8) -> Problem {
    Problem::not_found(
        codes::KEY_CHANGE_UNKNOWN,
        format!("Meter {meter} was never to be given key generation {generation}."),
    )
    .hint("Ask for the change first.")
}

pub(crate) fn key_not_changed(refusal: KeyChangeRefusal) -> Problem {
    Problem::conflict(
        codes::KEY_NOT_CHANGED,
        format!("The meter's key stays: {refusal}."),
    )
    .hint("Ask which key the meter has.")
}

pub(crate) fn not_resealed(refusal: ResealRefusal) -> Problem {
    match refusal {
        ResealRefusal::Generation(_) | ResealRefusal::Shown(_) => Problem::conflict(
            codes::WRONG_STATE,
            format!("The token is not sealed again: {refusal}."),
        )
        .hint("Read the meter; what it still lacks is told with its state."),
        ResealRefusal::Meter => Problem::ours(refusal),
    }
}

fn over_limit(over: OverLimit) -> Problem {
    Problem::conflict(codes::OVER_LIMIT, format!("Nothing was asked for: {over}."))
        .hint("Ask for less, or use some gas first.")
}

pub(crate) fn old_state() -> Problem {
    Problem::conflict(
        codes::QUOTE_STALE,
        "A newer state of this meter is known than the one shown; nothing was quoted.",
    )
    .hint("Read the meter again.")
}

pub(crate) fn not_quoted(refusal: QuoteRefusal) -> Problem {
    match refusal {
        QuoteRefusal::Halted(halt) => halted(halt),
        QuoteRefusal::NoState => old_state(),
        QuoteRefusal::TooOld(_) => Problem::conflict(
            codes::READING_TOO_OLD,
            format!("Nothing was quoted: {refusal}."),
        )
        .hint("Read the meter, and begin a new vend from that."),
        QuoteRefusal::OverLimit(over) => over_limit(over),
        QuoteRefusal::Want(error) => Problem::unprocessable(
            codes::WANT_NOT_SELLABLE,
            format!("Nothing was quoted: {error}."),
        )
        .hint("Ask for another amount or volume."),
    }
}

pub(crate) fn not_reserved(refusal: ReserveRefusal) -> Problem {
    let again = "Read the meter and begin a new vend.";
    match refusal {
        ReserveRefusal::Halted(halt) => halted(halt),
        ReserveRefusal::OverLimit(over) => over_limit(over),
        ReserveRefusal::Expired => Problem::gone(
            codes::QUOTE_EXPIRED,
            "The quote is no longer valid; nothing was reserved.",
        )
        .hint(again),
        ReserveRefusal::Released => Problem::gone(
            codes::QUOTE_EXPIRED,
            "This vend's reservation has ended; nothing was reserved. Money that was paid all the same \
             is issued for.",
        )
        .hint(again),
        ReserveRefusal::Stale => Problem::conflict(
            codes::QUOTE_STALE,
            "A newer reading or sale has made the quote out of date; nothing was reserved.",
        )
        .hint(again),
        ReserveRefusal::TenderOpen(vend_id) => Problem::conflict(
            codes::TENDER_OPEN,
            "Another payment for this meter is under way; nothing was reserved.",
        )
        .hint("Finish that payment, or wait until it expires.")
        .vend_id(vend_id),
    }
}

pub(crate) fn not_the_payment_servers(error: StatementError) -> Problem {
    Problem::unprocessable(
        codes::STATEMENT_FORGED,
        format!(
            "This is not a payment statement of the payment server: {error}. Nothing was issued."
        ),
    )
    .hint("Send the statement exactly as the payment server gave it.")
}

pub(crate) fn not_our_quote(error: &StatementError) -> Problem {
    Problem::unprocessable(
        codes::STATEMENT_FORGED,
        format!("This is not a quote that this company signed: {error}. Nothing was issued."),
    )
    .hint("Send the quote exactly as this company gave it.")
}

pub(crate) fn not_paid(error: ChainError) -> Problem {
    let code = match error {
        ChainError::Amount(_) => codes::AMOUNT_MISMATCH,
        ChainError::Vend(_) | ChainError::Meter(_) | ChainError::QuoteHash(_) => {
            codes::QUOTE_DIFFERS
        }
        // Of the quote that this server made itself.
        ChainError::Quote(_)
        | ChainError::Credit
        | ChainError::Missing(_)
        | ChainError::Order
        | ChainError::Payment
        | ChainError::Settled => return Problem::ours(error),
    };
    Problem::unprocessable(
        code,
        format!("The payment does not fit this vend's quote: {error}. Nothing was issued."),
    )
    .hint("The payment stands at the payment server; a person must look at it.")
}

pub(crate) fn quote_differs() -> Problem {
    Problem::conflict(
        codes::QUOTE_DIFFERS,
        "The hash is not that of this vend's quote; nothing was reserved.",
    )
    .hint("Verify and show the quote again.")
}

pub(crate) fn not_issued(refusal: IssueRefusal) -> Problem {
    match refusal {
        IssueRefusal::Halted(halt) => halted(halt),
        IssueRefusal::Keys
        | IssueRefusal::Exhausted(_)
        | IssueRefusal::Meter
        | IssueRefusal::NotReplaced => Problem::ours(refusal),
    }
}
