//! The gas company's server.

use std::sync::{Mutex, PoisonError};

use gas_company::{Company, KeyStore, NewMeter, Provisioned};
use gas_http::{Clock, Entropy};
use gas_statement::{SigningKey, VerifyingKey};
use gas_store::company::CompanyStore;
use gas_token_issue::MasterKey;

use crate::executor::{Job, finish};
use crate::net::{Ask, CompanyAsk, Told};
use crate::rng::Rng;
use crate::server::{Ended, Keys, Program, Stores, Time, Truth};

/// The gas company's server.
pub(crate) struct CompanyProgram {
    store: CompanyStore,
    master: [u8; 16],
    statement_key: [u8; 32],
    pay_key: VerifyingKey,
    clock: Clock,
    entropy: Entropy,
    running: Option<Company>,
}

impl CompanyProgram {
    pub(crate) fn new(
        utility: usize,
        keys: &Keys,
        stores: &Stores,
        time: &Time,
        rng: &mut Rng,
    ) -> Result<Self, String> {
        let store = match stores {
            Stores::Memory => CompanyStore::in_memory(),
            Stores::Sqlite(folder) => {
                let file = folder.path().join(format!("company-{utility}.db"));
                finish(CompanyStore::open(&file)).map_err(|error| error.to_string())?
            }
        };
        let nonces = Mutex::new(rng.fork());
        Ok(Self {
            store,
            master: keys.master,
            statement_key: keys.company,
            pay_key: keys.trust.pay.clone(),
            clock: time.clock(),
            entropy: Entropy::new(move |bytes| {
                let mut rng = nonces.lock().unwrap_or_else(PoisonError::into_inner);
                rng.fill(bytes);
                Ok(())
            }),
            running: None,
        })
    }
}

impl Program for CompanyProgram {
    fn start(&mut self) {
        self.running = Some(Company::new(
            self.store.clone(),
            KeyStore::new(MasterKey::from_bytes(self.master)),
            SigningKey::from_bytes(&self.statement_key),
            self.pay_key.clone(),
            self.clock.clone(),
            self.entropy.clone(),
        ));
    }

    fn crash(&mut self) {
        self.running = None;
    }

    fn is_up(&self) -> bool {
        self.running.is_some()
    }

    fn answers(&self, ask: Ask) -> Option<Job<Ended>> {
        let company = self.running.clone()?;
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
                CompanyAsk::Records(reported) => company.records(reported).await.map(Told::Records),
                CompanyAsk::Receipt(vend, reported) => {
                    let believed = company.receipt(vend, reported).await;
                    believed.map(|believed| Told::Receipt(Box::new(believed)))
                }
            })
        }))
    }

    fn fail_writes(&self, fail: bool) {
        self.store.fail_writes(fail);
    }

    fn audit(&self, truth: &Truth<'_>) -> Vec<String> {
        let mut wrong = Vec::new();
        for (number, meter) in truth.meters {
            let book = match finish(self.store.meter(*number)) {
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
            if u64::from(book.total) != meter.paid {
                wrong.push(format!(
                    "the company has sold {} to meter {number}; {} were paid for",
                    book.total, meter.paid
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
        let company = self.running.as_ref()?;
        Some(finish(company.provision(new)).map_err(|error| error.to_string()))
    }
}
