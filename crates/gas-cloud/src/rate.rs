use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use gas_http::Problem;
use gas_units::UnixMillis;

use crate::client::Client;
use crate::config::RateLimit;
use crate::page;
use crate::server::Server;

/// Most addresses remembered. Beyond them, those that have not asked for a while are forgotten.
const ADDRESSES_MAX: usize = 20_000;

/// What one request costs, in thousandths: an address gains `per_second` of them each millisecond.
const REQUEST: i64 = 1_000;

/// A bucket of requests for each address.
#[derive(Debug)]
pub(crate) struct Rate {
    limit: RateLimit,
    buckets: Mutex<BTreeMap<IpAddr, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Thousandths of requests left.
    left: i64,
    at: UnixMillis,
}

impl Rate {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self {
            limit,
            buckets: Mutex::default(),
        }
    }

    /// Whether this address may ask now; if so, its bucket holds one less.
    fn takes(&self, address: IpAddr, now: UnixMillis) -> bool {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let full = i64::from(self.limit.burst.max(1)).saturating_mul(REQUEST);
        let address = household(address);
        if buckets.len() >= ADDRESSES_MAX && !buckets.contains_key(&address) {
            buckets.retain(|_, bucket| self.filled(*bucket, now, full) < full);
            if buckets.len() >= ADDRESSES_MAX {
                return false;
            }
        }
        let bucket = buckets.entry(address).or_insert(Bucket {
            left: full,
            at: now,
        });
        let left = self.filled(*bucket, now, full);
        let enough = left >= REQUEST;
        *bucket = Bucket {
            left: if enough { left - REQUEST } else { left },
            at: now,
        };
        enough
    }

    fn filled(&self, bucket: Bucket, now: UnixMillis, full: i64) -> i64 {
        let passed = now.millis().saturating_sub(bucket.at.millis()).max(0);
        let gained = passed.saturating_mul(self.limit.per_second.max(1).into());
        bucket.left.saturating_add(gained).min(full)
    }
}

/// One IPv6 customer holds a /64 (RFC 6177), so that is what is counted.
fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// Refuses an address that asks too often. Its own vends are not lost: it may ask again soon.
pub(crate) async fn limit(
    State(server): State<Arc<Server>>,
    request: Request,
    next: Next,
) -> Response {
    // The payment server is known by its signature and must get through when phones ask much. The page is
    // many files at once and costs no more than a refusal.
    let path = request.uri().path();
    let counted = path != crate::routes::TENDER_EVENTS && page::is_api(path);
    let client = request.extensions().get::<Client>().copied();
    match client {
        Some(Client(address)) if counted && !server.rate.takes(address, server.now()) => {
            Problem::too_many_requests(
                "Too many requests came from this address; this one was not looked at.",
            )
            .hint("Wait a second and ask again by the same id.")
            .into_response()
        }
        Some(_) | None => next.run(request).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis::from_millis(1_760_000_000_000);

    fn rate() -> Rate {
        Rate::new(RateLimit {
            per_second: 2,
            burst: 3,
        })
    }

    #[test]
    fn a_burst_then_a_flow() {
        let rate = rate();
        let one: IpAddr = "192.0.2.1".parse().unwrap();
        let took = |now| (0..9).filter(|_| rate.takes(one, now)).count();
        assert_eq!(took(NOW), 3);
        assert_eq!(took(NOW.plus_millis(499)), 0);
        assert_eq!(took(NOW.plus_millis(500)), 1);
        assert_eq!(
            took(NOW.plus_millis(1_000_000)),
            3,
            "never more than the burst"
        );
        assert_eq!(took(NOW), 0, "a clock set back fills nothing");
        assert!(
            rate.takes("192.0.2.2".parse().unwrap(), NOW),
            "another address"
        );
    }

    #[test]
    fn one_customer_is_one_address() {
        let rate = rate();
        let took = [
            "2001:db8::1",
            "2001:db8::2",
            "2001:db8::3",
            "2001:db8::4",
            "2001:db8:0:1::1",
        ]
        .map(|address| rate.takes(address.parse().unwrap(), NOW));
        assert_eq!(took, [true, true, true, false, true]);
    }

    #[test]
    fn memory_is_bounded() {
        let rate = rate();
        let address = |number: usize| IpAddr::V4(u32::try_from(number).unwrap().into());
        for number in 0..ADDRESSES_MAX {
            assert!(rate.takes(address(number), NOW));
        }
        assert!(!rate.takes(address(ADDRESSES_MAX), NOW));
        assert!(
            rate.takes(address(ADDRESSES_MAX), NOW.plus_millis(500)),
            "the others are full again"
        );
        assert_eq!(rate.buckets.lock().unwrap().len(), 1);
    }
}
