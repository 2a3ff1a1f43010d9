use std::collections::BTreeSet;

use gas_vend::{Event, Vend, VendState};
use proptest::prelude::*;

use crate::facts::{NOW, issued, money_back, new_vend, order, payment, receipt, settlement};
use crate::table::events;

/// What may follow what: the order of the glossary, and late money.
fn may_follow(before: VendState, after: VendState) -> bool {
    match after {
        VendState::Quoted => false,
        VendState::TenderRequested => before == VendState::Quoted,
        VendState::Expired => before == VendState::Quoted || before == VendState::TenderRequested,
        VendState::TenderConfirmed => {
            before == VendState::TenderRequested || before == VendState::Expired
        }
        VendState::TokenIssued => before == VendState::TenderConfirmed,
        VendState::Delivered => before == VendState::TokenIssued,
        VendState::Accepted => before == VendState::Delivered,
        VendState::RefundPending => {
            (VendState::TenderConfirmed..=VendState::Accepted).contains(&before)
        }
        VendState::Refunded => before == VendState::RefundPending,
    }
}

struct Life {
    vend: Vend,
    timeline: Vec<VendState>,
    effects: BTreeSet<String>,
}

impl Life {
    fn live(&mut self, event: Event) {
        let paid = matches!(event, Event::PaymentConfirmed(_));
        let Ok(applied) = self.vend.apply(event, NOW) else {
            return;
        };
        for state in applied.reached {
            let before = self.timeline.last().copied().unwrap();
            assert!(may_follow(before, state), "{before:?} -> {state:?}");
            self.timeline.push(state);
        }
        assert_eq!(self.timeline.last(), Some(&applied.vend.state()));
        let known = [
            self.vend.payment(),
            self.vend.issue(),
            self.vend.settlement(),
            self.vend.refund_order(),
            self.vend.refunded(),
        ];
        let now = [
            applied.vend.payment(),
            applied.vend.issue(),
            applied.vend.settlement(),
            applied.vend.refund_order(),
            applied.vend.refunded(),
        ];
        for (known, now) in known.into_iter().zip(now) {
            assert!(
                known.is_none() || known == now,
                "a fact was lost or changed"
            );
        }
        assert!(self.vend.token().is_none() || self.vend.token() == applied.vend.token());
        assert!(
            !paid || applied.vend.payment().is_some(),
            "a payment was lost"
        );
        self.effects
            .extend(applied.effects.iter().map(gas_vend::Effect::id));
        self.vend = applied.vend;
    }
}

proptest! {
    #[test]
    fn no_order_loses_a_payment_issues_twice_or_skips(
        picks in prop::collection::vec(0..events().len(), 0..60)
    ) {
        let all = events();
        let mut life = Life {
            vend: new_vend(),
            timeline: vec![VendState::Quoted],
            effects: BTreeSet::new(),
        };
        for pick in picks {
            life.live(all[pick].1.clone());
        }
        let sale = |life: &Life| life.effects.iter().any(|id| id.starts_with("company/sale:"));
        prop_assert_eq!(life.vend.payment().is_some(), sale(&life), "issue what is paid, only that");
        // Whatever happened before, what must still come brings the vend to its end.
        life.live(Event::PaymentConfirmed(payment(|_| {})));
        life.live(Event::TokenIssued(issued(|_| {})));
        life.live(Event::ReceiptDelivered { receipt: receipt(|_| {}) });
        let receipt = gas_api::HexBytes(receipt(|_| {}).to_bytes());
        life.live(Event::ReceiptBelieved { receipt, settlement: settlement(|_| {}) });
        let taken_back = life.vend.refund_order().is_some();
        prop_assert_eq!(life.vend.state() == VendState::Accepted, !taken_back);
        prop_assert!(sale(&life));
        let issues = life.timeline.iter().filter(|state| **state == VendState::TokenIssued).count();
        prop_assert!(issues == 1 || (taken_back && issues == 0));
        life.live(Event::RefundOrdered(order(|_| {})));
        life.live(Event::MoneyWentBack(money_back(|_| {})));
        // The first payment and the first order that were believed stand; these two are about another one.
        let paid = new_vend().apply(Event::PaymentConfirmed(payment(|_| {})), NOW).unwrap().vend;
        let other_order = taken_back && life.vend.state() == VendState::RefundPending;
        let given_back = life.vend.payment() == paid.payment() && !other_order;
        prop_assert_eq!(life.vend.state() == VendState::Refunded, given_back);
    }
}
