//! Every effect, in every state in which it can be pending: performed twice, refused, its answer lost, and
//! performed once more when all is over. The vend ends clean each time.

use std::collections::{BTreeMap, BTreeSet};

use gas_api::HexBytes;
use gas_api::codes;
use gas_api::pay::Way;
use gas_token::{ReceiptResult, Tagged};
use gas_units::UnixMillis;
use gas_vend::{
    ConfirmedPayment, Effect, Event, IssuedToken, MoneyBack, OrderedRefund, Settlement, Vend,
    VendState,
};

use crate::facts::{
    NOW, issued, money_back, new_vend, order, over_limit, payment, quote_hash, receipt, request,
    settlement, why,
};
use crate::table::not_taken;
use crate::variants::{EFFECTS, EVENTS, effect_kind, event_kind};

/// What goes wrong with one effect.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Mode {
    /// Done, answered, and done and answered again at once.
    Twice,
    /// Refused; whatever follows is not.
    Refused,
    /// Done, but the answer is lost; done again.
    AnswerLost,
    /// Done again, and answered again, when all is over.
    LateAgain,
}

const MODES: [Mode; 4] = [
    Mode::Twice,
    Mode::Refused,
    Mode::AnswerLost,
    Mode::LateAgain,
];

/// What the customer does, and what the other servers know before.
#[derive(Clone, Copy, Debug, Default)]
struct Story {
    pays: bool,
    confirms: bool,
    /// The tender is closed before the money comes.
    pays_late: bool,
    /// Closed, forgotten, paid after all; and only the customer's word has anyone ask.
    found_by_word: bool,
    /// Paid and issued in a life that the cloud does not remember.
    issued_before: bool,
    /// A tender open in such a life, while the company refuses to reserve.
    tendered_before: bool,
    /// The company refuses to reserve for the first time.
    refused_first: bool,
    /// The company does not issue at first, and the customer's word has it paid before the next question.
    sale_refused_first: bool,
    /// The payment server forgets the tender once.
    forgets: bool,
    /// The meter does not take the token at first.
    not_taken_first: bool,
    /// Another phone shows the meter's credit; the receipt never comes.
    shown_by_another: bool,
    /// The gas is taken back at the end.
    taken_back: bool,
}

const STORIES: [Story; 13] = {
    let unpaid = Story {
        pays: false,
        confirms: false,
        pays_late: false,
        found_by_word: false,
        issued_before: false,
        tendered_before: false,
        refused_first: false,
        sale_refused_first: false,
        forgets: false,
        not_taken_first: false,
        shown_by_another: false,
        taken_back: false,
    };
    let paid = Story {
        pays: true,
        ..unpaid
    };
    let confirmed = Story {
        confirms: true,
        ..paid
    };
    [
        unpaid,
        paid,
        confirmed,
        Story {
            pays_late: true,
            ..confirmed
        },
        Story {
            sale_refused_first: true,
            ..confirmed
        },
        Story {
            found_by_word: true,
            ..unpaid
        },
        Story {
            issued_before: true,
            ..paid
        },
        Story {
            tendered_before: true,
            ..paid
        },
        Story {
            refused_first: true,
            not_taken_first: true,
            ..confirmed
        },
        Story {
            forgets: true,
            ..confirmed
        },
        Story {
            forgets: true,
            confirms: true,
            ..unpaid
        },
        Story {
            shown_by_another: true,
            ..confirmed
        },
        Story {
            taken_back: true,
            ..confirmed
        },
    ]
};

/// The statements, signed once.
struct Papers {
    payment: ConfirmedPayment,
    issued: IssuedToken,
    settlement: Settlement,
    order: OrderedRefund,
    money_back: MoneyBack,
}

/// The other servers, as far as this vend goes.
#[derive(Clone, Debug, Default)]
struct Others {
    refuse_reserve: bool,
    refuse_sale: bool,
    reserved: bool,
    issued: bool,
    settled: bool,
    told_not_taken: bool,
    tender: bool,
    paid: bool,
    closed: bool,
}

impl Others {
    fn tender(&self, papers: &Papers, number: Option<u32>, unknown: Event) -> Vec<Event> {
        let paid = || vec![Event::PaymentConfirmed(papers.payment.clone())];
        let opened = Event::TenderOpened {
            request: request(20_000),
        };
        match (self.tender, self.paid, self.closed) {
            (false, _, _) => vec![unknown],
            (true, true, _) => paid(),
            (true, false, true) => vec![Event::TenderClosed],
            (true, false, false) => vec![opened, Event::StillUnpaid { number }],
        }
    }

