use gas_api::company::Sale;
use gas_api::{Digest, HexBytes, Jws, Want};
use gas_statement::{
    Issue, Payment, Quote, RefundOrder, Refunded, Sha256Digest, Signed, StatementError,
    VerifyingKey, quote_hash,
};
use gas_token::{ParseError, Seq, ShortTag, Tagged, Total};
use gas_units::{MeterNumber, Money, RefundId, UnixMillis, VendId};

use crate::vend::Asked;

/// Why a statement proves nothing here.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The company's sale holds no token.
    #[error("what came as token is none")]
    Token(#[from] ParseError),
    /// It cannot be believed.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// The statement says something else than what was asked.
    #[error("the statement does not fit: its {0} is another")]
    Differs(&'static str),
}

/// A quote that the company has signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedQuote(Signed<Quote>);

impl SignedQuote {
    /// Believes what the company's key has signed.
    ///
    /// # Errors
    /// [`ProofError::Statement`].
    pub fn verify(jws: &Jws, company: &VerifyingKey) -> Result<Self, ProofError> {
        Ok(Self(Signed::verify(&jws.0, company)?))
    }

    /// Whether it is for what was asked.
    pub(crate) fn answers(&self, asked: &Asked) -> Result<(), ProofError> {
        let quote = self.0.statement();
        let want = match quote.explanation.want {
            gas_tariff::Want::Amount(amount) => Want::AmountFen(amount),
            gas_tariff::Want::Volume(volume) => Want::VolumeCentiM3(volume),
        };
        same("vend", quote.vend_id, asked.vend_id)?;
        same("meter", quote.meter, asked.meter)?;
        same("want", want, asked.want)
    }

    /// Its hash.
    #[must_use]
    pub fn hash(&self) -> Digest {
        Digest(quote_hash(&self.0).bytes())
    }

    pub(crate) fn jws(&self) -> Jws {
        Jws(self.0.shared_compact())
    }

    pub(crate) fn amount(&self) -> Money {
        self.0.statement().payable()
    }

    pub(crate) fn valid_until(&self) -> UnixMillis {
        self.0.statement().valid_until_ms
    }
}

/// The payment server has signed that a vend is paid. Verifying its signature is the only way to make one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfirmedPayment(Signed<Payment>);

impl ConfirmedPayment {
    /// Believes what the payment server's key has signed.
    ///
    /// # Errors
    /// [`ProofError::Statement`].
    pub fn verify(jws: &Jws, pay: &VerifyingKey) -> Result<Self, ProofError> {
        Ok(Self(Signed::verify(&jws.0, pay)?))
    }

    /// The vend that was paid.
    #[must_use]
    pub fn vend_id(&self) -> VendId {
        self.0.statement().vend_id
    }

    pub(crate) fn meter(&self) -> MeterNumber {
        self.0.statement().meter
    }

    pub(crate) fn jws(&self) -> Jws {
        Jws(self.0.shared_compact())
    }

    pub(crate) fn quote_hash(&self) -> Digest {
        Digest(self.0.statement().quote_hash.bytes())
    }

    pub(crate) fn amount(&self) -> Money {
        self.0.statement().amount_fen
    }

    /// Provider and its number of the payment: what makes a payment one and the same.
    pub(crate) fn transaction(&self) -> String {
        let payment = self.0.statement();
        format!("{}:{}", payment.provider, payment.transaction_id)
    }
}

/// A token that the company has issued, with its signed statement of issue.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IssuedToken {
    token: HexBytes,
    total: Tagged<Total>,
    issue: Signed<Issue>,
}

impl IssuedToken {
    /// Believes a sale whose token is the one that the company's key has signed for.
    ///
    /// # Errors
    /// [`ProofError`].
    pub fn verify(sale: &Sale, company: &VerifyingKey) -> Result<Self, ProofError> {
        let issue = Signed::<Issue>::verify(&sale.issue.0, company)?;
        let total = Tagged::<Total>::parse(&sale.token.0)?;
        let (token, stated) = (total.message, issue.statement());
        // Not the hash: under a newer key generation the company seals the same sale again.
        same("meter", token.meter, stated.meter)?;
        same("sequence", token.seq.bits(), stated.seq)?;
        same("unit", token.unit, stated.unit)?;
        same("total", token.total, stated.total)?;
        if !token.may_hold(stated.credit, stated.vend_id.reference()) {
            same("credit", token.amount, stated.credit)?;
            same("vend", token.reference, stated.vend_id.reference())?;
        }
        Ok(Self {
            token: sale.token.clone(),
            total,
            issue,
        })
    }

