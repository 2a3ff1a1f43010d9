use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::api::{ApiError, transaction};
use crate::faults::NotificationFaults;
use crate::keys::KeyMode;
use crate::sandbox::Sandbox;
use crate::signature::sign_headers;
use crate::store::Notice;
use crate::time;

/// How long after a failed attempt the next one is made (s): 15 times within 24 h 4 min, then no
/// more (API v3, "payment notification").
pub const RETRY_DELAYS_S: [u32; 15] = [
    15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600,
];

/// The merchant must have answered after this time.
const ANSWER_TIME: Duration = Duration::from_secs(5);
/// So many notifications are sent at once.
const AT_ONCE: i64 = 32;
/// Extra copies of a notification, at most.
const COPIES_MAX: u8 = 10;
/// The longest nap between looks at the database; the bell ends it early.
const NAP_MAX_MS: i64 = 60_000;

/// Sends notifications as they become due, for ever.
pub async fn deliver_notifications(sandbox: Sandbox) {
    let client = reqwest::Client::builder()
        .timeout(ANSWER_TIME)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build();
    let client = match client {
        Ok(client) => client,
        Err(fault) => {
            tracing::error!(%fault, "no notifications will be sent");
            return;
        }
    };
    loop {
        match sandbox.store.due(sandbox.now(), AT_ONCE).await {
            Ok(due) if due.is_empty() => nap(&sandbox).await,
            Ok(due) => {
                let mut sending = JoinSet::new();
                for notice in due {
                    sending.spawn(attempt(sandbox.clone(), client.clone(), notice));
                }
                sending.join_all().await;
            }
            Err(fault) => {
                tracing::error!(%fault, "notifications cannot be read; trying again");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Waits for the bell or the next notification's time.
async fn nap(sandbox: &Sandbox) {
    let next = sandbox.store.next_due_ms().await.ok().flatten();
    let wait = next.map_or(NAP_MAX_MS, |next| next.saturating_sub(sandbox.now()));
    let wait = Duration::from_millis(wait.clamp(0, NAP_MAX_MS).unsigned_abs());
    tokio::select! {
        () = sandbox.bell.notified() => {}
        () = tokio::time::sleep(wait) => {}
    }
}

async fn attempt(sandbox: Sandbox, client: reqwest::Client, notice: Notice) {
    let (lost, faults) = {
        let mut faults = sandbox.faults();
        (faults.take_notification_loss(), faults.notification.clone())
    };
    let mut delivered = false;
    if !lost {
        for _ in 0..=faults.extra_copies.min(COPIES_MAX) {
            delivered |= send(&sandbox, &client, &notice, &faults).await;
        }
    }
    let now_ms = sandbox.now();
    let delay_ms = retry_delay_ms(notice.attempts, sandbox.config.notification_speedup);
    let next_ms = delay_ms
        .filter(|_| !delivered)
        .map(|delay| now_ms.saturating_add(delay));
    let order = notice.out_trade_no.as_str();
    tracing::info!(
        order,
        attempt = notice.attempts + 1,
        delivered,
        ?next_ms,
        "notification"
    );
    let entered = sandbox
        .store
        .attempted(&notice, next_ms, delivered.then_some(now_ms))
        .await;
    if let Err(fault) = entered {
        tracing::error!(order, %fault, "the attempt is not entered; it will be made again");
    }
}

/// How long to wait after a failure that `attempts` others went before (ms); `None` when it was
/// the last attempt.
fn retry_delay_ms(attempts: i64, speedup: u32) -> Option<i64> {
    let delay_s = RETRY_DELAYS_S.get(usize::try_from(attempts).ok()?)?;
    Some(i64::from(*delay_s) * 1000 / i64::from(speedup.max(1)))
}

/// Sends one copy; true when the merchant took it.
async fn send(
    sandbox: &Sandbox,
    client: &reqwest::Client,
    notice: &Notice,
    faults: &NotificationFaults,
) -> bool {
    let Ok(Some(order)) = sandbox.store.by_number(&notice.out_trade_no).await else {
        return false;
    };
    let told = transaction(&sandbox.keys, &order, i64::from(faults.amount_offset_fen));
    let mode = if order.by_public_key {
        KeyMode::PublicKey
    } else {
        KeyMode::Certificate
    };
    let Ok(body) = message(sandbox, notice, &told) else {
        return false;
    };
    let body = body.to_string().into_bytes();
    let Ok(headers) = sign_headers(&sandbox.keys, mode, &body, sandbox.now(), faults.signature)
    else {
        return false;
    };
    let request = client
        .post(&order.notify_url)
        .header("content-type", "application/json")
        .header("user-agent", "Mozilla/4.0")
        .headers(headers)
        .body(body);
    match request.send().await {
        Ok(answer) => matches!(answer.status().as_u16(), 200 | 204),
        Err(fault) => {
            tracing::debug!(%fault, "the merchant did not answer");
            false
        }
    }
}

fn message(sandbox: &Sandbox, notice: &Notice, told: &Value) -> Result<Value, ApiError> {
    let mut resource = sandbox
        .keys
        .seal(&told.to_string(), "transaction")
        .map_err(|fault| ApiError::internal(&fault.to_string()))?;
    resource["original_type"] = json!("transaction");
    Ok(json!({
        "id": notice.event_id,
        "create_time": time::beijing(notice.created_ms),
        "resource_type": "encrypt-resource",
        "event_type": "TRANSACTION.SUCCESS",
        "summary": "支付成功",
        "resource": resource,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_follow_the_documented_schedule_and_end() {
        assert_eq!(retry_delay_ms(0, 1), Some(15_000));
        assert_eq!(retry_delay_ms(14, 1), Some(21_600_000));
        assert_eq!(retry_delay_ms(15, 1), None);
        let total: u32 = RETRY_DELAYS_S.iter().sum();
        assert_eq!(
            total,
            24 * 3600 + 4 * 60,
            "24 h 4 min, says the documentation"
        );
        assert_eq!(retry_delay_ms(3, 100), Some(1_800));
        assert_eq!(retry_delay_ms(0, 0), Some(15_000));
    }
}