    /// Does what is wanted, as often as it is wanted, and answers.
    fn perform(&mut self, vend: &Vend, effect: &Effect, papers: &Papers) -> Vec<Event> {
        match *effect {
            Effect::Reserve { attempt, .. } if self.issued => vec![Event::IssuedBefore { attempt }],
            Effect::Reserve { .. } if self.refuse_reserve => self.refuse(effect),
            Effect::Reserve { attempt, .. } => {
                self.reserved = true;
                vec![Event::Reserved { attempt }]
            }
            Effect::LookForTender { .. } if !vend.awaits_look() => vec![],
            Effect::LookForTender { attempt, .. } => {
                self.tender(papers, None, Event::NoTender { attempt })
            }
            Effect::OpenTender { attempt, .. } if !vend.awaits_opening(attempt) => vec![],
            Effect::OpenTender { .. } => {
                self.tender = true;
                self.tender(papers, Some(0), Event::TenderClosed)
            }
            Effect::AskPayment { number, .. } => {
                let number = Some(number);
                self.tender(papers, number, Event::TenderUnknown { number })
            }
            Effect::AskProvider { .. } => {
                self.tender(papers, None, Event::TenderUnknown { number: None })
            }
            Effect::IssueSale { .. } if self.refuse_sale => {
                self.refuse_sale = false;
                self.refuse(effect)
            }
            Effect::IssueSale { .. } => {
                assert!(self.paid, "issued for money only");
                self.issued = true;
                self.reserved = false;
                vec![Event::TokenIssued(papers.issued.clone())]
            }
            Effect::ReportReceipt { ref receipt, .. } => self.judge(receipt, papers),
            Effect::LookAtSale { .. } if !vend.awaits_settlement() => vec![],
            Effect::LookAtSale { number, .. } => {
                assert!(self.issued);
                let settlement = self.settled.then(|| papers.settlement.clone());
                vec![Event::SaleLookedAt { number, settlement }]
            }
            Effect::LapseReservation { .. } if !vend.holds_no_tender() => vec![],
            Effect::ReleaseReservation { .. } | Effect::LapseReservation { .. } => {
                self.reserved = false;
                vec![]
            }
        }
    }

    fn judge(&mut self, receipt: &HexBytes, papers: &Papers) -> Vec<Event> {
        assert!(self.issued);
        let parsed = Tagged::<gas_token::Receipt>::parse(&receipt.0).unwrap();
        match parsed.message.result {
            ReceiptResult::Applied | ReceiptResult::Duplicate => {
                self.settled = true;
                vec![Event::ReceiptBelieved {
                    receipt: receipt.clone(),
                    settlement: papers.settlement.clone(),
                }]
            }
            ReceiptResult::Insufficient | ReceiptResult::OutOfRange => {
                self.told_not_taken = true;
                vec![]
            }
        }
    }

    /// Does not do what is wanted, and says so.
    fn refuse(&mut self, effect: &Effect) -> Vec<Event> {
        match *effect {
            Effect::Reserve { attempt, .. } => {
                let why = over_limit();
                vec![Event::ReservationRefused { attempt, why }]
            }
            Effect::LookForTender { attempt, .. } => {
                self.tender = false;
                vec![Event::NoTender { attempt }]
            }
            Effect::OpenTender { attempt, .. } => {
                let why = why(codes::QUOTE_EXPIRED);
                vec![Event::TenderRefused { attempt, why }]
            }
            Effect::AskPayment { number, .. } => {
                self.tender = false;
                let number = Some(number);
                vec![Event::TenderUnknown { number }]
            }
            Effect::AskProvider { .. } => {
                self.tender = false;
                vec![Event::TenderUnknown { number: None }]
            }
            Effect::IssueSale { attempt, .. } => {
                let why = why(codes::METER_FROZEN);
                vec![Event::SaleRefused { attempt, why }]
            }
            Effect::ReportReceipt { report, .. } => {
                let why = why(codes::METER_FROZEN);
                vec![Event::ReceiptNotBelieved { report, why }]
            }
            // A company that has forgotten the sale.
            Effect::LookAtSale { number, .. } => {
                let settlement = None;
                vec![Event::SaleLookedAt { number, settlement }]
            }
            // There is none any more.
            Effect::ReleaseReservation { .. } | Effect::LapseReservation { .. } => {
                self.reserved = false;
                vec![]
            }
        }
    }
}

