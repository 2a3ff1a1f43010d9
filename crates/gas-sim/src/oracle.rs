//! What must hold, computed slowly and obviously from the truth: what the provider was paid, what the meters
//! show, what the household burnt. Nothing here asks the code under test what is right.

use std::collections::{BTreeMap, BTreeSet};

use gas_api::cloud::{Vend, VendState};
use gas_statement::{Quote, Signed};
use gas_token::{Tagged, Total};
use gas_units::{Money, Unit, VendId, Volume};

use crate::replacing::Replacing;
use crate::server::Truth;
use crate::world::World;

/// What a meter of money takes as it comes from the factory: from and to what use since the start of the
/// year, 0.01 m³, and at how many fen per m³.
const TIERS: [(u32, u32, i64); 3] = [
    (0, 35_000, 261),
    (35_000, 50_000, 283),
    (50_000, u32::MAX, 423),
];

/// The truth about one vend.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VendTruth {
    /// The home whose meter it is for.
    pub(crate) home: usize,
    /// Its payer agrees, pays and says so.
    pub(crate) sure: bool,
    /// What was quoted: credit in the meter's unit, and price.
    pub(crate) quoted: Option<(u32, Money)>,
    /// When the payer decided to pay, if so.
    pub(crate) pays_at: Option<u64>,
    /// When money moved.
    pub(crate) paid_at: Option<u64>,
    /// When a phone first had the proof that it is settled.
    pub(crate) accepted_at: Option<u64>,
    /// Somebody wants it taken back.
    pub(crate) refund_asked: bool,
    /// When its money went back.
    pub(crate) returned_at: Option<u64>,
    /// The furthest state that a phone was shown.
    pub(crate) state: Option<VendState>,
    /// Its token, once shown.
    pub(crate) token: Option<(u32, u32)>,
}

/// The truth about one meter.
#[derive(Clone, Debug)]
pub(crate) struct MeterTruth {
    pub(crate) unit: Unit,
    /// Credit and register from the factory.
    pub(crate) start_balance: i32,
    pub(crate) start_register: Volume,
    /// Price at which the company sells, in 0.01 fen for 0.01 m³, one tier only.
    pub(crate) price: u32,
    /// Credit of everything that was paid for this meter.
    pub(crate) paid: u64,
    /// Credit of everything whose money went back.
    pub(crate) returned: u64,
    /// A sale to it was to be taken back.
    pub(crate) refund_asked: bool,
    /// What it has shown at any time: sequence, total, balance, register.
    pub(crate) shown: BTreeSet<(u32, u32, i32, u32)>,
    pub(crate) last: Option<(u32, u32, i32, u32)>,
}

impl MeterTruth {
    pub(crate) fn new(unit: Unit, balance: i32, register: Volume, price: u32) -> Self {
        Self {
            unit,
            start_balance: balance,
            start_register: register,
            price,
            paid: 0,
            returned: 0,
            refund_asked: false,
            shown: BTreeSet::new(),
            last: None,
        }
    }

    /// The credit that was paid for and not given back: the most that it may ever hold.
    pub(crate) const fn due(&self) -> u64 {
        self.paid.saturating_sub(self.returned)
    }

    /// What so much gas takes from the balance.
    fn cost(&self, burnt: u32) -> i64 {
        match self.unit {
            Unit::CentiCubicMetre => i64::from(burnt),
            // The meter takes whole fen as soon as they are owed.
            Unit::Fen => {
                let tier = |(from, to, price): (u32, u32, i64)| {
                    i64::from(burnt.clamp(from, to) - from) * price
                };
                TIERS.map(tier).iter().sum::<i64>() / 100
            }
        }
    }
}

impl World {
    /// Whether another meter is to stand in this one's place, or does.
    fn is_replaced(&self, home: usize) -> bool {
        self.replacing.iter().any(|one| one.old == home)
    }

    /// What is wrong with what a dead meter's successor got of it: all that was bought and not burnt, as far as
    /// the company could know, and never more than was bought.
    fn wrong_with_inheritance(&self, one: &Replacing) -> Option<String> {
        let (old, new) = (&self.meters[one.old], &self.meters[one.new]);
        let (_, total, balance, _) = old.last.unwrap_or_default();
        let total_of_new = new.last.map_or(0, |(_, total, _, _)| u64::from(total));
        let due = i64::try_from(old.due()).unwrap_or(i64::MAX);
        let left = (i64::from(balance) + due - i64::from(total)).clamp(0, due);
        let got = i64::try_from(total_of_new).unwrap_or(i64::MAX)
            - i64::try_from(new.due()).unwrap_or(i64::MAX);
        (got < left || got > due).then(|| {
            format!(
                "meter {} is dead, {left} of {due} were left on it or under way, and meter {} got {got}",
                one.old, one.new
            )
        })
    }

