//! A cloud below HTTP, as the simulator has it: peers that are called directly, a clock that the test sets,
//! effects performed when the test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Json;
use axum::extract::{Path, State};
use gas_api::cloud::{Consent, ReceiptDelivered, Vend};
use gas_api::company::{
    BelievedState, Nonces, NoncesWanted, QuoteMade, QuoteWanted, ReceiptBelieved, ReceiptReported,
    RecordsBelieved, RecordsReported, ReservationWanted, Reserved, Sale, SaleWanted, StateReported,
};
use gas_api::pay::{Tender, TenderEvent, TenderWanted, Way};
use gas_cloud::{Answer, Cloud, CompanyPeer, Dispatch, Parts, PayPeer};
use gas_http::{Clock, Outbox as _, PeerError, Problem};
use gas_store::cloud::CloudStore;
use gas_units::{MeterNumber, UnixMillis, VendId};
use gas_vend::Receiver;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::peers::{self, Books, Peers, company_key, pay_key, tender};
use crate::world::{vend_id, wanted};

const START_MS: i64 = 1_760_000_000_000;

/// The doubles, asked without HTTP.
struct Direct(Arc<Peers>);

impl Direct {
    fn peers(&self) -> State<Arc<Peers>> {
        State(Arc::clone(&self.0))
    }
}

fn told<T>(peer: &'static str, answer: Result<Json<T>, Problem>) -> Result<T, PeerError> {
    let refused = |problem: Problem| PeerError::Problem {
        peer,
        problem: Box::new(problem.outside().clone()),
    };
    answer.map(|Json(answer)| answer).map_err(refused)
}

impl CompanyPeer for Direct {
    fn nonces(&self, wanted: NoncesWanted) -> Answer<'_, Nonces> {
        Box::pin(async { Ok(peers::nonces(self.peers(), Json(wanted)).await.0) })
    }

    fn report_state(&self, reported: StateReported) -> Answer<'_, BelievedState> {
        Box::pin(async { told("company", peers::states(self.peers(), Json(reported)).await) })
    }

    fn quote(&self, vend_id: VendId, wanted: QuoteWanted) -> Answer<'_, QuoteMade> {
        Box::pin(async move {
            let answer = peers::quote(self.peers(), Path(vend_id), Json(wanted)).await;
            told("company", answer)
        })
    }

    fn reserve(&self, vend_id: VendId, wanted: ReservationWanted) -> Answer<'_, Reserved> {
        Box::pin(async move {
            let answer = peers::reserve(self.peers(), Path(vend_id), Json(wanted)).await;
            told("company", answer)
        })
    }

    fn release(&self, vend_id: VendId) -> Answer<'_, ()> {
        Box::pin(async move {
            peers::release(self.peers(), Path(vend_id)).await;
            Ok(())
        })
    }

    fn sell(&self, vend_id: VendId, wanted: SaleWanted) -> Answer<'_, Sale> {
        Box::pin(async move {
            let Json(sale) = peers::sell(self.peers(), Path(vend_id), Json(wanted)).await;
            Ok(sale)
        })
    }

    fn sale(&self, vend_id: VendId) -> Answer<'_, Sale> {
        Box::pin(async move {
            let answer = peers::show_sale(self.peers(), Path(vend_id)).await;
            told("company", answer)
        })
    }

    fn receipt(&self, vend_id: VendId, reported: ReceiptReported) -> Answer<'_, ReceiptBelieved> {
        Box::pin(async move {
            let answer = peers::believe(self.peers(), Path(vend_id), Json(reported)).await;
            told("company", answer)
        })
    }

    fn token_receipt(
        &self,
        meter: MeterNumber,
        seq: u32,
        reported: ReceiptReported,
    ) -> Answer<'_, BelievedState> {
        Box::pin(async move {
            let path = Path((meter, seq));
            let answer = peers::token_receipt(self.peers(), path, Json(reported)).await;
            told("company", answer)
        })
    }

    fn records(&self, reported: RecordsReported) -> Answer<'_, RecordsBelieved> {
        Box::pin(async { told("company", peers::records(Json(reported)).await) })
    }
}

impl PayPeer for Direct {
    fn open(&self, vend_id: VendId, wanted: TenderWanted) -> Answer<'_, Tender> {
        Box::pin(async move {
            let Json(tender) = peers::open(self.peers(), Path(vend_id), Json(wanted)).await;
            self.0.with(|books| books.opened += 1);
            Ok(tender)
        })
    }

    fn show(&self, vend_id: VendId, _ask: bool) -> Answer<'_, Tender> {
        Box::pin(async move {
            self.0.with(|books| books.asked += 1);
            let answer = peers::show(self.peers(), Path(vend_id)).await;
            told("payment", answer)
        })
    }
}