/// Where each effect is pending before anything goes wrong; there everything then does.
const PENDING: [&str; 10] = [
    "Reserve [Quoted]",
    "LookForTender [Quoted]",
    "OpenTender [TenderRequested, Expired]",
    "AskPayment [TenderRequested, Expired, TenderConfirmed, TokenIssued]",
    "AskProvider [TenderRequested, Expired]",
    "IssueSale [TenderConfirmed]",
    "ReportReceipt [TokenIssued, Delivered]",
    "LookAtSale [TokenIssued, Accepted, Refunded]",
    "ReleaseReservation [Expired, TenderConfirmed]",
    "LapseReservation [Quoted]",
];

/// What was seen in all runs.
#[derive(Default)]
struct Seen {
    pending: BTreeSet<(&'static str, VendState)>,
    wrong: BTreeSet<(&'static str, VendState, Mode)>,
    events: BTreeSet<&'static str>,
}

struct Run<'a> {
    papers: &'a Papers,
    seen: &'a mut Seen,
    story: Story,
    others: Others,
    vend: Vend,
    now: UnixMillis,
    /// By id: when due, and what; `None` once done, for ever.
    outbox: BTreeMap<String, Option<(UnixMillis, Effect)>>,
    performed: usize,
    /// What goes wrong, and with which performing.
    wrong: Option<(usize, Mode)>,
    late: Option<Effect>,
}

impl Run<'_> {
    fn live(&mut self, event: Event) {
        self.seen.events.insert(event_kind(&event));
        let Ok(applied) = self.vend.apply(event, self.now) else {
            return;
        };
        for effect in applied.effects {
            let due = effect.due_at(self.now);
            self.outbox
                .entry(effect.id())
                .or_insert(Some((due, effect)));
        }
        self.vend = applied.vend;
        let offered = self.vend.payment_request().is_some();
        assert!(!(offered && self.others.issued), "offered though issued");
    }

    fn answers(&mut self, events: Vec<Event>) {
        for event in events {
            self.live(event);
        }
    }

    /// The next effect that is due, as time passes.
    fn next(&mut self) -> Option<(String, Effect)> {
        let (due, id, effect) = self
            .outbox
            .iter()
            .filter_map(|(id, entry)| entry.as_ref().map(|(due, effect)| (*due, id, effect)))
            .min_by_key(|(due, id, _)| (*due, *id))?;
        self.now = self.now.max(due);
        Some((id.clone(), effect.clone()))
    }

    fn perform(&mut self, id: &str, effect: &Effect) {
        let kind = effect_kind(effect);
        let state = self.vend.state();
        if self.wrong.is_none() {
            self.seen.pending.insert((kind, state));
        }
        let wrong = self.wrong.filter(|(at, _)| *at == self.performed);
        self.performed += 1;
        let papers = self.papers;
        let events = match wrong {
            Some((_, Mode::Refused)) => self.others.refuse(effect),
            Some((_, Mode::AnswerLost)) => {
                let _lost = self.others.perform(&self.vend, effect, papers);
                self.others.perform(&self.vend, effect, papers)
            }
            None | Some((_, Mode::Twice | Mode::LateAgain)) => {
                self.others.perform(&self.vend, effect, papers)
            }
        };
        self.outbox.insert(id.to_owned(), None);
        self.answers(events);
        let Some((_, mode)) = wrong else {
            return;
        };
        self.seen.wrong.insert((kind, state, mode));
        match mode {
            Mode::Twice => {
                let again = self.others.perform(&self.vend, effect, papers);
                self.answers(again);
            }
            Mode::LateAgain => self.late = Some(effect.clone()),
            Mode::Refused | Mode::AnswerLost => {}
        }
    }

    /// The customer does the next thing that can be done.
    fn customer(&mut self, asked: &mut u32) {
        let quote_hash = quote_hash();
        if self.vend.state() == VendState::Quoted && !self.vend.awaits_tender() && *asked < 5 {
            *asked += 1;
            self.live(Event::TenderAsked {
                quote_hash,
                way: Way::Native,
            });
            return;
        }
        if self.vend.payment_request().is_some() {
            if self.story.forgets {
                self.story.forgets = false;
                self.others.tender = false;
            }
            self.others.paid |= self.story.pays && !self.story.pays_late;
            self.others.closed |= !self.story.pays || self.story.pays_late;
            if self.story.confirms {
                self.live(Event::Consented { quote_hash });
            }
        }
        if self.vend.state() == VendState::Expired && self.story.found_by_word {
            self.story.found_by_word = false;
            self.others.tender = false;
            self.others.paid = true;
            self.live(Event::Consented { quote_hash });
        }
        if self.vend.state() == VendState::Expired && self.story.pays_late {
            self.story.pays_late = false;
            self.others.paid = true;
            self.live(Event::PaymentConfirmed(self.papers.payment.clone()));
        }
        if self.vend.state() == VendState::Accepted && self.story.taken_back {
            self.live(Event::RefundOrdered(self.papers.order.clone()));
            self.live(Event::MoneyWentBack(self.papers.money_back.clone()));
        }
        if self.vend.state() == VendState::TokenIssued {
            if self.story.not_taken_first {
                self.story.not_taken_first = false;
                let receipt = not_taken();
                self.live(Event::ReceiptDelivered { receipt });
            } else if self.story.shown_by_another {
                self.others.settled = self.others.issued;
            } else if self.nothing_waits() {
                let receipt = receipt(|_| {});
                self.live(Event::ReceiptDelivered { receipt });
            }
        }
    }

