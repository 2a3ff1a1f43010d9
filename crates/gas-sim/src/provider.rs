//! The provider, as a model: the truth about money. It never forgets and never crashes; what is asked of it
//! may get lost on the way like anything else.

use std::collections::BTreeMap;

use gas_tender::{CloseOutcome, Event, PaidFact, PrepayRefusal, QueryAnswer};
use gas_units::{Money, UnixMillis, VendId};

use crate::net::{Failure, Outcome, ProviderAsk, Told};

/// How long after expiry a payment that was begun before may still end, ms.
const LATE_MS: i64 = 180_000;

/// A provider with one merchant.
#[derive(Debug, Default)]
pub(crate) struct Provider {
    orders: BTreeMap<String, Order>,
    payments: u64,
}

/// An order at the provider.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) amount: Money,
    pub(crate) expires_at: UnixMillis,
    pub(crate) state: OrderState,
}

/// Where it stands.
#[derive(Clone, Debug)]
pub(crate) enum OrderState {
    Open,
    Closed,
    Paid(PaidFact),
}

impl Provider {
    /// Answers. `forgetful`: it says that it does not know an order which it has.
    pub(crate) fn answer(&mut self, ask: ProviderAsk, forgetful: bool, now: UnixMillis) -> Outcome {
        Ok(match ask {
            ProviderAsk::Prepay {
                order_no,
                amount_fen,
                expires_at,
            } => Told::Prepaid(self.prepay(order_no, amount_fen, expires_at)),
            ProviderAsk::Query(_) if forgetful => Told::Queried(QueryAnswer::Unknown),
            ProviderAsk::Query(order_no) => Told::Queried(self.query(&order_no)),
            ProviderAsk::Close(_) if forgetful => return Err(Failure::Silence),
            ProviderAsk::Close(order_no) => Told::Closed(self.close(&order_no, now)),
        })
    }

    fn prepay(&mut self, order_no: String, amount_fen: i64, expires_at: UnixMillis) -> Event {
        let code_url = format!("sim://pay/{order_no}");
        let order = self.orders.entry(order_no).or_insert_with(|| Order {
            amount: Money::from_fen(amount_fen),
            expires_at,
            state: OrderState::Open,
        });
        match &order.state {
            OrderState::Open if order.amount.fen() == amount_fen => {
                Event::PrepayAnswered { code_url }
            }
            OrderState::Open => Event::PrepayRefused(PrepayRefusal::Refused),
            OrderState::Closed => Event::PrepayRefused(PrepayRefusal::Closed),
            OrderState::Paid(_) => Event::PrepayRefused(PrepayRefusal::Paid),
        }
    }

    fn query(&self, order_no: &str) -> QueryAnswer {
        match self.orders.get(order_no).map(|order| &order.state) {
            None => QueryAnswer::Unknown,
            Some(OrderState::Open) => QueryAnswer::Unpaid,
            Some(OrderState::Closed) => QueryAnswer::Closed,
            Some(OrderState::Paid(fact)) => QueryAnswer::Paid(fact.clone()),
        }
    }

    fn close(&mut self, order_no: &str, _now: UnixMillis) -> CloseOutcome {
        let Some(order) = self.orders.get_mut(order_no) else {
            return CloseOutcome::Unknown;
        };
        match order.state {
            OrderState::Open | OrderState::Closed => {
                order.state = OrderState::Closed;
                CloseOutcome::Closed
            }
            OrderState::Paid(_) => CloseOutcome::AlreadyPaid,
        }
    }

    /// The payer pays; true where money has moved.
    pub(crate) fn pay(&mut self, order_no: &str, now: UnixMillis) -> bool {
        let Some(order) = self.orders.get_mut(order_no) else {
            return false;
        };
        let payable =
            matches!(order.state, OrderState::Open) && now <= order.expires_at.plus_millis(LATE_MS);
        if payable {
            self.payments += 1;
            order.state = OrderState::Paid(PaidFact {
                transaction_id: format!("T{:08}", self.payments),
                amount: order.amount,
                paid_at: now,
            });
        }
        payable
    }

    /// Everything that was paid: vend and amount.
    pub(crate) fn paid(&self) -> impl Iterator<Item = (VendId, Money)> {
        self.orders.iter().filter_map(|(order_no, order)| {
            let OrderState::Paid(fact) = &order.state else {
                return None;
            };
            Some((vend_of(order_no)?, fact.amount))
        })
    }
}

/// The vend of an order: the first 26 characters of its number.
pub(crate) fn vend_of(order_no: &str) -> Option<VendId> {
    VendId::from_base32(order_no.get(..26)?).ok()
}
