//! The payment server, and provider and cloud as it asks them.

use std::collections::BTreeMap;
use std::sync::Arc;

use gas_api::pay::{TenderEvent, Way};
use gas_http::{BoxError, Clock, Waker};
use gas_ledger::Account;
use gas_pay::{CloudPeer, Desk, Dispatch, Parts, Provider};
use gas_phone::Trust;
use gas_statement::SigningKey;
use gas_store::pay::PayStore;
use gas_tender::{CloseOutcome, Event, QueryAnswer, Refund, RefundAnswer, Tender, Words};

use crate::executor::{Job, Target, Wire, finish};
use crate::net::{Ask, CloudAsk, Failure, PayAsk, ProviderAsk, Told};
use crate::serve::Lane;
use crate::server::{Ended, Keys, Program, Stores, Time, Truth};
use crate::servers::disk::Disk;
use crate::servers::{answer, unfit};

/// The payment server.
pub(crate) struct PayProgram {
    disk: Disk<PayStore>,
    key: SigningKey,
    trust: Trust,
    clock: Clock,
    wire: Wire,
    running: Option<Running>,
}

struct Running {
    desk: Desk,
    outbox: Arc<Dispatch>,
}

impl PayProgram {
    pub(crate) fn new(
        utility: usize,
        keys: &Keys,
        stores: &Stores,
        time: &Time,
        wire: Wire,
    ) -> Result<Self, String> {
        let disk = Disk::new(utility, stores, wire.gate())?;
        Ok(Self {
            disk,
            key: SigningKey::from_bytes(&keys.pay).sharing(&keys.trust.pay),
            trust: keys.trust.clone(),
            clock: time.clock(),
            wire,
            running: None,
        })
    }
}

impl Program for PayProgram {
    fn start(&mut self) {
        let desk = Desk::new(Parts {
            store: self.disk.store.clone(),
            provider: Arc::new(Wired(self.wire.clone())),
            cloud: Arc::new(Wired(self.wire.clone())),
            company_key: self.trust.company.clone(),
            key: self.key.clone(),
            clock: self.clock.clone(),
            waker: Waker::new(),
        });
        let outbox = Arc::new(Dispatch::new(desk.clone()));
        self.running = Some(Running { desk, outbox });
    }

    fn crash(&mut self) {
        self.running = None;
    }

    fn is_up(&self) -> bool {
        self.running.is_some()
    }

    fn answers(&self, ask: Ask) -> Option<Job<Ended>> {
        let desk = self.running.as_ref()?.desk.clone();
        let Ask::Pay(ask) = ask else {
            return None;
        };
        Some(Box::pin(async move {
            let told = match ask {
                PayAsk::Open(vend, wanted) => desk.open(vend, wanted).await.map(tender),
                PayAsk::Show(vend, false) => desk.show(vend).await.map(tender),
                PayAsk::Show(vend, true) => desk.ask_provider(vend).await.map(tender),
                PayAsk::Notified { order_no, event_id } => {
                    let taken = desk.notified(&order_no, &event_id, None).await;
                    taken.map(|()| Told::Done)
                }
                PayAsk::RefundNotified {
                    number,
                    order_no,
                    event_id,
                } => {
                    let taken = desk.refund_notified(&number, &order_no, &event_id).await;
                    taken.map(|()| Told::Done)
                }
                PayAsk::Refund(refund, wanted) => {
                    let refund = desk.refund(refund, *wanted).await;
                    refund.map(|refund| Told::MoneyBack(Box::new(refund)))
                }
                PayAsk::BeginEpoch(meter, epoch) => {
                    desk.begin_epoch(meter, epoch).await.map(Told::Epoch)
                }
                PayAsk::Payments(meter) => {
                    let payments = desk.meter_payments(meter).await;
                    payments.map(|payments| Told::Payments(Box::new(payments)))
                }
            };
            Ended::Answer(told)
        }))
    }

    fn lanes(&self) -> usize {
        1
    }

    fn lane(&self, _: usize) -> Option<&dyn Lane> {
        Some(&self.running.as_ref()?.outbox)
    }

    fn fail_writes(&self, fail: bool) {
        self.disk.store.fail_writes(fail);
    }

    fn back_up(&mut self) -> Result<(), String> {
        self.disk.back_up()
    }

    fn put_back(&mut self) -> Result<bool, String> {
        self.disk.put_back()
    }

