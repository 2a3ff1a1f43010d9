//! The gas company's server.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use gas_api::pay::{self, RefundWanted};
use gas_company::{Company, Dispatch, KeyStore, Mark, NewMeter, PayPeer, Provisioned};
use gas_http::{Clock, Entropy};
use gas_phone::Trust;
use gas_statement::SigningKey;
use gas_store::company::{CompanyStore, RefundState};
use gas_token_issue::MasterKey;
use gas_units::{MeterNumber, RefundId};

use crate::executor::{Job, Target, Wire, finish};
use crate::net::{Ask, CompanyAsk, PayAsk, Told};
use crate::rng::Rng;
use crate::serve::Lane;
use crate::server::{Ended, Keys, Program, Stores, Time, Truth};
use crate::servers::disk::Disk;
use crate::servers::{answer, unfit};

/// The gas company's server.
pub(crate) struct CompanyProgram {
    disk: Disk<CompanyStore>,
    master: [u8; 16],
    key: SigningKey,
    trust: Trust,
    clock: Clock,
    entropy: Entropy,
    wire: Wire,
    /// Lies outside of the disk that may be put back to a backup.
    mark: Mark,
    running: Option<Running>,
}

struct Running {
    company: Company,
    outbox: Arc<Dispatch>,
}

impl CompanyProgram {
    pub(crate) fn new(
        utility: usize,
        keys: &Keys,
        stores: &Stores,
        time: &Time,
        wire: Wire,
        rng: &mut Rng,
    ) -> Result<Self, String> {
        let disk = Disk::new(utility, stores, wire.gate())?;
        let nonces = Mutex::new(rng.fork());
        Ok(Self {
            disk,
            master: keys.master,
            key: SigningKey::from_bytes(&keys.company).sharing(&keys.trust.company),
            trust: keys.trust.clone(),
            clock: time.clock(),
            entropy: Entropy::new(move |bytes| {
                let mut rng = nonces.lock().unwrap_or_else(PoisonError::into_inner);
                rng.fill(bytes);
                Ok(())
            }),
            wire,
            mark: Mark::in_memory(),
            running: None,
        })
    }
}

impl Program for CompanyProgram {
    fn start(&mut self) {
        let company = Company::new(
            self.disk.store.clone(),
            self.mark.clone(),
            KeyStore::new(MasterKey::from_bytes(self.master)),
            self.key.clone(),
            self.trust.pay.clone(),
            self.clock.clone(),
            self.entropy.clone(),
        );
        let pay = Arc::new(Wired(self.wire.clone()));
        let outbox = Arc::new(Dispatch::new(company.clone(), pay));
        self.running = Some(Running { company, outbox });
    }

    fn crash(&mut self) {
        self.running = None;
    }

    fn is_up(&self) -> bool {
        self.running.is_some()
    }

