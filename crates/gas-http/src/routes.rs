use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::handler::Handler;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Method};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use gas_api::codes;
use tower::ServiceExt as _;

use crate::access_key::{AccessKey, Callers};
use crate::extract::BODY_MAX;
use crate::problem::Problem;

/// Longest time one request may take. Our own waits on others are shorter ([`Peer`](crate::Peer): 10 s).
const REQUEST_MAX: Duration = Duration::from_secs(30);

/// Who may use a route.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AccessRule {
    /// Anyone: it shows nothing and does nothing that anyone should not.
    Public,
    /// The named caller, by its access key. Proven before the route is entered.
    Caller(&'static str),
    /// The payment provider. The route itself verifies the provider's signature over the body.
    Provider,
    /// A phone. The route itself holds the unguessable vend id or the phone's signature against its rules.
    Phone,
    /// The payment server. The route itself verifies its [`webhook`](crate::webhook) signature.
    PaymentServer,
    /// A page of an origin that was named. The route itself looks at the `Origin` that the browser tells.
    Page,
}

/// One row of a server's table of routes: what can be asked, and by whom.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Door {
    /// The method.
    pub method: Method,
    /// The path, with its parameters in braces.
    pub path: &'static str,
    /// Who may.
    pub rule: AccessRule,
}

/// The path of a [`Door`] that stands for every path without a row of its own.
const EVERY_OTHER_PATH: &str = "/{*path}";

type Row<S> = (Door, MethodRouter<S, Infallible>);

/// A server's table of routes. The router is made from it, so no route can lack a rule.
#[derive(Clone)]
pub struct Routes<S> {
    rows: Vec<Row<S>>,
    others: Option<Row<S>>,
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// An empty table.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            rows: Vec::new(),
            others: None,
        }
    }

    /// Adds a `GET` route.
    #[must_use]
    pub fn get<H: Handler<T, S>, T: 'static>(
        self,
        path: &'static str,
        rule: AccessRule,
        to: H,
    ) -> Self {
        self.add(Method::GET, path, rule, get(to))
    }

    /// Adds a `PUT` route.
    #[must_use]
    pub fn put<H: Handler<T, S>, T: 'static>(
        self,
        path: &'static str,
        rule: AccessRule,
        to: H,
    ) -> Self {
        self.add(Method::PUT, path, rule, put(to))
    }

    /// Adds a `POST` route.
    #[must_use]
    pub fn post<H: Handler<T, S>, T: 'static>(
        self,
        path: &'static str,
        rule: AccessRule,
        to: H,
    ) -> Self {
        self.add(Method::POST, path, rule, post(to))
    }

    /// Adds a `DELETE` route.
    #[must_use]
    pub fn delete<H: Handler<T, S>, T: 'static>(
        self,
        path: &'static str,
        rule: AccessRule,
        to: H,
    ) -> Self {
        self.add(Method::DELETE, path, rule, delete(to))
    }

    /// Has every `GET` of a path without a row of its own answered by one handler; in the table it is
    /// `/{*path}`. Other methods of such a path stay 404, as without it.
    #[must_use]
    pub fn get_others<H: Handler<T, S>, T: 'static>(mut self, rule: AccessRule, to: H) -> Self {
        let door = Door {
            method: Method::GET,
            path: EVERY_OTHER_PATH,
            rule,
        };
        self.others = Some((door, get(to)));
        self
    }

    fn add(
        mut self,
        method: Method,
        path: &'static str,
        rule: AccessRule,
        to: MethodRouter<S>,
    ) -> Self {
        self.rows.push((Door { method, path, rule }, to));
        self
    }

    /// The table, to hold a server's tests against it.
    #[must_use]
    pub fn doors(&self) -> Vec<Door> {
        let rows = self.rows.iter().chain(&self.others);
        rows.map(|(door, _)| door.clone()).collect()
    }

    /// The router: each route behind its rule, bodies of at most [`BODY_MAX`], 30 s for a request,
    /// a problem for unknown paths and methods, one line of log a request.
    ///
    /// # Panics
    /// When the same method and path stand in the table twice.
    pub fn router(self, callers: Callers, state: S) -> Router {
        self.router_within(REQUEST_MAX, callers, state)
    }

    fn router_within(self, request_max: Duration, callers: Callers, state: S) -> Router {
        let callers = Arc::new(callers);
        let mut router = Router::new();
        for (door, to) in self.rows {
            router = router.route(door.path, guarded(to, door.rule, &callers));
        }
        let nothing = async || Problem::no_such_endpoint();
        let others = self.others.map_or_else(MethodRouter::new, |(door, to)| {
            guarded(to, door.rule, &callers)
        });
        router
            .fallback(others.fallback(nothing))
            .method_not_allowed_fallback(async || Problem::method_not_allowed())
            .layer(DefaultBodyLimit::max(BODY_MAX))
            .layer(middleware::from_fn_with_state(request_max, bound_and_log))
            .with_state(state)
    }
}