    /// But for looks, which go on until the vend is settled.
    fn nothing_waits(&self) -> bool {
        let looks = |effect: &Effect| matches!(effect, Effect::LookAtSale { .. });
        let mut waiting = self.outbox.values().flatten();
        waiting.all(|(_, effect)| looks(effect))
    }

    fn go_to_the_end(&mut self) {
        let mut asked = 0;
        for _ in 0..200 {
            self.customer(&mut asked);
            let Some((id, effect)) = self.next() else {
                if let Some(late) = self.late.take() {
                    let again = self.others.perform(&self.vend, &late, self.papers);
                    self.answers(again);
                    continue;
                }
                return;
            };
            self.perform(&id, &effect);
        }
        panic!("stuck in {:?}: {:?}", self.vend.state(), self.outbox);
    }

    fn check(&self) {
        let end = self.vend.state();
        if self.others.paid && self.vend.payment().is_some() {
            let expected = if self.story.taken_back {
                VendState::Refunded
            } else {
                VendState::Accepted
            };
            assert_eq!(end, expected);
            assert!(self.others.issued && self.others.settled);
            assert_eq!(self.vend.obstacle(), None);
        } else {
            assert!(matches!(end, VendState::Expired | VendState::Quoted));
            assert!(!self.others.paid || self.wrong.is_some_and(|(_, mode)| mode == Mode::Refused));
        }
        let told = (self.wrong, self.story, end, &self.outbox, &self.others);
        assert!(!self.others.reserved, "something stays reserved: {told:?}");
    }
}

fn run(papers: &Papers, seen: &mut Seen, story: Story, wrong: Option<(usize, Mode)>) -> usize {
    let before = story.issued_before;
    let mut run = Run {
        papers,
        seen,
        story,
        others: Others {
            refuse_reserve: story.tendered_before || story.refused_first,
            refuse_sale: story.sale_refused_first,
            issued: before,
            tender: story.tendered_before,
            paid: before,
            ..Others::default()
        },
        vend: new_vend(),
        now: NOW,
        outbox: BTreeMap::new(),
        performed: 0,
        wrong,
        late: None,
    };
    run.go_to_the_end();
    if story.refused_first {
        run.others.refuse_reserve = false;
        run.go_to_the_end();
    }
    run.check();
    assert!(!story.not_taken_first || run.others.told_not_taken || run.vend.token().is_none());
    run.performed
}

#[test]
fn whatever_goes_wrong_with_an_effect_the_vend_ends_clean() {
    let papers = Papers {
        payment: payment(|_| {}),
        issued: issued(|_| {}),
        settlement: settlement(|_| {}),
        order: order(|_| {}),
        money_back: money_back(|_| {}),
    };
    let mut seen = Seen::default();
    for story in STORIES {
        let effects = run(&papers, &mut seen, story, None);
        for at in 0..effects {
            for mode in MODES {
                run(&papers, &mut seen, story, Some((at, mode)));
            }
        }
    }
    let pending: Vec<String> = EFFECTS
        .iter()
        .map(|kind| {
            let of_kind = seen.pending.iter().filter(|(known, _)| known == kind);
            let states: Vec<VendState> = of_kind.map(|(_, state)| *state).collect();
            format!("{kind} {states:?}")
        })
        .collect();
    assert_eq!(pending, PENDING);
    for (kind, state) in seen.pending {
        for mode in MODES {
            let went_wrong = seen.wrong.contains(&(kind, state, mode));
            assert!(went_wrong, "{kind} in {state:?}: never {mode:?}");
        }
    }
    let all: BTreeSet<&str> = EVENTS.iter().copied().collect();
    let missed: Vec<&str> = all.difference(&seen.events).copied().collect();
    assert_eq!(missed, ["PaymentContradicted"], "no effect brings it");
}
