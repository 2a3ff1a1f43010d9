use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::HeaderValue;
use ed25519_dalek::VerifyingKey;
use gas_http::{BoxError, Clock, OutboxRunner, Peer, Stop};
use gas_store::StoreError;
use gas_store::cloud::{CloudStore, VendRow};
use gas_units::{UnixMillis, VendId};
use gas_vend::Receiver;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::bridge::BridgeOrigin;
use crate::cloud::{Cloud, Parts};
use crate::config::Setup;
use crate::http_peers::{HttpCompany, HttpPay};
use crate::outbox::Dispatch;
use crate::page::{self, Page};
use crate::problems::LiveError;
use crate::rate::Rate;
use crate::routes;
use crate::streams::Streams;

/// A [`Cloud`] behind HTTP: what only a server needs, and who waits for news.
#[derive(Debug)]
pub struct Server {
    pub(crate) cloud: Arc<Cloud>,
    pub(crate) webhook_key: VerifyingKey,
    pub(crate) rate: Rate,
    pub(crate) page: Page,
    /// What may run in the page and whom it may ask.
    pub(crate) policy: HeaderValue,
    pub(crate) demo_bridge: Option<BridgeOrigin>,
    pub(crate) streams: Streams,
    pub(crate) trusted_proxies: Vec<IpAddr>,
    clock: Clock,
    stop: Stop,
}

/// Why the cloud cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A configured address or key is none.
    #[error("config.json: {0}")]
    Config(#[source] BoxError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Server {
    /// Opens the database and prepares for the other servers. Whoever comes with a browser gets `page`.
    /// From `stop` on nobody is kept waiting for news, and the outbox rests.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn open(
        setup: &Setup,
        page: Page,
        clock: Clock,
        stop: &Stop,
    ) -> Result<Arc<Self>, StartError> {
        let config = &setup.config;
        let peer =
            |name, url: &str, key| Peer::new(name, url, Some(key)).map_err(StartError::Config);
        let pay_key = config.pay.public_key.clone();
        let webhook_key = VerifyingKey::from_bytes(&pay_key.to_bytes())
            .map_err(|error| StartError::Config(error.into()))?;
        let company = peer("company", &config.company.url, &setup.company_access_key)?;
        let pay = peer("payment", &config.pay.url, &setup.pay_access_key)?;
        let cloud = Cloud::new(Parts {
            store: CloudStore::open(&setup.database).await?,
            company: Arc::new(HttpCompany(company)),
            pay: Arc::new(HttpPay(pay)),
            company_key: config.company.public_key.clone(),
            pay_key,
            clock: clock.clone(),
        });
        Ok(Arc::new(Self {
            cloud: Arc::new(cloud),
            webhook_key,
            rate: Rate::new(config.rate_limit),
            page,
            policy: page::policy(config.demo_bridge.as_ref())
                .map_err(|error| StartError::Config(error.into()))?,
            demo_bridge: config.demo_bridge.clone(),
            streams: Streams::new(),
            trusted_proxies: config.trusted_proxies.clone(),
            clock,
            stop: stop.clone(),
        }))
    }

    /// Performs what stands in the outbox until the stop: one task for each of the other servers, so that
    /// one that does not answer holds up nothing at the other.
    pub fn start(&self) -> [JoinHandle<()>; 2] {
        [Receiver::Company, Receiver::Pay].map(|receiver| {
            let outbox = Arc::new(Dispatch::new(Arc::clone(&self.cloud), receiver));
            let runner = OutboxRunner::new(outbox, self.cloud.waker(receiver).clone());
            tokio::spawn(runner.run(self.stop.clone()))
        })
    }

    /// The whole server's router.
    pub fn router(self: &Arc<Self>) -> Router {
        routes::router(self)
    }

    /// Closes the database.
    pub async fn close(&self) {
        self.cloud.store().close().await;
    }

    /// Waits until nobody is to be kept waiting any more.
    pub(crate) async fn stopping(&self) {
        self.stop.wanted().await;
    }

    pub(crate) fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// Waits until a vend is as wanted, at most until `until` or the stop. Gives it as it is then.
    pub(crate) async fn wait(
        &self,
        vend_id: VendId,
        until: Instant,
        wanted: impl Fn(&VendRow) -> bool,
    ) -> Result<Arc<VendRow>, LiveError> {
        let mut listener = self.cloud.news().listen(vend_id);
        loop {
            let row = self.cloud.row(vend_id).await?;
            if wanted(&row) {
                return Ok(row);
            }
            let Some(listener) = &mut listener else {
                return Ok(row);
            };
            tokio::select! {
                () = listener.changed() => {}
                () = sleep_until(until) => return Ok(row),
                () = self.stop.wanted() => return Ok(row),
            }
        }
    }
}