fn guarded<S: Clone + Send + Sync + 'static>(
    to: MethodRouter<S>,
    rule: AccessRule,
    callers: &Arc<Callers>,
) -> MethodRouter<S> {
    match rule {
        AccessRule::Caller(name) => to.route_layer(middleware::from_fn_with_state(
            (Arc::clone(callers), name),
            prove_caller,
        )),
        AccessRule::Public
        | AccessRule::Provider
        | AccessRule::Phone
        | AccessRule::PaymentServer
        | AccessRule::Page => to,
    }
}

async fn prove_caller(
    State((callers, name)): State<(Arc<Callers>, &'static str)>,
    request: Request,
    next: Next,
) -> Response {
    if proven(&callers, name, request.headers()) {
        next.run(request).await
    } else {
        Problem::unauthorized().into_response()
    }
}

fn proven(callers: &Callers, name: &str, headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    // Two keys in one request: which one a proxy before us looked at cannot be told.
    match (values.next(), values.next()) {
        (Some(value), None) => callers.prove(name, value.as_bytes()),
        (Some(_), Some(_)) | (None, _) => false,
    }
}

async fn bound_and_log(
    State(request_max): State<Duration>,
    request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let method = request.method().clone();
    // The path as declared: the one asked for may hold a vend id, which is a capability.
    let path = request.extensions().get::<MatchedPath>().cloned();
    let response = tokio::time::timeout(request_max, next.run(request))
        .await
        .unwrap_or_else(|_| {
            Problem::ours(format!("took longer than {request_max:?}")).into_response()
        });
    let status = response.status().as_u16();
    let path = path.as_ref().map_or("-", MatchedPath::as_str);
    let ms = started.elapsed().as_millis();
    tracing::info!(%method, path, status, ms, "answered");
    response
}

/// For a server's tests: the [`AccessRule::Caller`] doors of its table that open without a key, with a
/// wrong one, or with something else than a key. Empty when all are shut.
pub async fn doors_left_open(router: Router, doors: &[Door]) -> Vec<String> {
    let wrong = AccessKey::parse(&"0".repeat(64));
    let wrong = wrong.map_or_else(|_| String::new(), |key| format!("Bearer {}", key.secret()));
    let mut open = Vec::new();
    for door in doors
        .iter()
        .filter(|door| matches!(door.rule, AccessRule::Caller(_)))
    {
        for authorization in [
            None,
            Some(wrong.as_str()),
            Some("Bearer "),
            Some("Basic Og=="),
        ] {
            let path = door.path.replace(['{', '}'], "");
            let request = Request::builder().method(door.method.clone()).uri(path);
            let request = authorization.into_iter().fold(request, |request, value| {
                request.header(AUTHORIZATION, value)
            });
            let shut = match request.body(Body::empty()) {
                Ok(request) => is_unauthorized(router.clone(), request).await,
                Err(_) => false,
            };
            if !shut {
                open.push(format!(
                    "{} {} with {authorization:?}",
                    door.method, door.path
                ));
            }
        }
    }
    open
}

async fn is_unauthorized(router: Router, request: Request) -> bool {
    let Ok(response) = router.oneshot(request).await;
    let Ok(body) = axum::body::to_bytes(response.into_body(), BODY_MAX).await else {
        return false;
    };
    serde_json::from_slice::<gas_api::Problem>(&body)
        .is_ok_and(|problem| problem.status == 401 && problem.code == codes::UNAUTHORIZED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_that_does_not_end_is_answered_with_a_problem() {
        let routes = Routes::new().get("/", AccessRule::Public, async || {
            std::future::pending::<()>().await;
        });
        let router = routes.router_within(Duration::from_millis(1), Callers::default(), ());
        let request = Request::builder().uri("/").body(Body::empty()).unwrap();
        let Ok(response) = router.oneshot(request).await;
        let body = axum::body::to_bytes(response.into_body(), BODY_MAX)
            .await
            .unwrap();
        let problem: gas_api::Problem = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (problem.status, problem.code.as_str()),
            (500, codes::INTERNAL)
        );
    }
}
