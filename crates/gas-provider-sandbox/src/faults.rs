use serde::{Deserialize, Serialize};

/// How the provider misbehaves. `PUT /sandbox/faults` replaces all of it (what is left out is
/// off), `GET` shows it, `DELETE` turns all off. Never kept: a restart turns all off.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// What goes wrong with notifications.
    pub notification: NotificationFaults,
    /// What goes wrong with answers of the API.
    pub answer: AnswerFaults,
    /// What goes wrong with refunds.
    pub refund: RefundFaults,
}

/// What goes wrong with refunds.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RefundFaults {
    /// This many of the next refunds are refused with 403 NOT_ENOUGH.
    pub refuse_next: u32,
    /// What a refund under way has become when somebody asks; `PROCESSING` keeps it under way.
    pub outcome: RefundStatus,
    /// Added to the amounts told (fen).
    pub amount_offset_fen: i32,
}

/// How far a refund is, in the provider's words.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RefundStatus {
    /// Under way.
    Processing,
    /// The money is back.
    #[default]
    Success,
    /// Ended without money.
    Closed,
    /// A person has to say where the money goes.
    Abnormal,
}

impl RefundStatus {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Processing => "PROCESSING",
            Self::Success => "SUCCESS",
            Self::Closed => "CLOSED",
            Self::Abnormal => "ABNORMAL",
        }
    }
}

/// What goes wrong with notifications.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct NotificationFaults {
    /// This many of the next attempts are not sent, and retried as if they had failed.
    pub lose_next: u32,
    /// Every attempt is sent this many times more, at most 10.
    pub extra_copies: u8,
    /// New notifications wait this long before the first attempt (ms).
    pub delay_ms: u32,
    /// How attempts are signed.
    pub signature: SignatureFault,
    /// Added to the amounts told (fen).
    pub amount_offset_fen: i32,
}

/// What goes wrong with answers of the API.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnswerFaults {
    /// This many of the next calls that change something succeed, and the connection is then
    /// closed without an answer.
    pub lose_next: u32,
    /// This many of the next calls that change something succeed, and are then answered with 500
    /// SYSTEM_ERROR.
    pub fail_next: u32,
    /// How answers are signed.
    pub signature: SignatureFault,
    /// Added to the amounts that queries are answered with (fen).
    pub query_amount_offset_fen: i32,
}

/// How something is signed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SignatureFault {
    /// As it should be.
    #[default]
    None,
    /// Not at all.
    Missing,
    /// Right, but ten minutes ago.
    Stale,
    /// The provider's probe: `WECHATPAY/SIGNTEST/` and a signature that does not fit.
    Probe,
    /// Right, but under a serial nobody knows.
    WrongSerial,
    /// By the right key over other bytes.
    Wrong,
}

/// What is to happen to the answer of one call that changed something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AnswerFate {
    Sent,
    Lost,
    Failed,
}

impl Faults {
    /// Uses up one call's fault.
    pub(crate) const fn take_answer_fate(&mut self) -> AnswerFate {
        if self.answer.lose_next > 0 {
            self.answer.lose_next -= 1;
            return AnswerFate::Lost;
        }
        if self.answer.fail_next > 0 {
            self.answer.fail_next -= 1;
            return AnswerFate::Failed;
        }
        AnswerFate::Sent
    }

    /// Uses up one refund's refusal; true when it must be refused.
    pub(crate) const fn take_refund_refusal(&mut self) -> bool {
        let refused = self.refund.refuse_next > 0;
        self.refund.refuse_next = self.refund.refuse_next.saturating_sub(1);
        refused
    }

    /// Uses up one attempt's loss; true when the attempt must not be sent.
    pub(crate) const fn take_notification_loss(&mut self) -> bool {
        let lost = self.notification.lose_next > 0;
        self.notification.lose_next = self.notification.lose_next.saturating_sub(1);
        lost
    }
}