    /// Whether it was issued for this vend, at this price.
    pub(crate) fn belongs_to(
        &self,
        vend_id: VendId,
        meter: MeterNumber,
        quote: (Digest, Money),
    ) -> bool {
        let issue = self.issue.statement();
        issue.vend_id == vend_id
            && issue.meter == meter
            && (Digest(issue.quote_hash.bytes()), issue.amount_fen) == quote
    }

    pub(crate) const fn token(&self) -> &HexBytes {
        &self.token
    }

    pub(crate) fn issue(&self) -> Jws {
        Jws(self.issue.shared_compact())
    }

    pub(crate) const fn seq(&self) -> Seq {
        self.total.message.seq
    }

    pub(crate) const fn tag(&self) -> ShortTag {
        self.total.tag.short()
    }
}

/// The company has signed that a vend is settled: the meter has shown the credit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settlement(Signed<gas_statement::Settlement>);

impl Settlement {
    /// Believes what the company's key has signed.
    ///
    /// # Errors
    /// [`ProofError::Statement`].
    pub fn verify(jws: &Jws, company: &VerifyingKey) -> Result<Self, ProofError> {
        Ok(Self(Signed::verify(&jws.0, company)?))
    }

    /// Whether it settles this vend's token.
    pub(crate) fn settles(&self, vend_id: VendId, meter: MeterNumber, seq: Seq) -> bool {
        let settled = self.0.statement();
        settled.vend_id == vend_id
            && settled.meter == meter
            // A later one where the company's books were restored: its first token holds the sale.
            && settled.seq >= seq.bits()
            && settled.holds()
    }

    pub(crate) fn jws(&self) -> Jws {
        Jws(self.0.shared_compact())
    }
}

/// The company has signed that the meter no longer holds a sale, and that its money goes back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OrderedRefund(Signed<RefundOrder>);

impl OrderedRefund {
    /// Believes what the company's key has signed.
    ///
    /// # Errors
    /// [`ProofError::Statement`].
    pub fn verify(jws: &Jws, company: &VerifyingKey) -> Result<Self, ProofError> {
        Ok(Self(Signed::verify(&jws.0, company)?))
    }

    pub(crate) fn refund_id(&self) -> RefundId {
        self.0.statement().refund_id
    }

    pub(crate) fn vend_id(&self) -> VendId {
        self.0.statement().vend_id
    }

    pub(crate) fn meter(&self) -> MeterNumber {
        self.0.statement().meter
    }

    pub(crate) fn amount(&self) -> Money {
        self.0.statement().amount_fen
    }

    /// Whether it gives back exactly this payment.
    pub(crate) fn gives_back(&self, payment: &Jws) -> bool {
        self.0.statement().payment_sha256 == Sha256Digest::of(payment.0.as_bytes())
    }

    pub(crate) fn jws(&self) -> Jws {
        Jws(self.0.shared_compact())
    }
}

/// The payment server has signed that the money of a refund went back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MoneyBack(Signed<Refunded>);

impl MoneyBack {
    /// Believes what the payment server's key has signed.
    ///
    /// # Errors
    /// [`ProofError::Statement`].
    pub fn verify(jws: &Jws, pay: &VerifyingKey) -> Result<Self, ProofError> {
        Ok(Self(Signed::verify(&jws.0, pay)?))
    }

    pub(crate) fn vend_id(&self) -> VendId {
        self.0.statement().vend_id
    }

    pub(crate) fn meter(&self) -> MeterNumber {
        self.0.statement().meter
    }

    pub(crate) fn amount(&self) -> Money {
        self.0.statement().amount_fen
    }

    /// Whether it did what this order says.
    pub(crate) fn follows(&self, refund_id: RefundId, order: &Jws) -> bool {
        let done = self.0.statement();
        done.refund_id == refund_id && done.order_sha256 == Sha256Digest::of(order.0.as_bytes())
    }

    pub(crate) fn jws(&self) -> Jws {
        Jws(self.0.shared_compact())
    }
}

fn same<T: PartialEq>(what: &'static str, told: T, wanted: T) -> Result<(), ProofError> {
    if told == wanted {
        Ok(())
    } else {
        Err(ProofError::Differs(what))
    }
}
