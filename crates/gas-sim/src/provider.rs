//! The provider, as a model: the truth about money. It never forgets and never crashes; what is asked of it
//! may get lost on the way like anything else.

use std::collections::BTreeMap;

use gas_api::pay::Way;
use gas_tender::{
    CloseOutcome, Event, PaidFact, PrepayRefusal, QueryAnswer, RefundAnswer, RefundFact,
};
use gas_units::{Money, UnixMillis, VendId};

use crate::net::{Failure, Outcome, ProviderAsk, Told};

/// How long after expiry a payment that was begun before may still end, ms.
const LATE_MS: i64 = 180_000;

/// How long a cashier's address lives, ms.
const LINK_MS: i64 = 300_000;

/// A provider with one merchant.
#[derive(Debug, Default)]
pub(crate) struct Provider {
    orders: BTreeMap<String, Order>,
    refunds: BTreeMap<String, Refund>,
    payments: u64,
    /// An order that was asked for in other words than before: our fault.
    pub(crate) reworded: Option<String>,
}

/// An order at the provider.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) amount: Money,
    pub(crate) expires_at: UnixMillis,
    /// In which way it is paid, and by whose address: told anew, it must be the same.
    way: Way,
    /// When the cashier's address that lives now was given out.
    link_at: UnixMillis,
    pub(crate) state: OrderState,
}

/// Where it stands.
#[derive(Clone, Debug)]
pub(crate) enum OrderState {
    Open,
    Closed,
    Paid(PaidFact),
}

/// A refund at the provider.
#[derive(Clone, Debug)]
struct Refund {
    order_no: String,
    answer: RefundAnswer,
}

/// What the provider is like when it is asked something.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mood {
    /// It says that it does not know an order or a refund which it has.
    pub(crate) forgetful: bool,
    /// It begins no refund now.
    pub(crate) unwilling: bool,
}

impl Provider {
    /// Answers.
    pub(crate) fn answer(&mut self, ask: ProviderAsk, mood: Mood, now: UnixMillis) -> Outcome {
        Ok(match ask {
            ProviderAsk::Prepay {
                order_no,
                amount_fen,
                expires_at,
                way,
            } => {
                let new = Order {
                    amount: Money::from_fen(amount_fen),
                    expires_at,
                    way,
                    link_at: now,
                    state: OrderState::Open,
                };
                Told::Prepaid(self.prepay(order_no, new))
            }
            ProviderAsk::Query(_) if mood.forgetful => Told::Queried(QueryAnswer::Unknown),
            ProviderAsk::Query(order_no) => Told::Queried(self.query(&order_no)),
            ProviderAsk::Close(_) if mood.forgetful => return Err(Failure::Silence),
            ProviderAsk::Close(order_no) => Told::Closed(self.close(&order_no)),
            ProviderAsk::Refund { number, order_no } => {
                Told::Refunding(self.refund(number, order_no, mood.unwilling))
            }
            ProviderAsk::QueryRefund(_) if mood.forgetful => Told::Refunding(RefundAnswer::Unknown),
            ProviderAsk::QueryRefund(number) => {
                let known = self.refunds.get(&number);
                Told::Refunding(known.map_or(RefundAnswer::Unknown, |known| known.answer.clone()))
            }
        })
    }

    fn prepay(&mut self, order_no: String, asked: Order) -> Event {
        let code_url = format!("sim://pay/{order_no}");
        let order = (self.orders.entry(order_no.clone())).or_insert_with(|| asked.clone());
        if order.way != asked.way {
            self.reworded = Some(order_no);
            return Event::PrepayRefused(PrepayRefusal::Refused);
        }
        match &order.state {
            OrderState::Open if order.amount == asked.amount => {
                // A fresh address, by which the older one is dead.
                order.link_at = asked.link_at;
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
            Some(OrderState::Paid(fact)) if self.refunds_of(order_no).next().is_some() => {
                QueryAnswer::Refunding(fact.clone())
            }
            Some(OrderState::Paid(fact)) => QueryAnswer::Paid(fact.clone()),
        }
    }

    fn close(&mut self, order_no: &str) -> CloseOutcome {
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

    /// A refund is known by its number; an order has one that is not closed, at most.
    fn refund(&mut self, number: String, order_no: String, unwilling: bool) -> RefundAnswer {
        if let Some(known) = self.refunds.get(&number) {
            return known.answer.clone();
        }
        let paid = self.orders.get(&order_no).map(|order| &order.state);
        let given_back = |answer: &RefundAnswer| !matches!(answer, RefundAnswer::Closed);
        let another = self.refunds_of(&order_no).any(given_back);
        if unwilling || another || !matches!(paid, Some(OrderState::Paid(_))) {
            return RefundAnswer::Refused;
        }
        let answer = RefundAnswer::Processing;
        self.refunds.insert(number, Refund { order_no, answer });
        RefundAnswer::Processing
    }

    fn refunds_of(&self, order_no: &str) -> impl Iterator<Item = &RefundAnswer> {
        let of_it = move |refund: &&Refund| refund.order_no == order_no;
        self.refunds
            .values()
            .filter(of_it)
            .map(|refund| &refund.answer)
    }

    /// Whether a refund is under way.
    pub(crate) fn works_on(&self, number: &str) -> bool {
        let refund = self.refunds.get(number);
        refund.is_some_and(|refund| matches!(refund.answer, RefundAnswer::Processing))
    }

    /// A refund ends: its money goes back, or it is closed without. Its order.
    pub(crate) fn end_refund(
        &mut self,
        number: &str,
        closes: bool,
        now: UnixMillis,
    ) -> Option<String> {
        let refund = self.refunds.get_mut(number)?;
        let order = self.orders.get(&refund.order_no)?;
        refund.answer = if closes {
            RefundAnswer::Closed
        } else {
            RefundAnswer::Done(RefundFact {
                provider_refund_id: format!("R{number}"),
                amount: order.amount,
                refunded_at: now,
            })
        };
        Some(refund.order_no.clone())
    }

    /// Whether the payer finds the cashier's address dead, and must have a fresh one to pay.
    pub(crate) fn needs_link(&self, order_no: &str, now: UnixMillis) -> bool {
        let at_cashier = |order: &&Order| matches!(order.way, Way::H5 { .. });
        let order = self.orders.get(order_no).filter(at_cashier);
        order.is_some_and(|order| now > order.link_at.plus_millis(LINK_MS))
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

    /// Everything that went back: vend and amount.
    pub(crate) fn returned(&self) -> impl Iterator<Item = (VendId, Money)> {
        self.refunds.values().filter_map(|refund| {
            let RefundAnswer::Done(fact) = &refund.answer else {
                return None;
            };
            Some((vend_of(&refund.order_no)?, fact.amount))
        })
    }
}

/// The vend of an order: the first 26 characters of its number.
pub(crate) fn vend_of(order_no: &str) -> Option<VendId> {
    VendId::from_base32(order_no.get(..26)?).ok()
}
