use gas_api::cloud::{Vend, VendState};
use gas_api::{Digest, HexBytes, Jws, Want};
use gas_statement::{
    ChainError, Issue, Payment, Quote, RefundOrder, Refunded, Settlement, Sha256Digest, Signed,
    Statement, StatementError, VerifyingKey, check_chain, check_refund, quote_hash,
};
use gas_token::{Command, ParseError};
use gas_units::{MeterNumber, VendId};

/// Whose word this phone takes: keys that it was given, never by the cloud that it checks with them.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Signs quotes, issues, settlements and refund orders.
    pub company: VerifyingKey,
    /// Signs payments, and refunds that are done.
    pub pay: VerifyingKey,
}

/// Why something that the cloud showed is not believed. Nothing was paid because of it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Distrust {
    /// A signature does not hold.
    #[error("the {0} is not genuine: {1}")]
    Forged(&'static str, StatementError),
    /// The statements do not belong together, or the quote's arithmetic does not hold.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// It is about something else than was asked for.
    #[error("the {0} is not the one that was asked for")]
    Other(&'static str),
    /// It does not rest on the status that this phone read.
    #[error("the quote does not rest on the meter's status that this phone read")]
    Reading,
    /// The state says more than the statements prove.
    #[error("the vend is said to be {0:?}, but the {1} that proves it is missing")]
    Unproven(VendState, &'static str),
    /// The token cannot be read.
    #[error("the token cannot be read: {0}")]
    Token(#[from] ParseError),
}

/// What a vend must be about to be this phone's.
pub(crate) struct Expected<'a> {
    pub(crate) vend_id: VendId,
    pub(crate) meter: MeterNumber,
    pub(crate) want: Want,
    /// The status that this phone has read for it, if it has.
    pub(crate) status: Option<&'a HexBytes>,
    /// As it was shown before: its quote never changes.
    pub(crate) known: Option<&'a Vend>,
}

/// A vend's statements, each genuine, all about one vend.
#[derive(Clone, Debug)]
pub(crate) struct Statements {
    pub(crate) quote: Signed<Quote>,
    pub(crate) payment: Option<Signed<Payment>>,
    pub(crate) issue: Option<Signed<Issue>>,
    pub(crate) settlement: Option<Signed<Settlement>>,
    pub(crate) refund_order: Option<Signed<RefundOrder>>,
    pub(crate) refunded: Option<Signed<Refunded>>,
}

/// What there is of a vend's statements, none of it verified.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unverified<'a> {
    pub(crate) quote: &'a Jws,
    pub(crate) payment: Option<&'a Jws>,
    pub(crate) issue: Option<&'a Jws>,
    pub(crate) settlement: Option<&'a Jws>,
    pub(crate) refund_order: Option<&'a Jws>,
    pub(crate) refunded: Option<&'a Jws>,
}

impl Trust {
    /// Verifies signatures, and that the statements tell of one vend.
    pub(crate) fn statements(&self, given: Unverified<'_>) -> Result<Statements, Distrust> {
        let statements = Statements {
            quote: genuine(given.quote, &self.company, "quote")?,
            payment: genuine_if_any(given.payment, &self.pay, "payment")?,
            issue: genuine_if_any(given.issue, &self.company, "issue")?,
            settlement: genuine_if_any(given.settlement, &self.company, "settlement")?,
            refund_order: genuine_if_any(given.refund_order, &self.company, "refund order")?,
            refunded: genuine_if_any(given.refunded, &self.pay, "refund")?,
        };
        check_chain(
            &statements.quote,
            statements.payment.as_ref(),
            statements.issue.as_ref(),
            statements.settlement.as_ref(),
        )?;
        if let Some(order) = &statements.refund_order {
            let payment = statements.payment.as_ref();
            let payment = payment.ok_or(ChainError::Missing("payment"))?;
            check_refund(payment, order, statements.refunded.as_ref())?;
        } else if statements.refunded.is_some() {
            return Err(ChainError::Missing("refund order").into());
        }
        Ok(statements)
    }

    /// The quote of a vend, genuine and computed again.
    ///
    /// # Errors
    /// [`Distrust`]: it must not be shown, and not be paid.
    pub fn quote(&self, vend: &Vend) -> Result<Quote, Distrust> {
        let statements = self.statements(Unverified {
            quote: &vend.quote,
            payment: None,
            issue: None,
            settlement: None,
            refund_order: None,
            refunded: None,
        })?;
        Ok(statements.quote.into_parts().1)
    }

    /// Verifies everything that the cloud says of a vend before any of it is used.
    pub(crate) fn check(
        &self,
        vend: &Vend,
        expected: &Expected<'_>,
    ) -> Result<Statements, Distrust> {
        check_names(vend, expected)?;
        let statements = self.statements(Unverified {
            quote: &vend.quote,
            payment: vend.payment.as_ref(),
            issue: vend.issue.as_ref(),
            settlement: vend.settlement.as_ref(),
            refund_order: vend.refund_order.as_ref(),
            refunded: vend.refunded.as_ref(),
        })?;
        check_quote(&statements.quote, vend, expected)?;
        if let Some(request) = &vend.payment_request
            && request.amount_fen != statements.quote.statement().payable()
        {
            return Err(Distrust::Other("payment request's amount"));
        }
        if let (Some(token), Some(issue)) = (&vend.token, &statements.issue) {
            check_token(token, issue.statement())?;
        }
        check_state(vend)?;
        Ok(statements)
    }
}

fn genuine<T: Statement>(
    jws: &Jws,
    key: &VerifyingKey,
    name: &'static str,
) -> Result<Signed<T>, Distrust> {
    Signed::verify(&jws.0, key).map_err(|error| Distrust::Forged(name, error))
}

fn genuine_if_any<T: Statement>(
    jws: Option<&Jws>,
    key: &VerifyingKey,
    name: &'static str,
) -> Result<Option<Signed<T>>, Distrust> {
    jws.map(|jws| genuine(jws, key, name)).transpose()
}

fn check_names(vend: &Vend, expected: &Expected<'_>) -> Result<(), Distrust> {
    if vend.vend_id != expected.vend_id {
        return Err(Distrust::Other("vend"));
    }
    if vend.meter != expected.meter {
        return Err(Distrust::Other("meter"));
    }
    if vend.want != expected.want {
        return Err(Distrust::Other("amount or volume"));
    }
    Ok(())
}

fn check_quote(
    signed: &Signed<Quote>,
    vend: &Vend,
    expected: &Expected<'_>,
) -> Result<(), Distrust> {
    let quote = signed.statement();
    if expected
        .known
        .is_some_and(|known| known.quote != vend.quote)
    {
        return Err(Distrust::Other("quote"));
    }
    let hash = Digest(quote_hash(signed).bytes());
    let asked = (quote.vend_id, quote.meter, quote.explanation.want, hash)
        == (
            expected.vend_id,
            expected.meter,
            tariff_want(expected.want),
            vend.quote_hash,
        );
    if !asked {
        return Err(Distrust::Other("quote"));
    }
    let rests_on = |status: &HexBytes| quote.status_sha256 == Sha256Digest::of(&status.0);
    if !expected.status.is_none_or(rests_on) {
        return Err(Distrust::Reading);
    }
    Ok(())
}

const fn tariff_want(want: Want) -> gas_tariff::Want {
    match want {
        Want::AmountFen(amount) => gas_tariff::Want::Amount(amount),
        Want::VolumeCentiM3(volume) => gas_tariff::Want::Volume(volume),
    }
}

/// The token is that of the issue. It may be sealed anew after a key change, so it is not compared
/// byte by byte.
pub(crate) fn check_token(token: &HexBytes, issue: &Issue) -> Result<(), Distrust> {
    match Command::parse(&token.0)? {
        Command::Total(total)
            if total.message.meter == issue.meter
                && total.message.seq.bits() == issue.seq
                && total.message.unit == issue.unit
                && total.message.total == issue.total
                && (total.message).may_hold(issue.credit, issue.vend_id.reference()) =>
        {
            Ok(())
        }
        Command::Total(_) | Command::Setting(_) => Err(Distrust::Other("token")),
    }
}

/// No state without what proves it.
fn check_state(vend: &Vend) -> Result<(), Distrust> {
    let needs: &[(bool, &'static str)] = match vend.state {
        VendState::Quoted | VendState::TenderRequested | VendState::Expired => &[],
        VendState::TenderConfirmed => &[(vend.payment.is_some(), "payment")],
        VendState::TokenIssued | VendState::Delivered => &[
            (vend.payment.is_some(), "payment"),
            (vend.issue.is_some(), "issue"),
            (vend.token.is_some(), "token"),
        ],
        VendState::Accepted => &[
            (vend.payment.is_some(), "payment"),
            (vend.issue.is_some(), "issue"),
            (vend.token.is_some(), "token"),
            (vend.settlement.is_some(), "settlement"),
        ],
        // What came before may be forgotten where the cloud was restored; the order rests on the payment.
        VendState::RefundPending => &[
            (vend.payment.is_some(), "payment"),
            (vend.refund_order.is_some(), "refund order"),
        ],
        VendState::Refunded => &[
            (vend.payment.is_some(), "payment"),
            (vend.refund_order.is_some(), "refund order"),
            (vend.refunded.is_some(), "refund"),
        ],
    };
    match needs.iter().find(|(there, _)| !there) {
        Some((_, name)) => Err(Distrust::Unproven(vend.state, name)),
        None => Ok(()),
    }
}