    /// The book holds exactly what the provider was paid: each payment once, and both sides alike.
    fn audit(&self, truth: &Truth<'_>) -> Vec<String> {
        let transfers = match finish(self.disk.store.transfers()) {
            Ok(transfers) => transfers,
            Err(error) => return vec![format!("the ledger cannot be read: {error}")],
        };
        let mut wrong = Vec::new();
        let (mut posted, mut back) = (BTreeMap::new(), BTreeMap::new());
        let mut sums: BTreeMap<String, i64> = BTreeMap::new();
        for transfer in &transfers {
            let amount = transfer.amount().fen();
            *sums.entry(format!("{:?}", transfer.debit())).or_default() += amount;
            *sums.entry(format!("{:?}", transfer.credit())).or_default() -= amount;
            if let Account::ProviderClearing(_) = transfer.credit()
                && back.insert(transfer.vend_id(), transfer.amount()).is_some()
            {
                wrong.push(format!(
                    "vend {} went back twice in the ledger",
                    transfer.vend_id()
                ));
            }
            if let Account::ProviderClearing(_) = transfer.debit()
                && posted
                    .insert(transfer.vend_id(), transfer.amount())
                    .is_some()
            {
                wrong.push(format!(
                    "vend {} is in the ledger twice",
                    transfer.vend_id()
                ));
            }
        }
        if sums.values().sum::<i64>() != 0 {
            wrong.push(format!("the ledger does not sum to zero: {sums:?}"));
        }
        for (vend, amount) in truth.returned {
            let booked = back.remove(vend);
            if booked != Some(*amount) && !(booked.is_none() && truth.lost.contains(vend)) {
                wrong.push(format!("vend {vend}, given back, is not so in the ledger"));
            }
        }
        for vend in back.keys() {
            wrong.push(format!("vend {vend} went back in the ledger only"));
        }
        for (vend, amount) in truth.paid {
            let booked = posted.remove(vend);
            if booked != Some(*amount) && !(booked.is_none() && truth.lost.contains(vend)) {
                wrong.push(format!("vend {vend}, paid {amount}, is not in the ledger"));
            }
        }
        for vend in posted.keys() {
            wrong.push(format!("vend {vend} is in the ledger, but nobody paid"));
        }
        wrong
    }
}

fn tender(tender: gas_api::pay::Tender) -> Told {
    Told::Tender(Box::new(tender))
}

/// Provider and cloud, by wire.
struct Wired(Wire);

impl Wired {
    fn ask(&self, ask: ProviderAsk) -> Job<Result<Told, BoxError>> {
        let call = self.0.ask(Target::Provider, Ask::Provider(ask));
        Box::pin(async move {
            call.await.map_err(|failure| match failure {
                Failure::Problem(problem) => problem.detail.into(),
                Failure::Silence => BoxError::from("the provider gave no answer"),
            })
        })
    }
}

impl Wired {
    fn refunding(&self, ask: ProviderAsk) -> gas_pay::Answer<'_, RefundAnswer> {
        let told = self.ask(ask);
        Box::pin(async move {
            if let Told::Refunding(answer) = told.await? {
                Ok(answer)
            } else {
                Err("an answer of another kind".into())
            }
        })
    }
}

impl Provider for Wired {
    fn prepay<'a>(&'a self, tender: &'a Tender) -> gas_pay::Answer<'a, Event> {
        let told = self.ask(ProviderAsk::Prepay {
            order_no: tender.order_no().to_owned(),
            amount_fen: tender.amount().fen(),
            expires_at: tender.expires_at(),
            way: tender.words().map_or_else(Way::default, |words| words.way),
        });
        Box::pin(async move {
            if let Told::Prepaid(event) = told.await? {
                Ok(event)
            } else {
                Err("an answer of another kind".into())
            }
        })
    }

    fn query<'a>(&'a self, tender: &'a Tender) -> gas_pay::Answer<'a, QueryAnswer> {
        let told = self.ask(ProviderAsk::Query(tender.order_no().to_owned()));
        Box::pin(async move {
            if let Told::Queried(answer) = told.await? {
                Ok(answer)
            } else {
                Err("an answer of another kind".into())
            }
        })
    }

    fn close<'a>(&'a self, tender: &'a Tender) -> gas_pay::Answer<'a, CloseOutcome> {
        let told = self.ask(ProviderAsk::Close(tender.order_no().to_owned()));
        Box::pin(async move {
            if let Told::Closed(outcome) = told.await? {
                Ok(outcome)
            } else {
                Err("an answer of another kind".into())
            }
        })
    }

    fn refund<'a>(&'a self, refund: &'a Refund) -> gas_pay::Answer<'a, RefundAnswer> {
        self.refunding(ProviderAsk::Refund {
            number: refund.number(),
            order_no: refund.order_no().to_owned(),
        })
    }

    fn query_refund<'a>(&'a self, refund: &'a Refund) -> gas_pay::Answer<'a, RefundAnswer> {
        self.refunding(ProviderAsk::QueryRefund(refund.number()))
    }

    fn words(&self, way: Way) -> Option<Words> {
        Some(Words {
            description: String::new(),
            notify_url: String::new(),
            way,
        })
    }

    fn cashier_link(&self, _: &str) -> Option<String> {
        None
    }
}

impl CloudPeer for Wired {
    fn tell<'a>(&'a self, _: &'a str, event: &'a TenderEvent) -> gas_pay::Answer<'a, ()> {
        let ask = Ask::Cloud(CloudAsk::TenderEvent(Box::new(event.clone())));
        let call = self.0.ask(Target::Cloud, ask);
        Box::pin(async move {
            if let Told::Done = answer("cloud", call.await)? {
                Ok(())
            } else {
                Err(unfit("cloud").into())
            }
        })
    }
}
