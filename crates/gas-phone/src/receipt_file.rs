use gas_api::cloud::Vend;
use gas_api::{HexBytes, Jws};
use gas_json::FromJson;
use gas_statement::{
    Issue, Payment, Quote, RefundOrder, Refunded, Settlement, Sha256Digest, Signed,
};
use gas_token::{ParseError, Receipt, Tagged};
use gas_units::{MeterNumber, VendId};
use serde::{Deserialize, Serialize};

use crate::trust::{Distrust, Statements, Trust, Unverified, check_token};

/// The `format` of a [`ReceiptFile`].
pub const FORMAT: &str = "pilotlight-receipt-1";

/// What is left of a vend when it is over: everything that proves it, as JSON. Anyone who has the
/// company's and the payment server's public keys can check it, without network and without asking them.
#[derive(Clone, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptFile {
    /// [`FORMAT`].
    pub format: String,
    /// The vend.
    pub vend_id: VendId,
    /// The meter.
    pub meter: MeterNumber,
    /// What was asked, and why.
    pub quote: Jws,
    /// That it was paid.
    pub payment: Jws,
    /// That a token was issued for the payment. This, the settlement and the token are absent only where the
    /// gas was taken back before this phone learnt of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue: Option<Jws>,
    /// That the meter was credited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settlement: Option<Jws>,
    /// The token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<HexBytes>,
    /// The meter's answer, where it settled the vend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<HexBytes>,
    /// That the gas was taken back, and the money is to go back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_order: Option<Jws>,
    /// That the money went back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refunded: Option<Jws>,
}

/// Why a receipt file proves nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReceiptFileError {
    /// Another format.
    #[error("the file is a {0:?}, not a {FORMAT:?}")]
    Format(String),
    /// A statement in it does not hold.
    #[error(transparent)]
    Distrust(#[from] Distrust),
    /// It does not hold what it must.
    #[error("the file has no {0}")]
    Missing(&'static str),
    /// The names on it are not those in its statements.
    #[error("the file names another {0} than its statements")]
    Other(&'static str),
    /// The meter's answer cannot be read.
    #[error("the meter's answer cannot be read: {0}")]
    Receipt(#[from] ParseError),
    /// The settlement rests on another message than the file's receipt.
    #[error("the settlement does not rest on the meter's answer in this file")]
    Evidence,
}

/// A receipt file's statements, all found to hold and to belong together.
#[derive(Clone, Debug)]
pub struct Proven {
    /// What was asked.
    pub quote: Signed<Quote>,
    /// What was paid.
    pub payment: Signed<Payment>,
    /// What was issued. Like the settlement, always there unless there is a refund order.
    pub issue: Option<Signed<Issue>>,
    /// What was credited.
    pub settlement: Option<Signed<Settlement>>,
    /// What was taken back.
    pub refund_order: Option<Signed<RefundOrder>>,
    /// What was paid back.
    pub refunded: Option<Signed<Refunded>>,
}

impl ReceiptFile {
    /// Of a vend that has everything. A receipt that is not what settled it proves nothing here: the meter
    /// may have been believed by a later message, or by another receipt than the cloud shows.
    pub(crate) fn of(vend: &Vend, statements: &Statements) -> Option<Self> {
        let settlement = statements.settlement.as_ref();
        let receipt = vend.receipt.as_ref().filter(|receipt| {
            settlement.is_some_and(|settlement| rests_on(settlement.statement(), receipt))
        });
        let file = Self {
            format: FORMAT.to_owned(),
            vend_id: vend.vend_id,
            meter: vend.meter,
            quote: vend.quote.clone(),
            payment: vend.payment.clone()?,
            issue: vend.issue.clone(),
            settlement: vend.settlement.clone(),
            token: vend.token.clone().filter(|_| vend.issue.is_some()),
            receipt: receipt.cloned(),
            refund_order: vend.refund_order.clone(),
            refunded: vend.refunded.clone(),
        };
        file.is_whole().is_ok().then_some(file)
    }

    /// Whether nothing is missing: a vend that was not taken back has an issue, a token and a settlement.
    fn is_whole(&self) -> Result<(), ReceiptFileError> {
        let needs = [
            (self.issue.is_some(), "issue"),
            (self.token.is_some(), "token"),
            (self.settlement.is_some(), "settlement"),
        ];
        let lacking = needs.into_iter().find(|(there, _)| !there);
        match lacking.filter(|_| self.refund_order.is_none()) {
            Some((_, name)) => Err(ReceiptFileError::Missing(name)),
            None => Ok(()),
        }
    }

    /// Checks every signature, every amount and every link from one statement to the next.
    ///
    /// # Errors
    /// [`ReceiptFileError`] naming the first that does not hold.
    pub fn prove(&self, trust: &Trust) -> Result<Proven, ReceiptFileError> {
        if self.format != FORMAT {
            return Err(ReceiptFileError::Format(self.format.clone()));
        }
        self.is_whole()?;
        let statements = trust.statements(Unverified {
            quote: &self.quote,
            payment: Some(&self.payment),
            issue: self.issue.as_ref(),
            settlement: self.settlement.as_ref(),
            refund_order: self.refund_order.as_ref(),
            refunded: self.refunded.as_ref(),
        })?;
        let quote = statements.quote;
        if quote.statement().vend_id != self.vend_id {
            return Err(ReceiptFileError::Other("vend"));
        }
        if quote.statement().meter != self.meter {
            return Err(ReceiptFileError::Other("meter"));
        }
        if let Some(token) = &self.token {
            let issue = statements.issue.as_ref();
            check_token(
                token,
                issue.ok_or(ReceiptFileError::Missing("issue"))?.statement(),
            )?;
        }
        if let Some(receipt) = &self.receipt {
            let settlement = statements.settlement.as_ref();
            let settlement = settlement.ok_or(ReceiptFileError::Missing("settlement"))?;
            self.check_evidence(receipt, settlement.statement())?;
        }
        Ok(Proven {
            quote,
            payment: (statements.payment).ok_or(ReceiptFileError::Missing("payment"))?,
            issue: statements.issue,
            settlement: statements.settlement,
            refund_order: statements.refund_order,
            refunded: statements.refunded,
        })
    }

    /// The company says which message of the meter it believed; a receipt in the file must be that one.
    fn check_evidence(
        &self,
        receipt: &HexBytes,
        settlement: &Settlement,
    ) -> Result<(), ReceiptFileError> {
        let message = Tagged::<Receipt>::parse(&receipt.0)?.message;
        if message.meter != self.meter {
            return Err(ReceiptFileError::Other("meter"));
        }
        if rests_on(settlement, receipt) {
            Ok(())
        } else {
            Err(ReceiptFileError::Evidence)
        }
    }
}

fn rests_on(settlement: &Settlement, receipt: &HexBytes) -> bool {
    settlement.message_sha256 == Sha256Digest::of(&receipt.0)
}