    /// What was paid for and not given back at a meter and at the one that it replaces or that replaces it;
    /// and what is on the other one. Credit moves between the two, and is never on both.
    fn due_with_partner(&self, home: usize) -> (u64, u64) {
        let own = self.meters[home].due();
        let Some(one) = self.replacing_of(home) else {
            return (own, 0);
        };
        let partner = if one.old == home { one.new } else { one.old };
        let partner = &self.meters[partner];
        let total = partner.last.map_or(0, |(_, total, _, _)| u64::from(total));
        match (one.dead, one.old == home) {
            (false, _) => (own + partner.due(), total),
            // A dead meter shows for ever what it had; what the other one may have at most is what was bought.
            (true, true) => (own, 0),
            (true, false) => (own + partner.due(), 0),
        }
    }

    /// Whether this vend's money may go back though nobody asked: its meter was replaced before the company
    /// heard of the payment, and no token of it was ever shown.
    fn came_too_late(&self, home: usize, token: Option<(u32, u32)>) -> bool {
        token.is_none() && self.is_replaced(home)
    }

    /// Looks at a meter, after anything that happened to it.
    pub(crate) fn watch_meter(&mut self, home: usize) {
        let Some(view) = self.homes[home].meter.view() else {
            return;
        };
        let replaced = self.is_replaced(home);
        let (due, elsewhere) = self.due_with_partner(home);
        let truth = &mut self.meters[home];
        let register = view.register_centi_m3.centi_m3();
        let now = (view.last_seq, view.total, view.balance, register);
        if truth.last == Some(now) {
            return;
        }
        let before = truth.last.replace(now);
        truth.shown.insert(now);
        let mut wrong = Vec::new();
        let burnt = register.saturating_sub(truth.start_register.centi_m3());
        let balance = i64::from(truth.start_balance) + i64::from(view.total) - truth.cost(burnt);
        if i64::from(view.balance) != balance {
            wrong.push(format!(
                "the balance is {}, but credit less gas burnt is {balance}",
                view.balance
            ));
        }
        if u64::from(view.total) + elsewhere > due {
            wrong.push(format!(
                "it was credited {}, and {elsewhere} are on the meter that it replaces or that replaces it, \
                 but only {due} were paid for and not given back",
                view.total
            ));
        }
        if let Some((seq, total, _, register_before)) = before {
            let less = view.total < total && !truth.refund_asked && !replaced;
            if view.last_seq < seq || less {
                wrong.push(format!(
                    "sequence or total went back: {seq}, {total} to {}, {}",
                    view.last_seq, view.total
                ));
            }
            if view.last_seq == seq && view.total != total {
                wrong.push(format!("the total changed without a token, from {total}"));
            }
            // What was burnt since the last snapshot may be lost with the power, never more.
            if register + 100 < register_before {
                wrong.push(format!("the register went back from {register_before}"));
            }
        }
        self.sim.line(|| {
            format!(
                "meter {home}: sequence {:08x}, total {}, balance {}, register {register}",
                view.last_seq, view.total, view.balance
            )
        });
        for wrong in wrong {
            self.violated(format!("meter {home}: {wrong}"));
        }
    }

