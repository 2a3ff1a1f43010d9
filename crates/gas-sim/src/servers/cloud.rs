//! The cloud data server, and the other two as it asks them.

use std::sync::Arc;

use gas_api::cloud::{Consent, Vend};
use gas_api::company::{
    BelievedState, Nonces, NoncesWanted, QuoteMade, QuoteWanted, ReceiptBelieved, ReceiptReported,
    RecordsBelieved, RecordsReported, ReservationWanted, Reserved, Sale, SaleWanted, StateReported,
};
use gas_api::pay::{Tender, TenderWanted, Way};
use gas_cloud::{Answer, Cloud, CompanyPeer, Dispatch, Parts, PayPeer};
use gas_http::{Clock, Problem};
use gas_phone::Trust;
use gas_store::cloud::CloudStore;
use gas_units::{MeterNumber, VendId};
use gas_vend::Receiver;

use crate::executor::{Job, Target, Wire};
use crate::net::{Ask, CloudAsk, CompanyAsk, PayAsk, Told};
use crate::serve::Lane;
use crate::server::{Ended, Keys, Program, Stores, Time, Truth};
use crate::servers::disk::Disk;
use crate::servers::{answer, unfit};

/// The cloud data server.
pub(crate) struct CloudProgram {
    disk: Disk<CloudStore>,
    trust: Trust,
    clock: Clock,
    wire: Wire,
    running: Option<Running>,
}

struct Running {
    cloud: Arc<Cloud>,
    outboxes: [Arc<Dispatch>; 2],
}

impl CloudProgram {
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
            trust: keys.trust.clone(),
            clock: time.clock(),
            wire,
            running: None,
        })
    }
}

impl Program for CloudProgram {
    fn start(&mut self) {
        let cloud = Arc::new(Cloud::new(Parts {
            store: self.disk.store.clone(),
            company: Arc::new(Peer(self.wire.clone())),
            pay: Arc::new(Peer(self.wire.clone())),
            company_key: self.trust.company.clone(),
            pay_key: self.trust.pay.clone(),
            clock: self.clock.clone(),
        }));
        let outboxes = [Receiver::Company, Receiver::Pay]
            .map(|receiver| Arc::new(Dispatch::new(Arc::clone(&cloud), receiver)));
        self.running = Some(Running { cloud, outboxes });
    }

    fn crash(&mut self) {
        self.running = None;
    }

    fn is_up(&self) -> bool {
        self.running.is_some()
    }

    fn answers(&self, ask: Ask) -> Option<Job<Ended>> {
        let cloud = Arc::clone(&self.running.as_ref()?.cloud);
        let Ask::Cloud(ask) = ask else {
            return None;
        };
        let wire = self.wire.clone();
        Some(Box::pin(async move {
            Ended::Answer(match ask {
                CloudAsk::Nonce(wanted) => cloud.nonce(wanted).await.map(Told::Nonce),
                CloudAsk::Begin(vend, wanted, phone) => {
                    vend_told(cloud.begin(vend, wanted, Some(phone)).await)
                }
                CloudAsk::Tender(vend, consent, way) => {
                    vend_told(ask_tender(&cloud, &wire, vend, consent, way).await)
                }
                CloudAsk::Confirm(vend, consent) => match cloud.confirm(vend, consent).await {
                    Ok(_) => vend_told(cloud.ask_at_once(vend).await),
                    Err(problem) => Err(problem),
                },
                CloudAsk::Show(vend) => vend_told(cloud.show(vend).await),
                CloudAsk::Receipt(vend, delivered) => {
                    vend_told(cloud.deliver_receipt(vend, delivered).await)
                }
                CloudAsk::Enrol(phone, wanted) => {
                    let enrolled = cloud.enrol(phone, phone, wanted).await;
                    enrolled.map(Told::Enrolled)
                }
                CloudAsk::Token(meter, seq, delivered) => {
                    let taken = cloud.deliver_token(meter, seq, delivered).await;
                    taken.map(Told::Taken)
                }
                CloudAsk::TenderEvent(event) => {
                    cloud.tender_event(*event).await.map(|()| Told::Done)
                }
            })
        }))
    }

    fn lanes(&self) -> usize {
        2
    }

