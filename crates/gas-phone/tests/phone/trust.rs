//! Each thing that an honest cloud would not show, one at a time.

use gas_api::HexBytes;
use gas_api::cloud::{Vend, VendState};
use gas_phone::{Distrust, Event, EventError, Step, TopUp};
use gas_statement::{
    ChainError, QuoteCheckError, Sha256Digest, Signed, StatementError, quote_hash,
};
use gas_tariff::CheckError;
use gas_token::{ParseError, Seq, Setting, SettingBody, SettingKind, Tag, Tagged};
use gas_units::{Money, Unit, UnixMillis, Volume};

use crate::world::{
    NOW, Papers, WANT, a_quote, company, meter, other_meter, other_vend_id, papers, pay, quote_of,
    signed, status, trust, vend_id,
};

/// A phone that has read the status and has been shown these states.
pub(crate) fn phone_at(papers: &Papers, seen: &[VendState]) -> TopUp {
    let mut top_up = TopUp::new(vend_id(), meter(), WANT, NOW);
    top_up.apply(Event::StatusRead(status()), &trust()).unwrap();
    for (state, version) in seen.iter().zip(1..) {
        let vend = papers.vend(*state, version);
        top_up.apply(Event::Vend(vend), &trust()).unwrap();
    }
    top_up
}

/// A lie about a vend in this state, and how it is found out. `changed` is the only thing that is wrong.
pub(crate) struct Lie {
    name: &'static str,
    state: VendState,
    changed: fn(&mut Vend, &Papers),
    found: Distrust,
}

pub(crate) const fn lie(
    name: &'static str,
    state: VendState,
    changed: fn(&mut Vend, &Papers),
    found: Distrust,
) -> Lie {
    Lie {
        name,
        state,
        changed,
        found,
    }
}

/// Each lie is refused, and the same view without it believed, whatever the phone had seen before.
pub(crate) fn refused(lies: Vec<Lie>, seen: &[VendState]) {
    let papers = papers();
    for lie in lies {
        let mut vend = papers.vend(lie.state, 9);
        let mut told_truth = phone_at(&papers, seen);
        let told = told_truth.apply(Event::Vend(vend.clone()), &trust());
        assert_eq!(told, Ok(()), "{}: the truth", lie.name);

        let before = phone_at(&papers, seen);
        let mut phone = before.clone();
        (lie.changed)(&mut vend, &papers);
        let told = phone.apply(Event::Vend(vend), &trust());
        assert_eq!(told, Err(EventError::Distrust(lie.found)), "{}", lie.name);
        assert_eq!(phone, before, "{}", lie.name);
    }
}

/// Shows another genuine quote, its hash right.
fn show_quote(vend: &mut Vend, quote: gas_statement::Quote) {
    let quote = Signed::sign(&company(), quote).unwrap();
    vend.quote_hash = gas_api::Digest(quote_hash(&quote).bytes());
    vend.quote = gas_api::Jws(quote.compact().into());
}

fn show_with(vend: &mut Vend, change: impl FnOnce(&mut gas_statement::Quote)) {
    let mut quote = a_quote();
    change(&mut quote);
    show_quote(vend, quote);
}

pub(crate) fn wrong_key(name: &'static str, wrong: &gas_statement::SigningKey) -> Distrust {
    let by_pay = ["payment", "refund"].contains(&name);
    let right = if by_pay { pay() } else { company() };
    let expected = right.verifying_key().key_id();
    let found = wrong.verifying_key().key_id().to_string();
    Distrust::Forged(name, StatementError::Key { expected, found })
}

/// Changes the last character of the signature to another one that base64url allows there.
fn broken(jws: &gas_api::Jws) -> gas_api::Jws {
    let mut text = jws.0.to_string();
    let at = text.rfind('.').unwrap() + 1;
    let other = if text[at..].starts_with('A') {
        "B"
    } else {
        "A"
    };
    text.replace_range(at..=at, other);
    text.into()
}

