//! What the page is told, as JSON. The TypeScript side of these types is `web/src/lib/core/types.ts`.

use gas_api::cloud::{Consent, ReceiptDelivered, Vend, VendWanted};
use gas_api::pay::PaymentRequest;
use gas_api::{HexBytes, Problem, Want};
use gas_phone::{CarryStep, Ending, EventError, ReceiptFile, Step};
use gas_statement::Quote;
use gas_units::{MeterNumber, UnixMillis, UnixTime, VendId, Volume};
use serde::Serialize;

/// Our own types always become JSON.
pub(crate) fn json(value: &impl Serialize) -> String {
    gas_json::to_string(value).unwrap_or_default()
}

/// [`Step`]. A step with `body` is a request to the cloud with that body.
#[derive(Debug, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub(crate) enum StepShown {
    ReadStatus,
    Begin { body: VendWanted },
    Offer,
    OpenTender { body: Consent, after_ms: u32 },
    Pay { request: PaymentRequest },
    Confirm { body: Consent },
    Follow { after_version: u32 },
    NameDelivery,
    AskCard { after_ms: u32 },
    UploadReceipt { body: ReceiptDelivered },
    End { ending: EndingShown },
}

/// [`Ending`].
#[derive(Debug, Serialize)]
#[serde(tag = "ending", rename_all = "snake_case")]
pub(crate) enum EndingShown {
    Accepted { receipt: Box<ReceiptFile> },
    RefundPending { receipt: Box<ReceiptFile> },
    Refunded { receipt: Box<ReceiptFile> },
    Declined,
    Refused { problem: Problem },
    Expired,
}

impl From<Step> for StepShown {
    fn from(step: Step) -> Self {
        match step {
            Step::ReadStatus => Self::ReadStatus,
            Step::Begin(body) => Self::Begin { body },
            Step::Offer => Self::Offer,
            Step::OpenTender { consent, after_ms } => Self::OpenTender {
                body: consent,
                after_ms,
            },
            Step::Pay(request) => Self::Pay { request },
            Step::Confirm(body) => Self::Confirm { body },
            Step::Follow { after_version } => Self::Follow { after_version },
            Step::NameDelivery => Self::NameDelivery,
            Step::AskCard { after_ms, .. } => Self::AskCard { after_ms },
            Step::UploadReceipt(body) => Self::UploadReceipt { body },
            Step::End(ending) => Self::End {
                ending: ending.into(),
            },
        }
    }
}

impl From<Ending> for EndingShown {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Accepted(receipt) => Self::Accepted { receipt },
            Ending::RefundPending(receipt) => Self::RefundPending { receipt },
            Ending::Refunded(receipt) => Self::Refunded { receipt },
            Ending::Declined => Self::Declined,
            Ending::Refused(problem) => Self::Refused { problem },
            Ending::Expired => Self::Expired,
        }
    }
}

/// [`CarryStep`].
#[derive(Debug, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub(crate) enum CarryStepShown {
    NameDelivery,
    AskCard { after_ms: u32 },
    Upload { seq: u32, receipt: HexBytes },
    ReadAgain,
}

impl From<CarryStep> for CarryStepShown {
    fn from(step: CarryStep) -> Self {
        match step {
            CarryStep::NameDelivery => Self::NameDelivery,
            CarryStep::AskCard { after_ms, .. } => Self::AskCard { after_ms },
            CarryStep::Upload { seq, receipt } => Self::Upload { seq, receipt },
            CarryStep::ReadAgain => Self::ReadAgain,
        }
    }
}

/// Why an event changed nothing: `code` for the page, `detail` in words.
#[derive(Debug, Serialize)]
pub(crate) struct Unapplied {
    code: &'static str,
    detail: String,
    /// For `refused`: what the server said.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Box<Problem>>,
    /// For `other_meter`: the meter that is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    meter: Option<MeterNumber>,
}

impl From<EventError> for Unapplied {
    fn from(error: EventError) -> Self {
        let detail = error.to_string();
        let (code, problem, meter) = match error {
            EventError::Distrust(_) => ("distrust", None, None),
            EventError::Refused(problem) => ("refused", Some(problem), None),
            EventError::OtherMeter(meter) => ("other_meter", None, Some(meter)),
            EventError::MeterRefused(_) => ("meter_refused", None, None),
            EventError::Card(_) => ("card", None, None),
            EventError::Unexpected => ("unexpected", None, None),
        };
        Self {
            code,
            detail,
            problem,
            meter,
        }
    }
}

/// A vend as its page shows it.
#[derive(Debug, Serialize)]
pub(crate) struct TopUpShown<'a> {
    pub(crate) vend_id: VendId,
    pub(crate) meter: MeterNumber,
    pub(crate) want: Want,
    pub(crate) begun_at_ms: UnixMillis,
    pub(crate) is_open: bool,
    pub(crate) may_be_paid: bool,
    /// As the cloud last showed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) vend: Option<&'a Vend>,
    /// Its quote, genuine and computed again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) quote: Option<Quote>,
}

/// A status or a receipt of a meter, as read. Only the company can tell whether it is genuine.
#[derive(Debug, Serialize)]
pub(crate) struct StatusShown {
    pub(crate) meter: MeterNumber,
    pub(crate) last_seq: u32,
    pub(crate) total: u32,
    pub(crate) balance: i32,
    pub(crate) register_centi_m3: Volume,
    pub(crate) meter_time: UnixTime,
    pub(crate) flags: u16,
    pub(crate) battery_percent: u8,
}

/// Body of CARD.
#[derive(Debug, Serialize)]
pub(crate) struct CardShown {
    pub(crate) firmware: [u8; 3],
    pub(crate) meter: Option<MeterNumber>,
    pub(crate) answered_s_ago: Option<u32>,
}

/// One stored reading.
#[derive(Debug, Serialize)]
pub(crate) struct ReadingShown {
    pub(crate) number: u32,
    pub(crate) time: UnixTime,
    pub(crate) register_centi_m3: Volume,
    pub(crate) balance: i32,
}

/// The profile's UUIDs.
#[derive(Debug, Serialize)]
pub(crate) struct ProfileShown {
    pub(crate) service: String,
    pub(crate) info: String,
    pub(crate) request: String,
    pub(crate) response: String,
    pub(crate) bond: String,
    pub(crate) name_prefix: &'static str,
}

/// Info.
#[derive(Debug, Serialize)]
pub(crate) struct InfoShown {
    pub(crate) card_name: String,
    pub(crate) needs_pairing: bool,
    pub(crate) token_waits: bool,
    pub(crate) meter_answered: bool,
}