/// The cloud of a test, with its doubles.
pub(crate) struct Home {
    pub(crate) peers: Arc<Peers>,
    pub(crate) cloud: Arc<Cloud>,
    time: Arc<AtomicI64>,
    _folder: TempDir,
}

impl Home {
    pub(crate) async fn new() -> Self {
        let peers = Peers::new(None);
        let time = Arc::new(AtomicI64::new(START_MS));
        let (cloud, folder) = empty(&peers, &time).await;
        let home = Self {
            peers,
            cloud,
            time,
            _folder: folder,
        };
        home.pass(0);
        home
    }

    /// The cloud loses everything: its backup is older than any vend.
    pub(crate) async fn lose_cloud(self) -> Self {
        let (cloud, folder) = empty(&self.peers, &self.time).await;
        Self {
            cloud,
            _folder: folder,
            ..self
        }
    }

    /// The payment server's backup is older than any tender.
    pub(crate) fn lose_tenders(&self) {
        self.with(|books| books.tenders.clear());
    }

    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut Books) -> T) -> T {
        self.peers.with(change)
    }

    fn now(&self) -> UnixMillis {
        UnixMillis::from_millis(self.time.load(Ordering::Relaxed))
    }

    pub(crate) fn pass(&self, ms: i64) {
        self.time.fetch_add(ms, Ordering::Relaxed);
        let now = self.now();
        self.with(|books| books.time = Some(now));
    }

    /// Performs all that is due now, and what comes of it.
    pub(crate) async fn perform(&self) -> Vend {
        loop {
            let mut performed = false;
            for receiver in [Receiver::Company, Receiver::Pay] {
                let dispatch = Dispatch::new(Arc::clone(&self.cloud), receiver);
                for due in dispatch.due(self.now(), 9).await.unwrap() {
                    dispatch.perform(due).await.unwrap();
                    performed = true;
                }
            }
            if !performed {
                return self.show().await;
            }
        }
    }

    pub(crate) async fn show(&self) -> Vend {
        self.cloud.show(vend_id()).await.unwrap()
    }

    pub(crate) async fn begin(&self) -> Vend {
        self.cloud.begin(vend_id(), wanted(), None).await.unwrap()
    }

    /// Begins the vend, or begins it again, and asks for its tender.
    pub(crate) async fn ask_tender(&self) -> Vend {
        self.ask_way(Way::Native).await.unwrap();
        self.perform().await
    }

    /// Begins the vend, or begins it again, and asks for its tender in this way; performs nothing.
    pub(crate) async fn ask_way(&self, way: Way) -> Result<Vend, Problem> {
        let quote_hash = self.begin().await.quote_hash;
        let asked = self
            .cloud
            .ask_tender(vend_id(), Consent { quote_hash }, way);
        asked.await
    }

    pub(crate) async fn confirm(&self) {
        let quote_hash = self.show().await.quote_hash;
        let confirmed = self.cloud.confirm(vend_id(), Consent { quote_hash });
        confirmed.await.unwrap();
    }

    pub(crate) async fn deliver(&self, receipt: gas_api::HexBytes) -> Result<Vend, Problem> {
        let delivered = ReceiptDelivered { receipt };
        self.cloud.deliver_receipt(vend_id(), delivered).await?;
        Ok(self.perform().await)
    }

    /// The payment server tells how the tender stands.
    pub(crate) async fn tell(&self) {
        let tender = self.with(|books| tender(books, vend_id()));
        self.cloud
            .tender_event(TenderEvent { tender })
            .await
            .unwrap();
    }
}

async fn empty(peers: &Arc<Peers>, time: &Arc<AtomicI64>) -> (Arc<Cloud>, TempDir) {
    let folder = TempDir::new().unwrap();
    let store = CloudStore::open(&folder.path().join("cloud.db")).await;
    (cloud(store.unwrap(), peers, time), folder)
}

fn cloud(store: CloudStore, peers: &Arc<Peers>, time: &Arc<AtomicI64>) -> Arc<Cloud> {
    let time = Arc::clone(time);
    let direct = Arc::new(Direct(Arc::clone(peers)));
    Arc::new(Cloud::new(Parts {
        store,
        company: Arc::<Direct>::clone(&direct),
        pay: direct,
        company_key: company_key().verifying_key(),
        pay_key: pay_key().verifying_key(),
        clock: Clock::new(move || UnixMillis::from_millis(time.load(Ordering::Relaxed))),
    }))
}

#[test]
fn a_cloud_is_made_without_a_runtime() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("cloud.db");
    let opening = CloudStore::open(&file);
    let store = Runtime::new().unwrap().block_on(opening).unwrap();
    let cloud = cloud(store, &Peers::new(None), &Arc::default());
    drop(Dispatch::new(Arc::clone(&cloud), Receiver::Pay));
    assert!(cloud.keys().pay.is_some());
}