#[test]
fn a_first_view_is_genuine_and_about_what_was_asked_for() {
    refused(
        vec![
            lie(
                "quote signed by the payment server",
                VendState::Quoted,
                |vend, papers| vend.quote = signed(&pay(), papers.quote.statement().clone()),
                wrong_key("quote", &pay()),
            ),
            lie(
                "quote changed on the way",
                VendState::Quoted,
                |vend, _| vend.quote = broken(&vend.quote),
                Distrust::Forged("quote", StatementError::Signature),
            ),
            lie(
                "view of another vend",
                VendState::Quoted,
                |vend, _| vend.vend_id = other_vend_id(),
                Distrust::Other("vend"),
            ),
            lie(
                "view of another meter",
                VendState::Quoted,
                |vend, _| vend.meter = other_meter(),
                Distrust::Other("meter"),
            ),
            lie(
                "view of another amount",
                VendState::Quoted,
                |vend, _| vend.want = gas_api::Want::AmountFen(Money::from_fen(6_000)),
                Distrust::Other("amount or volume"),
            ),
        ],
        &[],
    );
}

#[test]
fn a_first_quote_is_for_what_was_asked_for() {
    refused(
        vec![
            lie(
                "quote of another vend",
                VendState::Quoted,
                |vend, _| {
                    show_with(vend, |quote| quote.vend_id = other_vend_id());
                },
                Distrust::Other("quote"),
            ),
            lie(
                "quote of another meter",
                VendState::Quoted,
                |vend, _| {
                    show_with(vend, |quote| quote.meter = other_meter());
                },
                Distrust::Other("quote"),
            ),
            lie(
                "quote of another amount",
                VendState::Quoted,
                |vend, _| {
                    let want = gas_tariff::Want::Amount(Money::from_fen(6_000));
                    show_quote(vend, quote_of(want));
                },
                Distrust::Other("quote"),
            ),
            lie(
                "quote of a volume",
                VendState::Quoted,
                |vend, _| {
                    let want = gas_tariff::Want::Volume(Volume::from_centi_m3(5_000));
                    show_quote(vend, quote_of(want));
                },
                Distrust::Other("quote"),
            ),
            lie(
                "hash of another quote",
                VendState::Quoted,
                |vend, _| vend.quote_hash.0[0] ^= 1,
                Distrust::Other("quote"),
            ),
        ],
        &[],
    );
}

#[test]
fn a_first_quote_rests_on_the_reading_and_computes() {
    let arithmetic = |error| Distrust::Chain(ChainError::Quote(QuoteCheckError::Arithmetic(error)));
    refused(
        vec![
            lie(
                "quote from another status",
                VendState::Quoted,
                |vend, _| {
                    show_with(vend, |quote| {
                        quote.status_sha256 = Sha256Digest::of(b"another reading");
                    });
                },
                Distrust::Reading,
            ),
            lie(
                "quote that does not add up",
                VendState::Quoted,
                |vend, _| {
                    show_with(vend, |quote| {
                        quote.explanation.payable_fen = Money::from_fen(5_001);
                    });
                },
                arithmetic(CheckError::Sum),
            ),
            lie(
                "quote that credits less",
                VendState::Quoted,
                |vend, _| {
                    show_with(vend, |quote| quote.explanation.credit -= 1);
                },
                arithmetic(CheckError::Differs("what will be credited")),
            ),
        ],
        &[],
    );
}

#[test]
fn a_quote_never_changes_and_is_paid_as_quoted() {
    refused(
        vec![
            lie(
                "another quote for the same, as good as the first",
                VendState::TenderRequested,
                |vend, _| {
                    show_with(vend, |quote| {
                        quote.valid_until_ms = UnixMillis::from_millis(1_900_000_000_000);
                    });
                },
                Distrust::Other("quote"),
            ),
            lie(
                "payment request over more",
                VendState::TenderRequested,
                |vend, _| {
                    let request = vend.payment_request.as_mut().unwrap();
                    request.amount_fen = Money::from_fen(5_001);
                },
                Distrust::Other("payment request's amount"),
            ),
            lie(
                "payment request over less",
                VendState::TenderRequested,
                |vend, _| {
                    let request = vend.payment_request.as_mut().unwrap();
                    request.amount_fen = Money::from_fen(4_999);
                },
                Distrust::Other("payment request's amount"),
            ),
        ],
        &[VendState::Quoted],
    );
}

