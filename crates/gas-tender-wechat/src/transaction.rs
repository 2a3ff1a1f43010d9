use gas_units::{Money, UnixMillis};
use serde::Deserialize;

use crate::error::Doubt;
use crate::merchant::Merchant;
use crate::order::OrderNumber;

/// What the provider says about one order, signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Transaction {
    /// Which order.
    pub number: OrderNumber,
    /// How far it is.
    pub state: TradeState,
}

/// How far an order is (`trade_state`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TradeState {
    /// Not paid, still payable until its end (`NOTPAY`, `USERPAYING`, `PAYERROR`).
    NotPaid,
    /// Paid (`SUCCESS`). Compare the amount with the order's before believing.
    Paid(Payment),
    /// Paid, and a refund of all or part was asked for since (`REFUND`).
    Refunding(Payment),
    /// Never to be paid (`CLOSED`, `REVOKED`).
    Closed,
}

/// A payment that was made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Payment {
    /// The provider's own number for it.
    pub transaction_id: String,
    /// The order's amount (`amount.total`, CNY).
    pub amount: Money,
    /// When it was paid.
    pub paid_at: UnixMillis,
}

#[derive(Deserialize)]
pub(crate) struct TransactionBody {
    appid: String,
    mchid: String,
    out_trade_no: String,
    trade_state: String,
    transaction_id: Option<String>,
    success_time: Option<String>,
    amount: Option<AmountBody>,
}

#[derive(Deserialize)]
struct AmountBody {
    /// Fen.
    total: i64,
    /// Absent means CNY: the provider's inland merchants have no other.
    currency: Option<String>,
}

impl TransactionBody {
    /// Takes it if it is about one of this merchant's orders.
    pub(crate) fn check(self, merchant: &Merchant) -> Result<Transaction, Doubt> {
        if self.mchid != merchant.mchid() {
            return Err(Doubt::Mismatch("mchid"));
        }
        if self.appid != merchant.appid() {
            return Err(Doubt::Mismatch("appid"));
        }
        let number = self
            .out_trade_no
            .parse()
            .map_err(|_| Doubt::Mismatch("out_trade_no"))?;
        let state = match self.trade_state.as_str() {
            "NOTPAY" | "USERPAYING" | "PAYERROR" => TradeState::NotPaid,
            "SUCCESS" => TradeState::Paid(self.payment()?),
            "REFUND" => TradeState::Refunding(self.payment()?),
            "CLOSED" | "REVOKED" => TradeState::Closed,
            other => return Err(Doubt::Body(format!("trade_state {other:?} is not known"))),
        };
        Ok(Transaction { number, state })
    }

    fn payment(self) -> Result<Payment, Doubt> {
        let missing = |field: &str| Doubt::Body(format!("{field} is missing from a paid order"));
        let amount = self.amount.ok_or_else(|| missing("amount"))?;
        if amount.currency.is_some_and(|currency| currency != "CNY") {
            return Err(Doubt::Mismatch("amount.currency"));
        }
        if amount.total < 1 {
            return Err(Doubt::Body("amount.total is less than 1 fen".to_owned()));
        }
        let paid_at: jiff::Timestamp = self
            .success_time
            .ok_or_else(|| missing("success_time"))?
            .parse()
            .map_err(|_| Doubt::Body("success_time is not a time".to_owned()))?;
        Ok(Payment {
            transaction_id: self
                .transaction_id
                .ok_or_else(|| missing("transaction_id"))?,
            amount: Money::from_fen(amount.total),
            paid_at: UnixMillis::from_millis(paid_at.as_millisecond()),
        })
    }
}
