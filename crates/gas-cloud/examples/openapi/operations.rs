//! What is said of each door of the cloud.

use gas_api::cloud::{
    Asks, AsksWanted, Consent, DemoBridge, Enrolment, EnrolmentRevoked, EnrolmentWanted, Meter,
    Nonce, NonceWanted, ReceiptDelivered, RecordsKept, RecordsUploaded, TenderAsked,
    TokenDelivered, TokenTaken, Vend, VendWanted,
};
use gas_api::codes::{
    AMOUNT_MISMATCH, BODY_MALFORMED, BOOKS_RESTORED, DEBIT_OPEN, ID_REUSED, MESSAGE_FORGED,
    MESSAGE_MALFORMED, METER_FROZEN, METER_REPLACED, METER_UNKNOWN, NO_SUCH_ENDPOINT,
    NONCE_NOT_LIVE, NOT_ENROLLED, NOTIFICATION_FORGED, OTHER_METER, OVER_LIMIT,
    PRESENTATION_DIFFERS, PROVIDER_CONTRADICTS, QUOTE_DIFFERS, QUOTE_EXPIRED, QUOTE_STALE,
    READING_TOO_OLD, REFUND_DIFFERS, REFUNDED_BEFORE, STATEMENT_FORGED, TENDER_OPEN, TOKEN_UNKNOWN,
    UNAUTHORIZED, UPSTREAM_UNAVAILABLE, VEND_UNKNOWN, WANT_NOT_SELLABLE, WRONG_STATE,
};
use gas_api::pay::TenderEvent;
use gas_api::{Keys, PublicKeyHex};
use gas_units::{MeterNumber, VendId};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use super::reference;

/// One way to use a door.
pub(crate) struct Operation {
    /// `METHOD /path`, as in the table of doors.
    pub(crate) door: &'static str,
    /// A name for programs that are made from the document.
    pub(crate) id: &'static str,
    /// What it does, in a line.
    pub(crate) summary: &'static str,
    /// With what a request is proven, beside what its path says.
    pub(crate) proof: Option<Proof>,
    /// Whether it counts against what an address may ask.
    pub(crate) counted: bool,
    /// Parameters of path, query and headers.
    pub(crate) parameters: Vec<Value>,
    /// The schema of the body, where there is one.
    pub(crate) body: Option<Value>,
    /// Status, words and content of what is answered if all is well.
    pub(crate) answers: Vec<(u16, &'static str, Option<Content>)>,
    /// Codes of the problems that are its own, by status.
    pub(crate) problems: Vec<(u16, &'static [&'static str])>,
}

/// What an answer holds.
pub(crate) struct Content {
    /// Its media type.
    pub(crate) kind: &'static str,
    /// Its schema.
    pub(crate) schema: Value,
}

/// With what a request is proven.
#[derive(Clone, Copy)]
pub(crate) enum Proof {
    /// A phone's signature over the request.
    Phone,
    /// The payment server's signature over the body.
    Webhook,
}

/// The ways to prove a request, as the document declares them.
pub(crate) fn proofs() -> Value {
    json!({
        "phone_signature": {
            "type": "apiKey", "in": "header", "name": "Pilotlight-Phone",
            "description": "`key=<64 hex>, time=<unix ms>, signature=<128 hex>`: Ed25519 over method, path, \
                time and body; docs/protocols/http.md, \"Phone-signed requests\".",
        },
        "webhook_signature": {
            "type": "apiKey", "in": "header", "name": "webhook-signature",
            "description": "Standard Webhooks `v1a`, with `webhook-id` and `webhook-timestamp`.",
        },
    })
}

const NOT_BELIEVED: (u16, &[&str]) = (422, &[MESSAGE_MALFORMED, MESSAGE_FORGED, OTHER_METER]);
const UPSTREAM: (u16, &[&str]) = (503, &[UPSTREAM_UNAVAILABLE]);
const NO_VEND: (u16, &[&str]) = (404, &[NO_SUCH_ENDPOINT, VEND_UNKNOWN]);
const UNSIGNED: (u16, &[&str]) = (401, &[UNAUTHORIZED]);
const NOT_HERE: (u16, &[&str]) = (403, &[NOT_ENROLLED]);