#[test]
fn a_payment_is_the_payment_servers_and_of_this_quote() {
    refused(
        vec![
            lie(
                "payment signed by the company",
                VendState::TenderConfirmed,
                |vend, papers| {
                    let payment = papers.payment.statement().clone();
                    vend.payment = Some(signed(&company(), payment));
                },
                wrong_key("payment", &company()),
            ),
            lie(
                "payment changed on the way",
                VendState::TenderConfirmed,
                |vend, _| vend.payment = vend.payment.as_ref().map(broken),
                Distrust::Forged("payment", StatementError::Signature),
            ),
            lie(
                "payment of another amount",
                VendState::TenderConfirmed,
                |vend, papers| {
                    let less = papers.payment_with(|p| p.amount_fen = Money::from_fen(4_999));
                    vend.payment = Some(less);
                },
                Distrust::Chain(ChainError::Amount("payment")),
            ),
            lie(
                "payment of another vend",
                VendState::TenderConfirmed,
                |vend, papers| {
                    let other = papers.payment_with(|p| p.vend_id = other_vend_id());
                    vend.payment = Some(other);
                },
                Distrust::Chain(ChainError::Vend("payment")),
            ),
            lie(
                "payment of another quote",
                VendState::TenderConfirmed,
                |vend, papers| {
                    let hash = gas_statement::QuoteHash::from_bytes([0; 32]);
                    vend.payment = Some(papers.payment_with(|p| p.quote_hash = hash));
                },
                Distrust::Chain(ChainError::QuoteHash("payment")),
            ),
            lie(
                "paid without payment",
                VendState::TenderConfirmed,
                |vend, _| vend.payment = None,
                Distrust::Unproven(VendState::TenderConfirmed, "payment"),
            ),
        ],
        &[VendState::Quoted],
    );
}

#[test]
fn an_issue_is_the_companys_and_for_this_payment() {
    refused(
        vec![
            lie(
                "issue signed by the payment server",
                VendState::TokenIssued,
                |vend, papers| {
                    vend.issue = Some(signed(&pay(), papers.issue.statement().clone()));
                },
                wrong_key("issue", &pay()),
            ),
            lie(
                "issue for another payment",
                VendState::TokenIssued,
                |vend, papers| {
                    let other = Sha256Digest::of(b"another payment");
                    vend.issue = Some(papers.issue_with(|issue| issue.payment_sha256 = other));
                },
                Distrust::Chain(ChainError::Payment),
            ),
            lie(
                "issue of less than was paid for",
                VendState::TokenIssued,
                |vend, papers| {
                    vend.issue = Some(papers.issue_with(|issue| issue.credit -= 1));
                },
                Distrust::Chain(ChainError::Credit),
            ),
            lie(
                "issue of another meter",
                VendState::TokenIssued,
                |vend, papers| {
                    vend.issue = Some(papers.issue_with(|issue| issue.meter = other_meter()));
                },
                Distrust::Chain(ChainError::Meter("issue")),
            ),
            lie(
                "issued without issue",
                VendState::TokenIssued,
                |vend, _| vend.issue = None,
                Distrust::Unproven(VendState::TokenIssued, "issue"),
            ),
            lie(
                "issued without payment",
                VendState::TokenIssued,
                |vend, _| vend.payment = None,
                Distrust::Chain(ChainError::Missing("payment")),
            ),
            lie(
                "issued with nothing at all",
                VendState::TokenIssued,
                |vend, _| (vend.payment, vend.issue, vend.token) = (None, None, None),
                Distrust::Unproven(VendState::TokenIssued, "payment"),
            ),
        ],
        &[VendState::Quoted],
    );
}