    fn answers(&self, ask: Ask) -> Option<Job<Ended>> {
        let company = self.running.as_ref()?.company.clone();
        let Ask::Company(ask) = ask else {
            return None;
        };
        Some(Box::pin(async move {
            Ended::Answer(match ask {
                CompanyAsk::Nonces(wanted) => company.nonces(wanted).await.map(Told::Nonces),
                CompanyAsk::State(reported) => {
                    company.report_state(reported).await.map(Told::State)
                }
                CompanyAsk::Quote(vend, wanted) => {
                    company.quote(vend, wanted).await.map(Told::Quote)
                }
                CompanyAsk::Reserve(vend, wanted) => {
                    company.reserve(vend, wanted).await.map(Told::Reserved)
                }
                CompanyAsk::Release(vend) => company.release(vend).await.map(|()| Told::Done),
                CompanyAsk::Sell(vend, wanted) => {
                    let sale = company.sell(vend, wanted).await;
                    sale.map(|sale| Told::Sale(Box::new(sale)))
                }
                CompanyAsk::Sale(vend) => {
                    let sale = company.sale(vend).await;
                    sale.map(|sale| Told::Sale(Box::new(sale)))
                }
                CompanyAsk::Records(reported) => company.records(reported).await.map(Told::Records),
                CompanyAsk::Receipt(vend, reported) => {
                    let believed = company.receipt(vend, reported).await;
                    believed.map(|believed| Told::Receipt(Box::new(believed)))
                }
                CompanyAsk::TokenReceipt(meter, seq, reported) => {
                    let believed = company.token_receipt(meter, seq, reported).await;
                    believed.map(Told::State)
                }
                CompanyAsk::Refund(refund, wanted) => {
                    let refund = company.ask_refund(refund, wanted).await;
                    refund.map(|refund| Told::Refund(Box::new(refund)))
                }
                CompanyAsk::Replace(replacement, wanted) => {
                    let stands = company.ask_replacement(replacement, wanted).await;
                    stands.map(|stands| Told::Replacement(Box::new(stands)))
                }
                CompanyAsk::ChangeKey(meter, wanted) => {
                    let key = company.change_key(meter, wanted).await;
                    key.map(|_| Told::KeyOnItsWay)
                }
            })
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

    fn mend(&self) -> Option<Job<Ended>> {
        let company = self.running.as_ref()?.company.clone();
        let pay = Wired(self.wire.clone());
        Some(Box::pin(async move {
            let restored = company.restore(None, &pay).await;
            Ended::Mended(restored.map(|_| ()).map_err(|error| error.to_string()))
        }))
    }

    fn audit(&self, truth: &Truth<'_>) -> Vec<String> {
        let mut wrong = Vec::new();
        for (vend, noted) in truth.desk.iter().filter(|(_, noted)| noted.stands) {
            let refund = match finish(self.disk.store.refund(noted.refund)) {
                Ok(Some(refund)) => refund,
                // Another utility's; or forgotten with a disk, and the sale stands.
                Ok(None) => continue,
                Err(error) => {
                    wrong.push(format!("the refund of vend {vend}: {error}"));
                    continue;
                }
            };
            let returned = truth.returned.contains_key(vend);
            let fits = match refund.state {
                RefundState::Refunded => returned,
                RefundState::Closed => !returned,
                RefundState::Open | RefundState::Reversed | RefundState::MoneyDue => false,
            };
            if !fits {
                wrong.push(format!(
                    "the refund of vend {vend} is {:?}; its money went back: {returned}",
                    refund.state
                ));
            }
        }
        let replaced: BTreeSet<_> = truth.successors.values().collect();
        for (number, meter) in truth.meters {
            let book = match finish(self.disk.store.meter(*number)) {
                Ok(Some(book)) => book,
                Ok(None) => {
                    wrong.push(format!("the company has no book of meter {number}"));
                    continue;
                }
                Err(error) => {
                    wrong.push(format!("the book of meter {number}: {error}"));
                    continue;
                }
            };
            if book.frozen {
                wrong.push(format!(
                    "meter {number} is frozen, though all of it is honest"
                ));
            }
            let old = truth.successors.get(number);
            let old = old.and_then(|old| {
                let book = finish(self.disk.store.meter(*old)).ok().flatten()?;
                Some((u64::from(book.total), truth.meters.get(old)?.due()))
            });
            let (on_old, due_of_old) = old.unwrap_or_default();
            let (sold, due) = (u64::from(book.total) + on_old, meter.due() + due_of_old);
            // A replaced meter is counted with the one in its place.
            if sold != due && !replaced.contains(number) {
                wrong.push(format!(
                    "the company has sold {sold} to meter {number} (and the one that it replaced); {due} \
                     were paid for and kept"
                ));
            }
            if let Some(believed) = book.believed {
                let state = believed.state;
                let shown = (
                    state.last_seq.bits(),
                    state.total,
                    state.balance,
                    state.volume.centi_m3(),
                );
                if !meter.shown.contains(&shown) {
                    wrong.push(format!(
                        "the company believes {shown:?} of meter {number}, which it never showed"
                    ));
                }
            }
        }
        wrong
    }

    fn provision(&self, new: NewMeter) -> Option<Result<Provisioned, String>> {
        let company = &self.running.as_ref()?.company;
        Some(finish(company.provision(new)).map_err(|error| error.to_string()))
    }
}

/// The payment server, by wire.
struct Wired(Wire);

impl Wired {
    fn ask<T: 'static>(
        &self,
        ask: PayAsk,
        take: impl FnOnce(Told) -> Option<T> + Send + 'static,
    ) -> gas_company::Answer<'_, T> {
        let call = self.0.ask(Target::Pay, Ask::Pay(ask));
        Box::pin(
            async move { take(answer("payment", call.await)?).ok_or_else(|| unfit("payment")) },
        )
    }
}

impl PayPeer for Wired {
    fn refund(
        &self,
        refund_id: RefundId,
        wanted: RefundWanted,
    ) -> gas_company::Answer<'_, pay::Refund> {
        self.ask(
            PayAsk::Refund(refund_id, Box::new(wanted)),
            only!(*MoneyBack),
        )
    }

    fn begin_epoch(
        &self,
        meter: MeterNumber,
        epoch: u8,
    ) -> gas_company::Answer<'_, pay::MeterEpoch> {
        self.ask(PayAsk::BeginEpoch(meter, epoch), only!(Epoch))
    }

    fn payments(&self, meter: MeterNumber) -> gas_company::Answer<'_, pay::MeterPayments> {
        self.ask(PayAsk::Payments(meter), only!(*Payments))
    }
}
