//! Double-entry, append-only bookkeeping in integer minor units.
//!
//! A [`Transfer`] moves an amount from one account to another and is never changed: a correction is a
//! new transfer. Because every transfer debits what it credits, the sum over all accounts is zero at
//! every moment; [`trial_balance`] shows it. Ids are made by whoever starts the transfer, so posting the
//! same one twice is the same transfer.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fmt;

use gas_units::{MeterNumber, Money, UnixMillis, VendId};
use serde::{Deserialize, Serialize};

/// An account of the payment server's book.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// Liability: paid by customers for this meter.
    CustomerPrepaid(MeterNumber),
    /// Asset: what a provider has taken in for us and not yet paid out.
    ProviderClearing(String),
    /// Money that the provider reports and no tender explains; a person decides.
    Suspense,
}

/// `customer_prepaid:00110000123456`, `provider_clearing:wechat`, `suspense`.
impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CustomerPrepaid(meter) => write!(f, "customer_prepaid:{meter}"),
            Self::ProviderClearing(provider) => write!(f, "provider_clearing:{provider}"),
            Self::Suspense => f.write_str("suspense"),
        }
    }
}

/// One movement of money. Immutable.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Transfer {
    id: String,
    debit: Account,
    credit: Account,
    amount: Money,
    vend_id: VendId,
    at: UnixMillis,
}

/// Why a transfer cannot be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TransferError {
    /// Zero or negative: to move money back, swap the accounts.
    #[error("a transfer moves a positive amount")]
    NotPositive,
    /// Debit and credit are one account.
    #[error("a transfer moves money between two accounts")]
    SameAccount,
}

impl Transfer {
    /// A transfer of `amount` (> 0) that debits one account and credits another.
    ///
    /// # Errors
    /// [`TransferError`].
    pub fn new(
        id: String,
        debit: Account,
        credit: Account,
        amount: Money,
        vend_id: VendId,
        at: UnixMillis,
    ) -> Result<Self, TransferError> {
        if amount <= Money::ZERO {
            return Err(TransferError::NotPositive);
        }
        if debit == credit {
            return Err(TransferError::SameAccount);
        }
        Ok(Self {
            id,
            debit,
            credit,
            amount,
            vend_id,
            at,
        })
    }

    /// Its id; posting it again is no second transfer.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The account that receives the debit entry.
    #[must_use]
    pub const fn debit(&self) -> &Account {
        &self.debit
    }

    /// The account that receives the credit entry.
    #[must_use]
    pub const fn credit(&self) -> &Account {
        &self.credit
    }

    /// How much, in fen, above zero.
    #[must_use]
    pub const fn amount(&self) -> Money {
        self.amount
    }

    /// The vend it belongs to.
    #[must_use]
    pub const fn vend_id(&self) -> VendId {
        self.vend_id
    }

    /// When it was posted.
    #[must_use]
    pub const fn at(&self) -> UnixMillis {
        self.at
    }
}

/// The amounts do not fit 64 bits of fen.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the book's sums do not fit; it holds amounts that cannot be true")]
pub struct Overflow;

/// Debits minus credits of every account. The values sum to zero.
///
/// # Errors
/// [`Overflow`].
pub fn trial_balance<'a>(
    transfers: impl IntoIterator<Item = &'a Transfer>,
) -> Result<BTreeMap<Account, Money>, Overflow> {
    let mut balances: BTreeMap<Account, Money> = BTreeMap::new();
    for transfer in transfers {
        let debit = balances
            .entry(transfer.debit.clone())
            .or_insert(Money::ZERO);
        *debit = debit.checked_add(transfer.amount).ok_or(Overflow)?;
        let credit = balances
            .entry(transfer.credit.clone())
            .or_insert(Money::ZERO);
        *credit = credit.checked_sub(transfer.amount).ok_or(Overflow)?;
    }
    Ok(balances)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn account(number: u8) -> Account {
        match number {
            0 => Account::Suspense,
            1 => Account::ProviderClearing("wechat".to_owned()),
            2 => Account::ProviderClearing("other".to_owned()),
            _ => Account::CustomerPrepaid(MeterNumber::from_bcd([0, 0x11, 0, 0, 0, 0, 1]).unwrap()),
        }
    }

    fn transfer(debit: u8, credit: u8, fen: i64) -> Result<Transfer, TransferError> {
        let vend = VendId::from_parts(0, [0; 10]);
        let at = UnixMillis::from_millis(0);
        Transfer::new(
            "t".to_owned(),
            account(debit),
            account(credit),
            Money::from_fen(fen),
            vend,
            at,
        )
    }

    #[test]
    fn nothing_moves_to_itself_and_nothing_moves_backwards() {
        assert_eq!(transfer(0, 0, 1), Err(TransferError::SameAccount));
        assert_eq!(transfer(0, 1, 0), Err(TransferError::NotPositive));
        assert_eq!(transfer(0, 1, -1), Err(TransferError::NotPositive));
    }

    #[test]
    fn sums_that_do_not_fit_are_told() {
        let most = transfer(0, 1, i64::MAX).unwrap();
        assert_eq!(trial_balance([&most, &most]), Err(Overflow));
    }

    proptest! {
        #[test]
        fn the_book_sums_to_zero(moves in prop::collection::vec((0_u8..4, 0_u8..4, 1_i64..1_000_000), 0..50)) {
            let transfers: Vec<_> = moves.into_iter().filter_map(|(d, c, fen)| transfer(d, c, fen).ok()).collect();
            let sum: i64 = trial_balance(&transfers).unwrap().values().map(|money| money.fen()).sum();
            prop_assert_eq!(sum, 0);
        }
    }
}