    fn lane(&self, lane: usize) -> Option<&dyn Lane> {
        let outbox = self.running.as_ref()?.outboxes.get(lane)?;
        Some(outbox)
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

    fn audit(&self, _: &Truth<'_>) -> Vec<String> {
        Vec::new()
    }
}

fn vend_told(vend: Result<Vend, Problem>) -> Result<Told, Problem> {
    vend.map(|vend| Told::Vend(Box::new(vend)))
}

/// The other servers, by wire.
struct Peer(Wire);

impl Peer {
    fn company<T: 'static>(
        &self,
        ask: CompanyAsk,
        take: impl FnOnce(Told) -> Option<T> + Send + 'static,
    ) -> Answer<'_, T> {
        let call = self.0.ask(Target::Company, Ask::Company(ask));
        Box::pin(
            async move { take(answer("company", call.await)?).ok_or_else(|| unfit("company")) },
        )
    }

    fn pay(&self, ask: PayAsk) -> Answer<'_, Tender> {
        let call = self.0.ask(Target::Pay, Ask::Pay(ask));
        Box::pin(async move {
            if let Told::Tender(tender) = answer("payment", call.await)? {
                Ok(*tender)
            } else {
                Err(unfit("payment"))
            }
        })
    }
}

impl CompanyPeer for Peer {
    fn nonces(&self, wanted: NoncesWanted) -> Answer<'_, Nonces> {
        self.company(CompanyAsk::Nonces(wanted), only!(Nonces))
    }

    fn report_state(&self, reported: StateReported) -> Answer<'_, BelievedState> {
        self.company(CompanyAsk::State(reported), only!(State))
    }

    fn quote(&self, vend_id: VendId, wanted: QuoteWanted) -> Answer<'_, QuoteMade> {
        self.company(CompanyAsk::Quote(vend_id, wanted), only!(Quote))
    }

    fn reserve(&self, vend_id: VendId, wanted: ReservationWanted) -> Answer<'_, Reserved> {
        self.company(CompanyAsk::Reserve(vend_id, wanted), only!(Reserved))
    }

    fn release(&self, vend_id: VendId) -> Answer<'_, ()> {
        self.company(CompanyAsk::Release(vend_id), |told| {
            matches!(told, Told::Done).then_some(())
        })
    }

    fn sell(&self, vend_id: VendId, wanted: SaleWanted) -> Answer<'_, Sale> {
        self.company(CompanyAsk::Sell(vend_id, wanted), only!(*Sale))
    }

    fn sale(&self, vend_id: VendId) -> Answer<'_, Sale> {
        self.company(CompanyAsk::Sale(vend_id), only!(*Sale))
    }

    fn receipt(&self, vend_id: VendId, reported: ReceiptReported) -> Answer<'_, ReceiptBelieved> {
        self.company(CompanyAsk::Receipt(vend_id, reported), only!(*Receipt))
    }

    fn token_receipt(
        &self,
        meter: MeterNumber,
        seq: u32,
        reported: ReceiptReported,
    ) -> Answer<'_, BelievedState> {
        let ask = CompanyAsk::TokenReceipt(meter, seq, reported);
        self.company(ask, only!(State))
    }

    fn records(&self, reported: RecordsReported) -> Answer<'_, RecordsBelieved> {
        self.company(CompanyAsk::Records(reported), only!(Records))
    }
}

impl PayPeer for Peer {
    fn open(&self, vend_id: VendId, wanted: TenderWanted) -> Answer<'_, Tender> {
        self.pay(PayAsk::Open(vend_id, wanted))
    }

    fn show(&self, vend_id: VendId, ask: bool) -> Answer<'_, Tender> {
        self.pay(PayAsk::Show(vend_id, ask))
    }
}

/// How long a request for a tender waits between looks at what came of it, ms: 3 s together, as over HTTP.
const DECIDES_MS: [u64; 6] = [50, 100, 200, 400, 800, 1_450];

async fn ask_tender(
    cloud: &Cloud,
    wire: &Wire,
    vend: VendId,
    consent: Consent,
    way: Way,
) -> Result<Vend, Problem> {
    cloud.ask_tender(vend, consent, way).await?;
    for ms in DECIDES_MS {
        if let Some(vend) = cloud.tender_outcome(vend).await? {
            return Ok(vend);
        }
        // Nothing is said by it but that the time has passed.
        drop(wire.ask(Target::Time, Ask::Wait(ms)).await);
    }
    cloud.show(vend).await
}