/// A token that is not the one of the issue, and how that is found out.
type OtherToken = (&'static str, fn(&Papers) -> HexBytes, Distrust);

#[test]
fn a_token_is_the_one_of_the_issue() {
    let other = Distrust::Other("token");
    let cases: Vec<OtherToken> = vec![
        (
            "of another sequence",
            |papers| papers.token_with(|token| token.seq = Seq::from_bits(0x0100_0009)),
            other.clone(),
        ),
        (
            "of another total",
            |papers| papers.token_with(|token| token.total += 1),
            other.clone(),
        ),
        (
            "of another meter",
            |papers| papers.token_with(|token| token.meter = other_meter()),
            other.clone(),
        ),
        (
            "of another amount",
            |papers| papers.token_with(|token| token.amount -= 1),
            other.clone(),
        ),
        (
            "of another unit",
            |papers| papers.token_with(|token| token.unit = Unit::CentiCubicMetre),
            other.clone(),
        ),
        (
            "of another vend",
            |papers| papers.token_with(|token| token.reference[7] ^= 1),
            other.clone(),
        ),
        ("a setting", |_| a_setting(), other),
        (
            "cut short",
            |papers| HexBytes(papers.token.to_bytes()[..55].to_vec()),
            Distrust::Token(ParseError::Length {
                expected: 56,
                found: 55,
            }),
        ),
        (
            "with a byte too many",
            |papers| HexBytes([papers.token.to_bytes(), vec![0]].concat()),
            Distrust::Token(ParseError::Length {
                expected: 56,
                found: 57,
            }),
        ),
        (
            "a status",
            |_| status(),
            Distrust::Token(ParseError::Type(0xC0)),
        ),
    ];
    for state in [
        VendState::TokenIssued,
        VendState::Delivered,
        VendState::Accepted,
    ] {
        for (name, token, found) in &cases {
            refused_token(state, Some(token(&papers())), found, name);
        }
        let unproven = Distrust::Unproven(state, "token");
        refused_token(state, None, &unproven, "none");
    }
}

fn refused_token(state: VendState, token: Option<HexBytes>, found: &Distrust, name: &str) {
    let before = phone_at(&papers(), &[VendState::Quoted]);
    let mut phone = before.clone();
    let mut vend = papers().vend(state, 9);
    vend.token = token;
    let told = phone.apply(Event::Vend(vend), &trust());
    let found = Err(EventError::Distrust(found.clone()));
    assert_eq!((told, phone), (found, before), "{name}, {state:?}");
}

fn a_setting() -> HexBytes {
    let setting = Tagged {
        message: Setting {
            generation: 1,
            meter: meter(),
            kind: SettingKind::Valve,
            version: 3,
            body: SettingBody::new(&[0]).unwrap(),
        },
        tag: Tag([0; 16]),
    };
    HexBytes(setting.to_bytes())
}

#[test]
fn a_token_sealed_anew_for_the_same_sale_is_believed() {
    let papers = papers();
    let mut phone = phone_at(&papers, &[VendState::Quoted]);
    let mut vend = papers.vend(VendState::TokenIssued, 2);
    let mut token = papers.token;
    token.message.generation = 2;
    token.tag = Tag([9; 16]);
    vend.token = Some(HexBytes(token.to_bytes()));
    phone.apply(Event::Vend(vend.clone()), &trust()).unwrap();
    assert_eq!(phone.vend(), Some(&vend));
}

#[test]
fn a_settlement_shows_the_token_of_the_issue() {
    refused(
        vec![
            lie(
                "settlement signed by the payment server",
                VendState::Accepted,
                |vend, papers| {
                    let settlement = papers.settlement.statement().clone();
                    vend.settlement = Some(signed(&pay(), settlement));
                },
                wrong_key("settlement", &pay()),
            ),
            lie(
                "settlement of another token",
                VendState::Accepted,
                |vend, papers| {
                    vend.settlement = Some(papers.settlement_with(|it| it.seq -= 1));
                },
                Distrust::Chain(ChainError::Settled),
            ),
            lie(
                "settlement by a meter that has not come so far",
                VendState::Accepted,
                |vend, papers| {
                    vend.settlement = Some(papers.settlement_with(|it| it.last_seq -= 1));
                },
                Distrust::Chain(ChainError::Settled),
            ),
            lie(
                "settlement of another meter",
                VendState::Accepted,
                |vend, papers| {
                    let other = papers.settlement_with(|it| it.meter = other_meter());
                    vend.settlement = Some(other);
                },
                Distrust::Chain(ChainError::Meter("settlement")),
            ),
            lie(
                "accepted without settlement",
                VendState::Accepted,
                |vend, _| vend.settlement = None,
                Distrust::Unproven(VendState::Accepted, "settlement"),
            ),
            lie(
                "accepted without payment",
                VendState::Accepted,
                |vend, _| (vend.payment, vend.issue, vend.settlement) = (None, None, None),
                Distrust::Unproven(VendState::Accepted, "payment"),
            ),
        ],
        &[VendState::Quoted],
    );
}

#[test]
fn what_was_proven_is_not_taken_back() {
    let life = [
        VendState::Quoted,
        VendState::TenderRequested,
        VendState::Expired,
        VendState::TenderConfirmed,
        VendState::TokenIssued,
        VendState::Delivered,
        VendState::Accepted,
        VendState::RefundPending,
        VendState::Refunded,
    ];
    let papers = papers();
    for reached in 3..life.len() {
        for (place, earlier) in life[..reached].iter().enumerate() {
            for version in [1, 2, 20] {
                let mut phone = phone_at(&papers, &life[..=reached]);
                let known = phone.vend().cloned().unwrap();
                let vend = papers.vend(*earlier, version);
                phone.apply(Event::Vend(vend), &trust()).unwrap();
                let now = phone.vend().unwrap();
                assert_eq!(now.payment, known.payment, "{earlier:?}");
                assert_eq!(now.token, known.token, "{earlier:?}");
                assert_eq!(now.settlement, known.settlement, "{earlier:?}");
                assert_eq!(now.refund_order, known.refund_order, "{earlier:?}");
                assert_eq!(now.refunded, known.refunded, "{earlier:?}");
                let step = phone.next(&trust()).unwrap();
                assert!(
                    !matches!(step, Step::Offer | Step::Pay(_)),
                    "{place} {step:?}"
                );
            }
        }
    }
}

#[test]
fn keys_that_are_no_longer_trusted_end_the_trust_in_what_was_saved() {
    let papers = papers();
    for state in [VendState::Quoted, VendState::Accepted] {
        let phone = phone_at(&papers, &[state]);
        let mut others = trust();
        others.company = pay().verifying_key();
        let expected = others.company.key_id();
        let found = company().verifying_key().key_id().to_string();
        let error = StatementError::Key { expected, found };
        assert_eq!(phone.next(&others), Err(Distrust::Forged("quote", error)));
    }
}

#[test]
fn a_quote_is_shown_only_if_it_is_genuine_and_computes() {
    let papers = papers();
    let vend = papers.vend(VendState::Quoted, 1);
    assert_eq!(trust().quote(&vend).as_ref(), Ok(papers.quote.statement()));
    let mut forged = vend.clone();
    forged.quote = signed(&pay(), papers.quote.statement().clone());
    assert_eq!(trust().quote(&forged), Err(wrong_key("quote", &pay())));
    let mut wrong = vend;
    let mut quote = a_quote();
    quote.explanation.payable_fen = Money::from_fen(5_001);
    show_quote(&mut wrong, quote);
    let sum = QuoteCheckError::Arithmetic(CheckError::Sum);
    let found = Distrust::Chain(ChainError::Quote(sum));
    assert_eq!(trust().quote(&wrong), Err(found));
}
