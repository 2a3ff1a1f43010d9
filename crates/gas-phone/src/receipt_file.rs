use gas_api::cloud::Vend;
use gas_api::{HexBytes, Jws};
use gas_statement::{Issue, Payment, Quote, Settlement, Sha256Digest, Signed};
use gas_token::{ParseError, Receipt, Tagged};
use gas_units::{MeterNumber, VendId};
use serde::{Deserialize, Serialize};

use crate::trust::{Distrust, Trust, check_token};

/// The `format` of a [`ReceiptFile`].
pub const FORMAT: &str = "pilotlight-receipt-1";

/// What is left of a vend when it is over: everything that proves it, as JSON. Anyone who has the
/// company's and the payment server's public keys can check it, without network and without asking them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
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
    /// That a token was issued for the payment.
    pub issue: Jws,
    /// That the meter was credited.
    pub settlement: Jws,
    /// The token.
    pub token: HexBytes,
    /// The meter's answer, where it settled the vend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<HexBytes>,
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
    /// What was issued.
    pub issue: Signed<Issue>,
    /// What was credited.
    pub settlement: Signed<Settlement>,
}

impl ReceiptFile {
    /// Of a vend that has everything. A receipt that is not what settled it proves nothing here: the meter
    /// may have been believed by a later message, or by another receipt than the cloud shows.
    pub(crate) fn of(vend: &Vend, settlement: &Settlement) -> Option<Self> {
        let receipt = vend.receipt.as_ref();
        let receipt = receipt.filter(|receipt| rests_on(settlement, receipt));
        Some(Self {
            format: FORMAT.to_owned(),
            vend_id: vend.vend_id,
            meter: vend.meter,
            quote: vend.quote.clone(),
            payment: vend.payment.clone()?,
            issue: vend.issue.clone()?,
            settlement: vend.settlement.clone()?,
            token: vend.token.clone()?,
            receipt: receipt.cloned(),
        })
    }

    /// Checks every signature, every amount and every link from one statement to the next.
    ///
    /// # Errors
    /// [`ReceiptFileError`] naming the first that does not hold.
    pub fn prove(&self, trust: &Trust) -> Result<Proven, ReceiptFileError> {
        if self.format != FORMAT {
            return Err(ReceiptFileError::Format(self.format.clone()));
        }
        let statements = trust.statements(
            &self.quote,
            Some(&self.payment),
            Some(&self.issue),
            Some(&self.settlement),
        )?;
        let quote = statements.quote;
        if quote.statement().vend_id != self.vend_id {
            return Err(ReceiptFileError::Other("vend"));
        }
        if quote.statement().meter != self.meter {
            return Err(ReceiptFileError::Other("meter"));
        }
        let missing = |name| ReceiptFileError::Distrust(Distrust::Other(name));
        let proven = Proven {
            quote,
            payment: statements.payment.ok_or_else(|| missing("payment"))?,
            issue: statements.issue.ok_or_else(|| missing("issue"))?,
            settlement: statements.settlement.ok_or_else(|| missing("settlement"))?,
        };
        check_token(&self.token, proven.issue.statement())?;
        self.check_evidence(proven.settlement.statement())?;
        Ok(proven)
    }

    /// The company says which message of the meter it believed; a receipt in the file must be that one.
    fn check_evidence(&self, settlement: &Settlement) -> Result<(), ReceiptFileError> {
        let Some(receipt) = &self.receipt else {
            return Ok(());
        };
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
