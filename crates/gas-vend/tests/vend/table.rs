use std::collections::{BTreeMap, BTreeSet};

use gas_api::pay::Way;
use gas_api::{Digest, codes};
use gas_statement::Evidence;
use gas_token::{Kind, Receipt, ReceiptResult, Seq, ShortTag, Tagged};
use gas_units::{Money, RefundId, ReplacementId, UnixMillis, VendId};
use gas_vend::{
    Applied, Effect, Event, IssuedToken, MoneyBack, OrderedRefund, ProofError, Refused,
    SignedQuote, Vend, VendState,
};

use crate::facts::{
    NOW, VALID_UNTIL, asked, company, issued, money_back, new_vend, order, over_limit, pay,
    payment, quote, quote_hash, receipt, request, sale, settlement, signed_quote, why,
};

use crate::variants::{EVENTS, event_kind};

type Step = (&'static str, Event, UnixMillis);

fn other_vend() -> VendId {
    VendId::from_parts(1, [1; 10])
}

fn other_refund() -> RefundId {
    RefundId::from_parts(1, [1; 10])
}

/// Every kind of event, in its good and in its bad forms.
#[expect(clippy::too_many_lines, reason = "a list: one event after the other")]
pub(crate) fn events() -> Vec<Step> {
    let other = Digest([0; 32]);
    let (asked, consented) = (
        |quote_hash| Event::TenderAsked {
            quote_hash,
            way: Way::Native,
        },
        |quote_hash| Event::Consented { quote_hash },
    );
    let delivered = |receipt| Event::ReceiptDelivered { receipt };
    let good = receipt(|_| {});
    let believed = |settlement| Event::ReceiptBelieved {
        receipt: gas_api::HexBytes(receipt(|_| {}).to_bytes()),
        settlement,
    };
    let at_once = vec![
        ("tender asked", asked(quote_hash())),
        ("tender asked, other quote", asked(other)),
        ("reserved", Event::Reserved { attempt: 1 }),
        (
            "reservation refused",
            Event::ReservationRefused {
                attempt: 1,
                why: over_limit(),
            },
        ),
        (
            "reservation refused, expired",
            Event::ReservationRefused {
                attempt: 1,
                why: why(codes::QUOTE_EXPIRED),
            },
        ),
        ("issued before", Event::IssuedBefore { attempt: 1 }),
        ("no tender", Event::NoTender { attempt: 1 }),
        (
            "tender opened",
            Event::TenderOpened {
                request: request(20_000),
            },
        ),
        (
            "tender opened, other amount",
            Event::TenderOpened {
                request: request(1),
            },
        ),
        (
            "tender refused",
            Event::TenderRefused {
                attempt: 1,
                why: why(codes::QUOTE_EXPIRED),
            },
        ),
        ("tender unknown", Event::TenderUnknown { number: Some(3) }),
        (
            "tender unknown, asked aside",
            Event::TenderUnknown { number: None },
        ),
        ("still unpaid", Event::StillUnpaid { number: Some(3) }),
        (
            "still unpaid, asked aside",
            Event::StillUnpaid { number: None },
        ),
        ("tender closed", Event::TenderClosed),
        ("consented", consented(quote_hash())),
        ("consented, other quote", consented(other)),
        ("paid", Event::PaymentConfirmed(payment(|_| {}))),
        (
            "paid, other vend",
            Event::PaymentConfirmed(payment(|p| p.vend_id = other_vend())),
        ),
        (
            "paid, other quote",
            Event::PaymentConfirmed(payment(|p| p.quote_hash.0.0 = [0; 32])),
        ),
        (
            "paid, other amount",
            Event::PaymentConfirmed(payment(|p| p.amount_fen = Money::from_fen(19_999))),
        ),
        (
            "paid, other transaction",
            Event::PaymentConfirmed(payment(|p| p.transaction_id = "2".to_owned())),
        ),
        (
            "payment contradicted",
            Event::PaymentContradicted {
                why: why(codes::AMOUNT_MISMATCH),
            },
        ),
        ("token issued", Event::TokenIssued(issued(|_| {}))),
        (
            "token issued, other quote",
            Event::TokenIssued(issued(|issue| issue.quote_hash.0.0 = [0; 32])),
        ),
        (
            "sale refused",
            Event::SaleRefused {
                attempt: 1,
                why: why(codes::METER_FROZEN),
            },
        ),
        ("receipt", delivered(good)),
        (
            "receipt, known already",
            delivered(receipt(|r| r.result = ReceiptResult::Duplicate)),
        ),
        (
            "receipt, later token applied",
            delivered(receipt(|r| {
                r.result = ReceiptResult::Duplicate;
                r.state.last_seq = Seq::from_bits(8);
                r.state.last_tag = ShortTag([0; 4]);
            })),
        ),
        (
            "receipt, other meter",
            delivered(receipt(|r| r.meter = "33010000000002".parse().unwrap())),
        ),
        (
            "receipt, other token",
            delivered(receipt(|r| r.state.last_seq = Seq::from_bits(6))),
        ),
        (
            "receipt, other tag",
            delivered(receipt(|r| r.state.last_tag = ShortTag([0; 4]))),
        ),
        (
            "receipt, of a question",
            delivered(receipt(|r| r.answered = Kind::Ask)),
        ),
        ("receipt, refused", delivered(not_taken())),
        (
            "receipt, refused and applied",
            delivered(receipt(|r| r.result = ReceiptResult::OutOfRange)),
        ),
        ("receipt believed", believed(settlement(|_| {}))),
        (
            "receipt believed, other token",
            believed(settlement(|s| s.seq = 6)),
        ),
        (
            "receipt believed, not applied",
            believed(settlement(|s| s.last_seq = 6)),
        ),
        (
            "receipt not believed",
            Event::ReceiptNotBelieved {
                report: 1,
                why: why(codes::MESSAGE_FORGED),
            },
        ),
        (
            "receipt not believed for now",
            Event::ReceiptNotBelieved {
                report: 1,
                why: why(codes::METER_FROZEN),
            },
        ),
    ];
    let looked = |settlement| Event::SaleLookedAt {
        number: 1,
        settlement,
    };
    let elsewhere = |seq, last_seq| {
        looked(Some(settlement(|s| {
            s.last_seq = last_seq;
            s.evidence = Evidence::CarriedOver {
                new_meter: "33010000000002".parse().unwrap(),
                replacement_id: ReplacementId::from_parts(1, [1; 10]),
                seq,
            };
        })))
    };
    let looks = [
        ("sale looked at, not settled", looked(None)),
        ("sale looked at, settled", looked(Some(settlement(|_| {})))),
        (
            "sale looked at, settled by a later state",
            looked(Some(settlement(|s| s.last_seq = 8))),
        ),
        (
            "sale looked at, settled for another vend",
            looked(Some(settlement(|s| s.vend_id = other_vend()))),
        ),
        (
            "sale looked at, settled for an earlier token",
            looked(Some(settlement(|s| s.seq = 6))),
        ),
        (
            "sale looked at, settled by a state before it",
            looked(Some(settlement(|s| s.last_seq = 6))),
        ),
        ("sale looked at, credited elsewhere", elsewhere(2, 2)),
        (
            "sale looked at, not yet credited elsewhere",
            elsewhere(2, 1),
        ),
    ];
    let refunds = [
        ("refund ordered", Event::RefundOrdered(order(|_| {}))),
        (
            "refund ordered, other vend",
            Event::RefundOrdered(order(|o| o.vend_id = other_vend())),
        ),
        (
            "refund ordered, other meter",
            Event::RefundOrdered(order(|o| o.meter = "33010000000002".parse().unwrap())),
        ),
        (
            "refund ordered, other payment",
            Event::RefundOrdered(order(|o| o.payment_sha256.0 = [0; 32])),
        ),
        (
            "refund ordered, other amount",
            Event::RefundOrdered(order(|o| o.amount_fen = Money::from_fen(19_999))),
        ),
        (
            "refund ordered, other order",
            Event::RefundOrdered(order(|o| o.seq = 9)),
        ),
        ("money went back", Event::MoneyWentBack(money_back(|_| {}))),
        (
            "money went back, told in other words",
            Event::MoneyWentBack(money_back(|m| m.provider_refund_id = "2".to_owned())),
        ),
        (
            "money went back, other vend",
            Event::MoneyWentBack(money_back(|m| m.vend_id = other_vend())),
        ),
        (
            "money went back, other meter",
            Event::MoneyWentBack(money_back(|m| {
                m.meter = "33010000000002".parse().unwrap();
            })),
        ),
        (
            "money went back, other refund",
            Event::MoneyWentBack(money_back(|m| m.refund_id = other_refund())),
        ),
        (
            "money went back, other order",
            Event::MoneyWentBack(money_back(|m| m.order_sha256.0 = [0; 32])),
        ),
        (
            "money went back, other amount",
            Event::MoneyWentBack(money_back(|m| m.amount_fen = Money::from_fen(19_999))),
        ),
    ];
    let late = [("tender asked too late", asked(quote_hash()), VALID_UNTIL)];
    at_once
        .into_iter()
        .chain(looks)
        .chain(refunds)
        .map(|(name, event)| (name, event, NOW))
        .chain(late)
        .collect()
}

/// The meter did not take the token.
pub(crate) fn not_taken() -> Tagged<Receipt> {
    receipt(|r| {
        r.result = ReceiptResult::OutOfRange;
        r.state.last_seq = Seq::from_bits(6);
    })
}

/// One vend in each state, named.
#[expect(clippy::too_many_lines, reason = "a list: one vend after the other")]
fn states() -> Vec<(&'static str, Vend)> {
    let step = |vend: &Vend, event| vend.apply(event, NOW).unwrap().vend;
    let unknown = Event::TenderUnknown { number: None };
    let not_opened = Event::TenderRefused {
        attempt: 1,
        why: why(codes::QUOTE_EXPIRED),
    };
    let quoted = new_vend();
    let reserving = step(
        &quoted,
        Event::TenderAsked {
            quote_hash: quote_hash(),
            way: Way::Native,
        },
    );
    let refused = Event::ReservationRefused {
        attempt: 1,
        why: over_limit(),
    };
    let expired_quote = Event::ReservationRefused {
        attempt: 1,
        why: why(codes::QUOTE_EXPIRED),
    };
    let looking = step(&reserving, refused);
    let opening = step(&reserving, Event::Reserved { attempt: 1 });
    let issued_before = step(&reserving, Event::IssuedBefore { attempt: 1 });
    let open = step(
        &opening,
        Event::TenderOpened {
            request: request(20_000),
        },
    );
    let expired = step(&open, Event::TenderClosed);
    let confirmed = step(&open, Event::PaymentConfirmed(payment(|_| {})));
    let token = step(&confirmed, Event::TokenIssued(issued(|_| {})));
    let delivered = step(
        &token,
        Event::ReceiptDelivered {
            receipt: receipt(|_| {}),
        },
    );
    let forged = Event::ReceiptNotBelieved {
        report: 1,
        why: why(codes::MESSAGE_FORGED),
    };
    let believed = Event::ReceiptBelieved {
        receipt: gas_api::HexBytes(receipt(|_| {}).to_bytes()),
        settlement: settlement(|_| {}),
    };
    let accepted = step(&delivered, believed);
    let ordered = Event::RefundOrdered(order(|_| {}));
    let refunding = step(&accepted, ordered.clone());
    let refunded = step(&refunding, Event::MoneyWentBack(money_back(|_| {})));
    vec![
        ("quoted", quoted),
        ("refused", step(&looking, Event::NoTender { attempt: 1 })),
        ("looking", looking),
        ("looking-expired", step(&reserving, expired_quote)),
        ("reserving", reserving),
        ("opening", opening),
        ("issued-before-refused", step(&issued_before, not_opened)),
        ("issued-before", issued_before),
        ("reopening-expired", step(&expired, unknown.clone())),
        ("expired", expired),
        ("reopening", step(&open, unknown)),
        ("open", open),
        ("paid", confirmed.clone()),
        (
            "not-taken",
            step(
                &token,
                Event::ReceiptDelivered {
                    receipt: not_taken(),
                },
            ),
        ),
        ("issued", token.clone()),
        ("disbelieved", step(&delivered, forged)),
        ("accepted", accepted),
        ("delivered", delivered),
        ("paid-refunding", step(&confirmed, ordered.clone())),
        ("issued-refunding", step(&token, ordered)),
        ("refunding", refunding),
        ("refunded", refunded),
    ]
}

fn effect_name(effect: &Effect) -> String {
    let id = effect.id();
    let wait = effect.due_at(NOW).millis() - NOW.millis();
    let (kind, rest) = id.split_once(':').unwrap();
    let number = rest.split_once(':').map_or("", |(_, number)| number);
    let wait = if wait == 0 {
        String::new()
    } else {
        format!("@{wait}")
    };
    format!("{kind}{number}{wait}")
}

fn outcome(before: &Vend, applied: Result<Applied, Refused>) -> String {
    let applied = match applied {
        Ok(applied) => applied,
        Err(refused) => return format!("!{refused:?}"),
    };
    let mut words: Vec<String> = applied
        .reached
        .iter()
        .map(|state| format!("{state:?}"))
        .collect();
    words.extend(applied.effects.iter().map(effect_name));
    if applied.vend.obstacle() != before.obstacle() {
        let code = applied
            .vend
            .obstacle()
            .map_or("", |obstacle| obstacle.code.as_str());
        words.push(format!("[{code}]"));
    }
    if words.is_empty() && applied.vend != *before {
        words.push("kept".to_owned());
    }
    if words.is_empty() {
        "=".to_owned()
    } else {
        words.join(" ")
    }
}

/// What each event does in each state; `=` is nothing, `!` a refusal, `[..]` the obstacle shown after it.
const TABLE: &str = include_str!("table.txt");

#[test]
fn every_event_does_in_every_state_what_the_table_says() {
    let states = states();
    let mut table = String::new();
    for (name, event, now) in events() {
        let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (state, vend) in &states {
            let outcome = outcome(vend, vend.apply(event.clone(), now));
            groups.entry(outcome).or_default().push(state);
        }
        table.push_str(&format!("{name}\n"));
        for (outcome, states) in groups {
            table.push_str(&format!("    {}: {outcome}\n", states.join(" ")));
        }
    }
    assert_eq!(table, TABLE, "got:\n{table}");
}

/// Its books were put back to a backup: what nobody can pay any more is told at once, and late money brings
/// it back.
#[test]
fn a_quote_that_the_company_has_forgotten_expires() {
    let asked = Event::TenderAsked {
        quote_hash: quote_hash(),
        way: Way::Native,
    };
    let forgotten = Event::ReservationRefused {
        attempt: 1,
        why: why(codes::VEND_UNKNOWN),
    };
    let events = [asked, forgotten, Event::NoTender { attempt: 1 }];
    let live = |vend: Vend, event: Event| vend.apply(event, NOW).unwrap().vend;
    let vend = events.into_iter().fold(new_vend(), live);
    assert_eq!(vend.state(), VendState::Expired);
    let paid = live(vend, Event::PaymentConfirmed(payment(|_| {})));
    assert_eq!(paid.state(), VendState::TenderConfirmed);
}

#[test]
fn an_opening_is_moot_once_the_vend_has_expired_without_it() {
    let awaited = |vend: &Vend| [1, 2].map(|attempt| vend.awaits_opening(attempt));
    for (state, vend) in states() {
        let expected = match state {
            "opening" | "issued-before" | "issued-before-refused" | "open" | "reopening" => {
                [true, true]
            }
            "reopening-expired" => [false, true],
            _ => [false, false],
        };
        assert_eq!(awaited(&vend), expected, "{state}");
        let looks = ["looking", "looking-expired"].contains(&state);
        assert_eq!(vend.awaits_look(), looks, "{state}");
    }
    let opening = states().into_iter().find(|(state, _)| *state == "opening");
    let (_, opening) = opening.unwrap();
    let closed = opening.apply(Event::TenderClosed, NOW).unwrap().vend;
    assert_eq!(awaited(&closed), [false, false]);
}

#[test]
fn every_event_is_in_the_table() {
    let told: BTreeSet<&str> = events()
        .iter()
        .map(|(_, event, _)| event_kind(event))
        .collect();
    assert_eq!(told, EVENTS.iter().copied().collect());
}

#[test]
fn the_same_event_again_changes_nothing_and_wants_nothing_new() {
    for (state, vend) in states() {
        for (name, event, now) in events() {
            let Ok(once) = vend.apply(event.clone(), now) else {
                continue;
            };
            if vend.state() == VendState::Expired && matches!(event, Event::Reserved { .. }) {
                // The company was made to reserve once more, so it must release once more.
                continue;
            }
            let twice = once.vend.apply(event, now).unwrap();
            assert_eq!(twice.vend, once.vend, "{name} in {state}");
            assert_eq!(twice.reached, [], "{name} in {state}");
            for effect in &twice.effects {
                // The outbox keeps one effect per id.
                assert!(
                    once.effects.contains(effect),
                    "{name} in {state}: {effect:?}"
                );
            }
        }
    }
}

#[test]
fn a_vend_reads_back_as_it_was_saved() {
    for (state, vend) in states() {
        let saved = serde_json::to_string(&vend).unwrap();
        assert_eq!(
            serde_json::from_str::<Vend>(&saved).unwrap(),
            vend,
            "{state}"
        );
    }
}

#[test]
fn a_quote_for_something_else_begins_no_vend() {
    let differs = |asked| match Vend::quoted(asked, &signed_quote()) {
        Err(ProofError::Differs(what)) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        differs(gas_vend::Asked {
            vend_id: other_vend(),
            ..asked()
        }),
        "vend"
    );
    let meter = "33010000000002".parse().unwrap();
    assert_eq!(differs(gas_vend::Asked { meter, ..asked() }), "meter");
    let want = gas_api::Want::AmountFen(Money::from_fen(1));
    assert_eq!(differs(gas_vend::Asked { want, ..asked() }), "want");
}

#[test]
fn statements_of_other_keys_prove_nothing() {
    let jws = gas_api::Jws(quote().compact().into());
    assert!(matches!(
        SignedQuote::verify(&jws, &pay().verifying_key()),
        Err(ProofError::Statement(_))
    ));
    assert!(matches!(
        IssuedToken::verify(&sale(|_| {}), &pay().verifying_key()),
        Err(ProofError::Statement(_))
    ));
    let jws = |vend: &Vend, of: fn(&Vend) -> Option<&gas_api::Jws>| of(vend).unwrap().clone();
    let (_, refunded) = states()
        .into_iter()
        .rfind(|(state, _)| *state == "refunded")
        .unwrap();
    assert!(matches!(
        OrderedRefund::verify(&jws(&refunded, Vend::refund_order), &pay().verifying_key()),
        Err(ProofError::Statement(_))
    ));
    assert!(matches!(
        MoneyBack::verify(&jws(&refunded, Vend::refunded), &company().verifying_key()),
        Err(ProofError::Statement(_))
    ));
}

#[test]
fn a_token_that_the_statement_does_not_describe_is_none() {
    let differs = |sale| match IssuedToken::verify(&sale, &company().verifying_key()) {
        Err(ProofError::Differs(what)) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(differs(sale(|issue| issue.seq = 8)), "sequence");
    assert_eq!(differs(sale(|issue| issue.total = 1)), "total");
    assert_eq!(differs(sale(|issue| issue.credit = 1)), "credit");
    assert_eq!(differs(sale(|issue| issue.vend_id = other_vend())), "vend");
    let mut cut = sale(|_| {});
    cut.token.0.pop();
    assert!(matches!(
        IssuedToken::verify(&cut, &company().verifying_key()),
        Err(ProofError::Token(_))
    ));
}
