use crate::jws::{Signed, quote_hash};
use crate::statement::{
    Issue, OfVend, Payment, Quote, QuoteCheckError, RefundOrder, Refunded, Settlement,
};

/// Why genuine statements do not belong together.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ChainError {
    /// The amounts of two statements differ.
    #[error("the {0} names another amount than what it follows from")]
    Amount(&'static str),
    /// The issue credits something else than the quote promised.
    #[error("the issue credits something else than the quote promised")]
    Credit,
    /// A statement is missing between two others.
    #[error("the {0} is missing, so what follows from it proves nothing")]
    Missing(&'static str),
    /// Two statements are about different meters.
    #[error("the {0} is about another meter than what it follows from")]
    Meter(&'static str),
    /// The refund was made for another order.
    #[error("the refund was made for another order")]
    Order,
    /// The issue, or the refund order, was made for another payment.
    #[error("it was made for another payment")]
    Payment,
    /// The quote's own arithmetic does not hold.
    #[error("the quote does not hold: {0}")]
    Quote(#[from] QuoteCheckError),
    /// Another quote was meant.
    #[error("the {0} was made for another quote")]
    QuoteHash(&'static str),
    /// The settlement is about another token, or shows that the token was not applied.
    #[error("the settlement does not show the token of the issue as applied")]
    Settled,
    /// Two statements are about different vends.
    #[error("the {0} is about another vend than what it follows from")]
    Vend(&'static str),
}

/// Whether statements, each verified before, tell of one vend: what was quoted, paid, issued and credited.
/// Later ones may be absent, but none in between.
///
/// # Errors
/// [`ChainError`] naming the first that does not fit.
pub fn check_chain(
    quote: &Signed<Quote>,
    payment: Option<&Signed<Payment>>,
    issue: Option<&Signed<Issue>>,
    settlement: Option<&Signed<Settlement>>,
) -> Result<(), ChainError> {
    quote.statement().check()?;
    if let Some(payment) = payment {
        check_payment(quote, payment)?;
    }
    if let Some(issue) = issue {
        let payment = payment.ok_or(ChainError::Missing("payment"))?;
        check_issue(quote, payment, issue)?;
    }
    if let Some(settlement) = settlement {
        let issue = issue.ok_or(ChainError::Missing("issue"))?;
        check_settlement(quote, issue, settlement)?;
    }
    Ok(())
}

fn check_payment(quote: &Signed<Quote>, payment: &Signed<Payment>) -> Result<(), ChainError> {
    const NAME: &str = "payment";
    same_vend_and_meter(quote.statement(), payment.statement(), NAME)?;
    if payment.statement().quote_hash != quote_hash(quote) {
        return Err(ChainError::QuoteHash(NAME));
    }
    if payment.statement().amount_fen != quote.statement().payable() {
        return Err(ChainError::Amount(NAME));
    }
    Ok(())
}

fn check_issue(
    quote: &Signed<Quote>,
    payment: &Signed<Payment>,
    issue: &Signed<Issue>,
) -> Result<(), ChainError> {
    const NAME: &str = "issue";
    let (quoted, issued) = (quote.statement(), issue.statement());
    same_vend_and_meter(quoted, issued, NAME)?;
    if issued.quote_hash != quote_hash(quote) {
        return Err(ChainError::QuoteHash(NAME));
    }
    if issued.payment_sha256 != payment.sha256() {
        return Err(ChainError::Payment);
    }
    if issued.amount_fen != quoted.payable() {
        return Err(ChainError::Amount(NAME));
    }
    if issued.credit != quoted.credit() || issued.unit != quoted.unit() {
        return Err(ChainError::Credit);
    }
    Ok(())
}

fn check_settlement(
    quote: &Signed<Quote>,
    issue: &Signed<Issue>,
    settlement: &Signed<Settlement>,
) -> Result<(), ChainError> {
    let (issued, settled) = (issue.statement(), settlement.statement());
    same_vend_and_meter(quote.statement(), settled, "settlement")?;
    // A later token may hold the sale: the first one after the company's books were restored.
    if settled.seq < issued.seq || !settled.holds() {
        return Err(ChainError::Settled);
    }
    Ok(())
}

/// Whether a refund order, verified before, gives back exactly this payment, and whether `refunded` did so.
///
/// # Errors
/// [`ChainError`] naming the first that does not fit.
pub fn check_refund(
    payment: &Signed<Payment>,
    order: &Signed<RefundOrder>,
    refunded: Option<&Signed<Refunded>>,
) -> Result<(), ChainError> {
    const ORDER: &str = "refund order";
    let (paid, ordered) = (payment.statement(), order.statement());
    same_vend_and_meter(paid, ordered, ORDER)?;
    if ordered.payment_sha256 != payment.sha256() {
        return Err(ChainError::Payment);
    }
    if ordered.amount_fen != paid.amount_fen {
        return Err(ChainError::Amount(ORDER));
    }
    refunded.map_or(Ok(()), |refunded| check_refunded(order, refunded))
}

/// Whether `refunded`, verified before, did what this order says.
///
/// # Errors
/// [`ChainError`] naming the first that does not fit.
pub fn check_refunded(
    order: &Signed<RefundOrder>,
    refunded: &Signed<Refunded>,
) -> Result<(), ChainError> {
    const REFUNDED: &str = "refund";
    let (ordered, done) = (order.statement(), refunded.statement());
    same_vend_and_meter(ordered, done, REFUNDED)?;
    if done.refund_id != ordered.refund_id || done.order_sha256 != order.sha256() {
        return Err(ChainError::Order);
    }
    if done.amount_fen != ordered.amount_fen {
        return Err(ChainError::Amount(REFUNDED));
    }
    Ok(())
}

fn same_vend_and_meter(
    first: &impl OfVend,
    other: &impl OfVend,
    name: &'static str,
) -> Result<(), ChainError> {
    if other.vend_id() != first.vend_id() {
        return Err(ChainError::Vend(name));
    }
    if other.meter() != first.meter() {
        return Err(ChainError::Meter(name));
    }
    Ok(())
}