/// All of them.
pub(crate) fn operations(schemas: &mut SchemaGenerator) -> Vec<Operation> {
    let mut all = of_server(schemas);
    all.extend(of_vends(schemas));
    all.extend(of_payment(schemas));
    all.extend(of_phones(schemas));
    all.extend(of_meters(schemas));
    all
}

fn operation(door: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation {
        door,
        id,
        summary,
        proof: None,
        counted: true,
        parameters: vec![],
        body: None,
        answers: vec![],
        problems: vec![],
    }
}

impl Operation {
    fn parameter<T: JsonSchema>(
        mut self,
        schemas: &mut SchemaGenerator,
        place: &str,
        name: &str,
        description: &str,
    ) -> Self {
        self.parameters.push(json!({
            "in": place, "name": name, "required": place == "path",
            "description": description, "schema": reference::<T>(schemas),
        }));
        self
    }

    fn vend(self, schemas: &mut SchemaGenerator) -> Self {
        self.parameter::<VendId>(schemas, "path", "vend_id", "The vend.")
    }

    fn meter(self, schemas: &mut SchemaGenerator) -> Self {
        self.parameter::<MeterNumber>(schemas, "path", "meter", "The meter.")
    }

    fn body<T: JsonSchema>(mut self, schemas: &mut SchemaGenerator) -> Self {
        self.body = Some(reference::<T>(schemas));
        self
    }

    fn json<T: JsonSchema>(mut self, schemas: &mut SchemaGenerator, words: &'static str) -> Self {
        let content = Content {
            kind: "application/json",
            schema: reference::<T>(schemas),
        };
        self.answers.push((200, words, Some(content)));
        self
    }

    fn text(mut self, kind: &'static str, words: &'static str) -> Self {
        let schema = json!({ "type": "string" });
        self.answers
            .push((200, words, Some(Content { kind, schema })));
        self
    }

    fn empty(mut self, status: u16, words: &'static str) -> Self {
        self.answers.push((status, words, None));
        self
    }

    fn proven(mut self, proof: Proof) -> Self {
        self.proof = Some(proof);
        self
    }

    fn problems(mut self, problems: &[(u16, &'static [&'static str])]) -> Self {
        self.problems = problems.to_vec();
        self
    }

    const fn uncounted(mut self) -> Self {
        self.counted = false;
        self
    }
}

fn of_server(schemas: &mut SchemaGenerator) -> Vec<Operation> {
    vec![
        operation(
            "GET /health",
            "health",
            "Whether the server and its database answer.",
        )
        .text("text/plain", "`ok`"),
        operation(
            "GET /v1/keys",
            "keys",
            "The keys with which statements can be checked.",
        )
        .json::<Keys>(
            schemas,
            "The company's and the payment server's public keys.",
        ),
        operation(
            "GET /v1/bridge",
            "demo_bridge",
            "Where the bridge to a demo card is, for visitors without Bluetooth.",
        )
        .json::<DemoBridge>(schemas, "The bridge.")
        .problems(&[(404, &[NO_SUCH_ENDPOINT])]),
        operation(
            "POST /v1/tender-events",
            "tender_event",
            "The payment server tells how a tender stands. Again: nothing changes.",
        )
        .proven(Proof::Webhook)
        .uncounted()
        .body::<TenderEvent>(schemas)
        .empty(204, "Taken in.")
        .problems(&[
            (401, &[NOTIFICATION_FORGED]),
            (
                409,
                &[
                    QUOTE_DIFFERS,
                    PROVIDER_CONTRADICTS,
                    REFUNDED_BEFORE,
                    WRONG_STATE,
                ],
            ),
            (422, &[STATEMENT_FORGED, AMOUNT_MISMATCH, REFUND_DIFFERS]),
            UPSTREAM,
        ]),
        operation(
            "GET /{*path}",
            "page",
            "The phone's page: a file of it, or index.html for a path of the app.",
        )
        .uncounted()
        .parameter::<String>(
            schemas,
            "path",
            "path",
            "Any path without a row of its own; may hold `/`.",
        )
        .text("text/html", "A file, by its own media type.")
        .empty(304, "The browser has it: `If-None-Match` names its `ETag`.")
        .problems(&[(404, &[NO_SUCH_ENDPOINT])]),
    ]
}