    /// Looks at a vend as the cloud shows it to a phone.
    pub(crate) fn watch_vend(&mut self, vend: &Vend) {
        let mut wrong = Vec::new();
        let id = vend.vend_id;
        let Some(truth) = self.vends.get(&id) else {
            self.violated(format!("the cloud shows vend {id}, which nobody began"));
            return;
        };
        let too_late = self.came_too_late(truth.home, truth.token);
        let Some(truth) = self.vends.get_mut(&id) else {
            return;
        };
        if truth.state != Some(vend.state) {
            truth.state = Some(vend.state);
            self.sim
                .trace
                .line(self.sim.now, || format!("vend {id}: {:?}", vend.state));
        }
        if truth.quoted.is_none() {
            let utility = &self.utilities[self.homes[truth.home].utility];
            match Signed::<Quote>::verify(&vend.quote.0, &utility.trust.company) {
                Ok(quote) => {
                    let quote = quote.statement();
                    truth.quoted = u32::try_from(quote.credit())
                        .ok()
                        .map(|credit| (credit, quote.payable()));
                    let meter = &self.meters[truth.home];
                    if let Err(why) = check_quote(quote, meter) {
                        wrong.push(why);
                    }
                }
                Err(error) => wrong.push(format!("its quote is not genuine: {error}")),
            }
        }
        if vend.payment.is_some() && truth.paid_at.is_none() {
            wrong.push("is said to be paid, but no money has moved".to_owned());
        }
        if let Some(token) = &vend.token {
            match Tagged::<Total>::parse(&token.0) {
                Ok(token) => {
                    truth.token = Some((token.message.seq.bits(), token.message.total));
                    if truth.paid_at.is_none() {
                        wrong.push("has a token, but no money has moved".to_owned());
                    }
                }
                Err(error) => wrong.push(format!("its token cannot be read: {error}")),
            }
        }
        if vend.refund_order.is_some() && !truth.refund_asked && !too_late {
            wrong.push("is taken back, but nobody asked for it".to_owned());
        }
        if vend.refunded.is_some() && truth.returned_at.is_none() {
            wrong.push("is said to be refunded, but no money went back".to_owned());
        }
        if vend.state == VendState::Accepted {
            let (seq, total) = truth.token.unwrap_or((u32::MAX, u32::MAX));
            let on_meter = self.meters[truth.home].last.unwrap_or_default();
            let inherited = (self.replacing.iter())
                .find(|one| one.dead && one.old == truth.home)
                .is_some_and(|one| self.meters[one.new].last.unwrap_or_default().0 > 0);
            if (on_meter.0, on_meter.1) < (seq, total) && !inherited {
                wrong.push(format!(
                    "is accepted as token {seq:08x}, but its meter has taken {:08x} only",
                    on_meter.0
                ));
            }
        }
        for wrong in wrong {
            self.violated(format!("vend {id} {wrong}"));
        }
    }

    /// A phone has the proof that a vend is settled.
    pub(crate) fn vend_accepted(&mut self, vend: VendId) {
        let now = self.sim.now;
        let Some(truth) = self.vends.get_mut(&vend) else {
            return;
        };
        truth.accepted_at.get_or_insert(now);
        if truth.paid_at.is_none() {
            self.violated(format!("vend {vend} is accepted, but nobody paid"));
        }
    }

    /// Money has moved at the provider.
    pub(crate) fn money_moved(&mut self, vend: VendId) {
        let now = self.sim.now;
        let Some(truth) = self.vends.get_mut(&vend) else {
            self.violated(format!("money moved for vend {vend}, which nobody began"));
            return;
        };
        if truth.paid_at.replace(now).is_some() {
            self.violated(format!("money moved twice for vend {vend}"));
            return;
        }
        let home = truth.home;
        match truth.quoted {
            Some((credit, _)) => self.meters[home].paid += u64::from(credit),
            None => self.violated(format!("vend {vend} was paid before anybody saw its quote")),
        }
    }

    /// Money has gone back at the provider.
    pub(crate) fn money_back(&mut self, vend: VendId) {
        let now = self.sim.now;
        self.sim
            .line(|| format!("vend {vend}: its money went back"));
        let Some(truth) = self.vends.get(&vend) else {
            self.violated(format!(
                "money went back for vend {vend}, which nobody began"
            ));
            return;
        };
        let too_late = self.came_too_late(truth.home, truth.token);
        let Some(truth) = self.vends.get_mut(&vend) else {
            return;
        };
        let mut wrong = Vec::new();
        if truth.paid_at.is_none() {
            wrong.push("money went back that nobody paid".to_owned());
        }
        if !truth.refund_asked && !too_late {
            wrong.push("its money went back, but nobody asked for it".to_owned());
        }
        if truth.returned_at.replace(now).is_some() {
            wrong.push("its money went back twice".to_owned());
        }
        let home = truth.home;
        let meter = &mut self.meters[home];
        meter.returned += truth.quoted.map_or(0, |(credit, _)| u64::from(credit));
        let total = meter.last.map_or(0, |(_, total, _, _)| u64::from(total));
        let (due, elsewhere) = self.due_with_partner(home);
        if total + elsewhere > due {
            wrong.push(format!(
                "its money went back, but its meter holds {total}, its successor {elsewhere}, and {due} are \
                 left"
            ));
        }
        for wrong in wrong {
            self.violated(format!("vend {vend}: {wrong}"));
        }
    }

    /// Whether the payer of a vend has paid or means to.
    pub(crate) fn pays_or_paid(&self, vend: VendId) -> bool {
        self.vends
            .get(&vend)
            .is_some_and(|truth| truth.pays_at.is_some() || truth.paid_at.is_some())
    }

