use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::HeaderMap;
use axum::http::header::HeaderName;
use axum::middleware::Next;
use axum::response::Response;

use crate::server::Server;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address that a request comes from: of the TCP peer or, where that is one of our own proxies, of whom
/// the proxy names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Client(pub(crate) IpAddr);

/// Puts the request's [`Client`] with it.
pub(crate) async fn tell(
    State(server): State<Arc<Server>>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    if let Some(ConnectInfo(peer)) = peer {
        let client = client_of(peer.ip(), request.headers(), &server.trusted_proxies);
        request.extensions_mut().insert(client);
    }
    next.run(request).await
}

/// Each proxy adds whom it was asked by at the end, so the list is believed from there, as far as it was
/// written by proxies of ours. What stands before was written by who knows whom.
fn client_of(peer: IpAddr, headers: &HeaderMap, trusted_proxies: &[IpAddr]) -> Client {
    let mut client = peer.to_canonical();
    let lists = headers.get_all(FORWARDED_FOR);
    let lists: Vec<&str> = lists
        .iter()
        .map(|list| list.to_str().unwrap_or(""))
        .collect();
    let named = lists.iter().flat_map(|list| list.split(',')).rev();
    for name in named {
        if !trusted_proxies.contains(&client) {
            break;
        }
        let Ok(address) = name.trim().parse::<IpAddr>() else {
            break;
        };
        client = address.to_canonical();
    }
    Client(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_our_own_proxies_are_believed() {
        let proxies = [address("10.0.0.1"), address("10.0.0.2")];
        for (peer, lists, client) in [
            ("192.0.2.7", &[][..], "192.0.2.7"),
            ("::ffff:192.0.2.7", &[], "192.0.2.7"),
            ("192.0.2.7", &["198.51.100.1"], "192.0.2.7"),
            ("192.0.2.7", &["10.0.0.1"], "192.0.2.7"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.7"], "192.0.2.7"),
            ("::ffff:10.0.0.1", &["192.0.2.7"], "192.0.2.7"),
            ("10.0.0.1", &["2001:db8::7"], "2001:db8::7"),
            // Whoever asks may have written anything in front.
            ("10.0.0.1", &["198.51.100.1, 192.0.2.7"], "192.0.2.7"),
            ("10.0.0.1", &["198.51.100.1", "192.0.2.7"], "192.0.2.7"),
            ("10.0.0.1", &["10.0.0.2, 192.0.2.7"], "192.0.2.7"),
            ("10.0.0.1", &["192.0.2.7, 10.0.0.2"], "192.0.2.7"),
            ("10.0.0.1", &["192.0.2.7, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.7,"], "10.0.0.1"),
        ] {
            let headers = lists
                .iter()
                .map(|list| (FORWARDED_FOR, list.parse().unwrap()));
            let found = client_of(address(peer), &headers.collect(), &proxies);
            assert_eq!(found, Client(address(client)), "{peer} {lists:?}");
        }
    }
}