fn of_vends(schemas: &mut SchemaGenerator) -> Vec<Operation> {
    vec![
        operation(
            "PUT /v1/vends/{vend_id}",
            "begin_vend",
            "Begin a purchase: the company's signed quote. Again: the vend as it stands. Without a status, signed \
             by an enrolled phone.",
        )
        .vend(schemas)
        .body::<VendWanted>(schemas)
        .json::<Vend>(schemas, "The vend.")
        .problems(&[
            UNSIGNED,
            NOT_HERE,
            (404, &[NO_SUCH_ENDPOINT, METER_UNKNOWN]),
            (
                409,
                &[
                    ID_REUSED, NONCE_NOT_LIVE, QUOTE_STALE, OVER_LIMIT, TENDER_OPEN, METER_FROZEN,
                    METER_REPLACED, DEBIT_OPEN, BOOKS_RESTORED, READING_TOO_OLD,
                ],
            ),
            (422, &[MESSAGE_MALFORMED, MESSAGE_FORGED, OTHER_METER, WANT_NOT_SELLABLE]),
            UPSTREAM,
        ]),
        operation(
            "GET /v1/vends/{vend_id}",
            "show_vend",
            "A vend as it stands; with `after_version` and `wait_ms`, as soon as it has changed.",
        )
        .vend(schemas)
        .parameter::<u32>(schemas, "query", "after_version", "Answer when the version is above this one.")
        .parameter::<u32>(schemas, "query", "wait_ms", "Or after so long, at most 25,000 ms.")
        .json::<Vend>(schemas, "The vend.")
        .problems(&[(400, &[BODY_MALFORMED]), NO_VEND]),
        operation(
            "GET /v1/vends/{vend_id}/events",
            "follow_vend",
            "A vend live: server-sent events `vend`, whose id is the version and whose data is the vend.",
        )
        .vend(schemas)
        .parameter::<u32>(schemas, "query", "after_version", "The version that is known already.")
        .parameter::<u32>(schemas, "header", "Last-Event-ID", "The version seen last.")
        .text("text/event-stream", "The vend as it is, unless it was seen, then at each change.")
        .empty(204, "It was seen, and cannot change any more: do not come back.")
        .problems(&[NO_VEND]),
    ]
}

fn of_payment(schemas: &mut SchemaGenerator) -> Vec<Operation> {
    vec![
        operation(
            "POST /v1/vends/{vend_id}/tender",
            "ask_tender",
            "Have payment asked for exactly this quote, in one way. Again: no second tender.",
        )
        .vend(schemas)
        .body::<TenderAsked>(schemas)
        .json::<Vend>(schemas, "The vend, with its payment request as soon as there is one.")
        .problems(&[
            NO_VEND,
            (
                409,
                &[
                    QUOTE_DIFFERS, PRESENTATION_DIFFERS, QUOTE_STALE, OVER_LIMIT, TENDER_OPEN,
                    METER_FROZEN, METER_REPLACED, DEBIT_OPEN, BOOKS_RESTORED, ID_REUSED, VEND_UNKNOWN,
                ],
            ),
            (410, &[QUOTE_EXPIRED]),
        ]),
        operation(
            "POST /v1/vends/{vend_id}/confirmation",
            "confirm_payment",
            "The customer says that it is paid: the provider is asked at once. The word alone pays nothing.",
        )
        .vend(schemas)
        .body::<Consent>(schemas)
        .json::<Vend>(schemas, "The vend after the provider was asked.")
        .problems(&[NO_VEND, (409, &[QUOTE_DIFFERS, WRONG_STATE])]),
        operation(
            "PUT /v1/vends/{vend_id}/receipt",
            "deliver_receipt",
            "The meter's answer to this vend's token.",
        )
        .vend(schemas)
        .body::<ReceiptDelivered>(schemas)
        .json::<Vend>(schemas, "The vend; `accepted` once the company has believed the receipt.")
        .problems(&[
            NO_VEND,
            (409, &[WRONG_STATE, METER_FROZEN, METER_REPLACED, BOOKS_RESTORED, TOKEN_UNKNOWN, VEND_UNKNOWN]),
            NOT_BELIEVED,
        ]),
    ]
}

