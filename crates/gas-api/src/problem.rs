use gas_json::FromJson;
use serde::{Deserialize, Serialize};

/// What went wrong, for people and programs (RFC 9457, `application/problem+json`).
#[derive(Clone, Debug, Deserialize, Eq, FromJson, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    /// Always `about:blank`: `code` says which problem it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status again.
    pub status: u16,
    /// Which problem, for programs: one of [`codes`].
    pub code: String,
    /// What happened, in one line.
    pub title: String,
    /// What happened here, and what was not lost.
    pub detail: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// For `tender_open`: the vend whose payment is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vend_id: Option<gas_units::VendId>,
    /// The newest token of the meter (56 bytes), where the gas company has not seen it on the meter yet: any
    /// phone may deliver it, and reports the receipt by its sequence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<crate::HexBytes>,
}

/// The problem codes. Programs match on these, never on texts.
pub mod codes {
    macro_rules! codes {
        ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
            $($(#[$doc])* pub const $name: &str = $code;)*
        };
    }
    codes! {
        /// 400: the body is not the JSON that was wanted.
        BODY_MALFORMED = "body_malformed";
        /// 413: more than 64 KiB.
        BODY_TOO_LARGE = "body_too_large";
        /// 401: no or wrong access key or signature.
        UNAUTHORIZED = "unauthorized";
        /// 404: no such path.
        NO_SUCH_ENDPOINT = "no_such_endpoint";
        /// 405: no such method there.
        METHOD_NOT_ALLOWED = "method_not_allowed";
        /// 500: our fault; ask again by the same id.
        INTERNAL = "internal";
        /// 503: a server behind this one does not answer; nothing is lost, ask again by the same id.
        UPSTREAM_UNAVAILABLE = "upstream_unavailable";
        /// 429: too many requests.
        TOO_MANY_REQUESTS = "too_many_requests";
        /// 409: this id was used before with other contents.
        ID_REUSED = "id_reused";
        /// 404: no such vend.
        VEND_UNKNOWN = "vend_unknown";
        /// 404: this company knows no such meter.
        METER_UNKNOWN = "meter_unknown";
        /// 403: this phone was not enrolled for this meter.
        NOT_ENROLLED = "not_enrolled";
        /// 422: a message of the meter cannot be parsed.
        MESSAGE_MALFORMED = "message_malformed";
        /// 422: the tag of a status, receipt or record does not hold.
        MESSAGE_FORGED = "message_forged";
        /// 422: a message of another meter than the one named.
        OTHER_METER = "other_meter";
        /// 409: the nonce is unknown, used or expired.
        NONCE_NOT_LIVE = "nonce_not_live";
        /// 409: the meter's genuine state contradicts the issue log; the meter is frozen for sales.
        METER_FROZEN = "meter_frozen";
        /// 409: a refund waits for the meter's answer; nothing is sold meanwhile, what was paid is issued after it.
        DEBIT_OPEN = "debit_open";
        /// 422: order, quote and payment of a refund do not belong together.
        REFUND_DIFFERS = "refund_differs";
        /// 409: the money of this vend goes back, or went back, under another refund id.
        REFUNDED_BEFORE = "refunded_before";
        /// 409: the order's debit is of an epoch before the one that the meter's payments were given out for.
        EPOCH_PASSED = "epoch_passed";
        /// 404: no such refund.
        REFUND_UNKNOWN = "refund_unknown";
        /// 409: another meter stands in this one's place; nothing is sold to it any more.
        METER_REPLACED = "meter_replaced";
        /// 409: the meter cannot be replaced by that one, or not yet.
        NOT_REPLACEABLE = "not_replaceable";
        /// 404: no such replacement.
        REPLACEMENT_UNKNOWN = "replacement_unknown";
        /// 409: the meter's key cannot be changed to that generation, or not yet.
        KEY_NOT_CHANGED = "key_not_changed";
        /// 404: no such key change of this meter.
        KEY_CHANGE_UNKNOWN = "key_change_unknown";
        /// 404: no such token of this meter.
        TOKEN_UNKNOWN = "token_unknown";
        /// 409: the gas company's books were restored; the meter must show its newest token first.
        BOOKS_RESTORED = "books_restored";
        /// 422: the amount or volume wanted cannot be sold.
        WANT_NOT_SELLABLE = "want_not_sellable";
        /// 409: over the meter's limit.
        OVER_LIMIT = "over_limit";
        /// 409: another payment for this meter is under way; `vend_id` says which.
        TENDER_OPEN = "tender_open";
        /// 410: the quote is no longer valid; ask for a new one.
        QUOTE_EXPIRED = "quote_expired";
        /// 409: a newer reading or sale has made the quote out of date; ask for a new one.
        QUOTE_STALE = "quote_stale";
        /// 409: the newest reading is too old to quote from; read the meter.
        READING_TOO_OLD = "reading_too_old";
        /// 409: payment was asked for in another way before; that request stands.
        PRESENTATION_DIFFERS = "presentation_differs";
        /// 409: the quote hash is not that of this vend's quote.
        QUOTE_DIFFERS = "quote_differs";
        /// 422: a statement's signature or form does not hold.
        STATEMENT_FORGED = "statement_forged";
        /// 422: the amounts of quote and payment differ.
        AMOUNT_MISMATCH = "amount_mismatch";
        /// 409: this step does not fit the vend's state.
        WRONG_STATE = "wrong_state";
        /// 404: no such tender.
        TENDER_UNKNOWN = "tender_unknown";
        /// 401: a notification without a valid signature, or too old.
        NOTIFICATION_FORGED = "notification_forged";
        /// 401: the provider's signature probe; refusing it is the right answer.
        SIGNATURE_PROBE = "signature_probe";
        /// 409: the provider tells another amount, merchant or order than ours; kept aside, nothing issued.
        PROVIDER_CONTRADICTS = "provider_contradicts";
    }
}