    /// Vends whose money moved while the payment server wrote what was lost with its disk later.
    fn lost_by(&self, pay: usize) -> BTreeSet<VendId> {
        let lost = &self.servers[pay].lost;
        let within = |at: Option<u64>| {
            at.is_some_and(|at| lost.iter().any(|(from, to)| (*from..=*to).contains(&at)))
        };
        self.vends
            .iter()
            .filter(|(_, vend)| within(vend.paid_at) || within(vend.returned_at))
            .map(|(id, _)| *id)
            .collect()
    }

    /// What is not as it must be once everything has come to rest; empty when all is well.
    pub(crate) fn at_rest(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (id, truth) in &self.vends {
            let ended = truth.accepted_at.is_some() || truth.returned_at.is_some();
            if truth.paid_at.is_some() && !ended {
                wrong.push(format!(
                    "vend {id} was paid at {} and is stuck, last shown as {:?}",
                    crate::trace::Clock(truth.paid_at.unwrap_or_default()),
                    truth.state
                ));
            }
        }
        wrong.extend(self.given_up());
        for (home, truth) in self.meters.iter().enumerate() {
            let total = truth.last.map_or(0, |(_, total, _, _)| u64::from(total));
            if self.replacing_of(home).is_some_and(|one| one.dead) {
                continue;
            }
            let (due, elsewhere) = self.due_with_partner(home);
            if total + elsewhere != due {
                wrong.push(format!(
                    "meter {home} was credited {total} (and {elsewhere} are on the other one), but {} were \
                     paid for and {} given back, {due} are due in all",
                    truth.paid, truth.returned
                ));
            }
        }
        let dead = self.replacing.iter().filter(|one| one.dead);
        wrong.extend(dead.filter_map(|one| self.wrong_with_inheritance(one)));
        for one in self.replacing.iter().filter(|one| !one.carried) {
            wrong.push(format!(
                "meter {} was to be replaced by {}, and its credit is still on the way",
                one.old, one.new
            ));
        }
        for (place, utility) in self.utilities.iter().enumerate() {
            let paid: BTreeMap<VendId, Money> = utility.provider.paid().collect();
            let returned: BTreeMap<VendId, Money> = utility.provider.returned().collect();
            let lost = self.lost_by(utility.pay);
            let meters = self
                .homes
                .iter()
                .zip(&self.meters)
                .filter(|(home, _)| home.utility == place)
                .map(|(home, meter)| (home.number, meter))
                .collect();
            let number = |home: usize| self.homes[home].number;
            let pairs = (self.replacing.iter())
                .map(|one| (number(one.new), number(one.old)))
                .collect();
            let truth = Truth {
                successors: &pairs,
                paid: &paid,
                returned: &returned,
                lost: &lost,
                desk: &self.desk,
                meters: &meters,
            };
            let servers = self
                .servers
                .iter()
                .filter(|server| server.utility() == place);
            for why in servers.flat_map(|server| server.program.audit(&truth)) {
                wrong.push(format!("utility {place}: {why}"));
            }
        }
        wrong
    }

    /// Phones that call a vend over, without gas or money back, though it was paid: who looks at one must see it.
    fn given_up(&self) -> impl Iterator<Item = String> {
        let over = [Some(VendState::Accepted), Some(VendState::Refunded)];
        let paid = |id| {
            self.vends
                .get(id)
                .is_some_and(|truth| truth.paid_at.is_some())
        };
        self.phones
            .iter()
            .enumerate()
            .flat_map(move |(place, phone)| {
                let saved = phone.saved.iter();
                let given_up = saved.filter(move |(id, top_up)| {
                    let state = top_up.vend().map(|vend| vend.state);
                    paid(id) && !top_up.is_open() && !over.contains(&state)
                });
                given_up.map(move |(id, _)| {
                    format!("phone {place} has given up vend {id}, which was paid")
                })
            })
    }
}

/// A quote, computed again in the obvious way: one price, no arrears.
fn check_quote(quote: &Quote, meter: &MeterTruth) -> Result<(), String> {
    let payable = quote.payable().fen();
    let credit = i64::from(quote.credit());
    let price = i64::from(meter.price);
    let right = match meter.unit {
        // What is paid is what is credited.
        Unit::Fen => payable == credit,
        // Rounded up to whole fen.
        Unit::CentiCubicMetre => payable == (credit * price + 99) / 100,
    };
    if right && credit > 0 {
        Ok(())
    } else {
        Err(format!(
            "credits {credit} for {payable} fen at {price} fen per m³"
        ))
    }
}