fn of_phones(schemas: &mut SchemaGenerator) -> Vec<Operation> {
    const PHONE: &str = "The phone's Ed25519 public key.";
    vec![
        operation(
            "POST /v1/nonces",
            "ask_nonce",
            "An ask message for a meter; with `phone_key`, the status that answers it can enrol that phone.",
        )
        .body::<NonceWanted>(schemas)
        .json::<Nonce>(schemas, "The ask message, to be sent to the card.")
        .problems(&[(404, &[METER_UNKNOWN]), UPSTREAM]),
        operation(
            "PUT /v1/enrolments/{phone_key}",
            "enrol_phone",
            "Proof of presence: a fresh status that answers a nonce made for this phone.",
        )
        .proven(Proof::Phone)
        .parameter::<PublicKeyHex>(schemas, "path", "phone_key", PHONE)
        .body::<EnrolmentWanted>(schemas)
        .json::<Enrolment>(schemas, "The enrolment, and what the meter lacks.")
        .problems(&[
            UNSIGNED,
            (404, &[NO_SUCH_ENDPOINT, METER_UNKNOWN]),
            (409, &[NONCE_NOT_LIVE, METER_FROZEN, METER_REPLACED, BOOKS_RESTORED]),
            NOT_BELIEVED,
            UPSTREAM,
        ]),
        operation(
            "DELETE /v1/enrolments/{phone_key}",
            "revoke_phone",
            "End an enrolment, by any enrolled phone of the meter.",
        )
        .proven(Proof::Phone)
        .parameter::<PublicKeyHex>(schemas, "path", "phone_key", PHONE)
        .body::<EnrolmentRevoked>(schemas)
        .empty(204, "It is ended, or there was none.")
        .problems(&[UNSIGNED, NOT_HERE, (404, &[NO_SUCH_ENDPOINT])]),
    ]
}

fn of_meters(schemas: &mut SchemaGenerator) -> Vec<Operation> {
    vec![
        operation(
            "PUT /v1/meters/{meter}/tokens/{seq}/receipt",
            "deliver_token_receipt",
            "The meter's answer to a token that no vend of this phone brought.",
        )
        .meter(schemas)
        .parameter::<u32>(schemas, "path", "seq", "The token's sequence.")
        .body::<TokenDelivered>(schemas)
        .json::<TokenTaken>(schemas, "What the meter lacks now.")
        .problems(&[
            (404, &[NO_SUCH_ENDPOINT, METER_UNKNOWN, TOKEN_UNKNOWN]),
            (409, &[METER_FROZEN, METER_REPLACED, BOOKS_RESTORED]),
            NOT_BELIEVED,
            UPSTREAM,
        ]),
        operation(
            "POST /v1/meters/{meter}/asks",
            "fetch_asks",
            "Ask messages to read the meter with where there is no internet, live for 35 days.",
        )
        .proven(Proof::Phone)
        .meter(schemas)
        .body::<AsksWanted>(schemas)
        .json::<Asks>(schemas, "The ask messages.")
        .problems(&[
            UNSIGNED,
            NOT_HERE,
            (404, &[NO_SUCH_ENDPOINT, METER_UNKNOWN]),
            UPSTREAM,
        ]),
        operation(
            "PUT /v1/meters/{meter}/records",
            "upload_records",
            "Stored readings, at most 200; kept all or none, each number once.",
        )
        .proven(Proof::Phone)
        .meter(schemas)
        .body::<RecordsUploaded>(schemas)
        .json::<RecordsKept>(schemas, "What was kept.")
        .problems(&[
            UNSIGNED,
            NOT_HERE,
            (404, &[NO_SUCH_ENDPOINT, METER_UNKNOWN]),
            (409, &[ID_REUSED, BOOKS_RESTORED]),
            NOT_BELIEVED,
            UPSTREAM,
        ]),
        operation(
            "GET /v1/meters/{meter}",
            "show_meter",
            "State, readings and purchases of a meter.",
        )
        .proven(Proof::Phone)
        .meter(schemas)
        .parameter::<bool>(
            schemas,
            "query",
            "records",
            "Whether the readings come too; they do where this is left out.",
        )
        .json::<Meter>(schemas, "What an enrolled phone sees.")
        .problems(&[
            (400, &[BODY_MALFORMED]),
            UNSIGNED,
            NOT_HERE,
            (404, &[NO_SUCH_ENDPOINT]),
        ]),
    ]
}
