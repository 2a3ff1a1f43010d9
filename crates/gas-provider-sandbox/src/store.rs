use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{Error, Row as _};

const ORDER_COLUMNS: &str = "SELECT out_trade_no, request, description, attach, notify_url, \
    total_fen, expires_ms, token, token_ends_ms, by_public_key, trade_type, state, transaction_id, \
    paid_ms, \
    EXISTS (SELECT 1 FROM refunds WHERE refunds.out_trade_no = orders.out_trade_no) AS refunding \
    FROM orders WHERE ";

/// The orders, payments and notifications, in SQLite.
///
/// Write-ahead log without a sync per commit: a killed program loses nothing.
#[derive(Clone)]
pub(crate) struct Store(SqlitePool);

/// How far an order is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum State {
    NotPaid,
    Paid {
        transaction_id: String,
        paid_ms: i64,
        /// All or part of it was asked back since.
        refunding: bool,
    },
    Closed,
}

/// How an order is paid (`trade_type`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TradeType {
    /// A code is scanned.
    Native,
    /// In a browser, which is sent to the cashier and back.
    H5,
}

impl TradeType {
    /// The provider's word for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Native => "NATIVE",
            Self::H5 => "MWEB",
        }
    }
}

/// One order. Times are ms since 1970.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) out_trade_no: String,
    pub(crate) request: String,
    pub(crate) description: String,
    pub(crate) attach: String,
    pub(crate) notify_url: String,
    pub(crate) total_fen: i64,
    pub(crate) expires_ms: i64,
    pub(crate) token: String,
    pub(crate) token_ends_ms: i64,
    pub(crate) by_public_key: bool,
    pub(crate) trade_type: TradeType,
    pub(crate) state: State,
}

impl Order {
    /// Whether the code that was given out last can be paid with at `now_ms`.
    pub(crate) const fn is_payable(&self, now_ms: i64) -> bool {
        matches!(self.state, State::NotPaid)
            && now_ms < self.expires_ms
            && now_ms < self.token_ends_ms
    }
}

/// What a prepay call came to.
#[derive(Debug)]
pub(crate) enum Prepaid {
    /// The code to pay with is this order's token.
    Open,
    /// The number was used before, with other parameters.
    Changed,
    /// Not payable any more: so is the order's state, or not paid and its time is over.
    Over(State),
}

/// What a call to close came to.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Closing {
    Closed,
    Paid,
    NoSuchOrder,
}

/// A payment as it is made.
pub(crate) struct Paying<'a> {
    pub(crate) token: &'a str,
    pub(crate) transaction_id: String,
    pub(crate) event_id: String,
    pub(crate) now_ms: i64,
    pub(crate) notify_ms: i64,
}

/// A notification to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    pub(crate) event_id: String,
    pub(crate) out_trade_no: String,
    pub(crate) created_ms: i64,
    /// How often it was tried.
    pub(crate) attempts: i64,
    /// When it is tried next.
    pub(crate) next_ms: Option<i64>,
    pub(crate) delivered_ms: Option<i64>,
}

impl Store {
    pub(crate) async fn open(path: &Path) -> Result<Self, Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10));
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            .connect_with(options)
            .await?;
        sqlx::migrate!().run(&pool).await?;
        Ok(Self(pool))
    }

    /// The database.
    pub(crate) const fn pool(&self) -> &SqlitePool {
        &self.0
    }

    /// Enters `order`, or gives the order of this number its new token.
    pub(crate) async fn prepay(&self, order: &Order, now_ms: i64) -> Result<Prepaid, Error> {
        let mut tx = self.0.begin_with("BEGIN IMMEDIATE").await?;
        let entered = sqlx::query(
            "INSERT INTO orders (out_trade_no, request, description, attach, notify_url, \
             total_fen, expires_ms, token, token_ends_ms, by_public_key, trade_type, state) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'NOTPAY') ON CONFLICT DO NOTHING",
        )
        .bind(&order.out_trade_no)
        .bind(&order.request)
        .bind(&order.description)
        .bind(&order.attach)
        .bind(&order.notify_url)
        .bind(order.total_fen)
        .bind(order.expires_ms)
        .bind(&order.token)
        .bind(order.token_ends_ms)
        .bind(order.by_public_key)
        .bind(order.trade_type.name())
        .execute(&mut *tx)
        .await?;
        if entered.rows_affected() == 1 {
            tx.commit().await?;
            return Ok(Prepaid::Open);
        }
        let query = sqlx::AssertSqlSafe(format!("{ORDER_COLUMNS} out_trade_no = ?"));
        let known = read_order(
            &sqlx::query(query)
                .bind(&order.out_trade_no)
                .fetch_one(&mut *tx)
                .await?,
        )?;
        if (known.trade_type, &known.request) != (order.trade_type, &order.request) {
            return Ok(Prepaid::Changed);
        }
        if known.state != State::NotPaid || now_ms >= known.expires_ms {
            return Ok(Prepaid::Over(known.state));
        }
        sqlx::query(
            "UPDATE orders SET token = ?, token_ends_ms = ?, by_public_key = ? \
             WHERE out_trade_no = ?",
        )
        .bind(&order.token)
        .bind(order.token_ends_ms)
        .bind(order.by_public_key)
        .bind(&order.out_trade_no)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(Prepaid::Open)
    }

    pub(crate) async fn by_number(&self, number: &str) -> Result<Option<Order>, Error> {
        self.order("out_trade_no = ?", number).await
    }

    pub(crate) async fn by_transaction(&self, id: &str) -> Result<Option<Order>, Error> {
        self.order("transaction_id = ?", id).await
    }

    pub(crate) async fn by_token(&self, token: &str) -> Result<Option<Order>, Error> {
        self.order("token = ?", token).await
    }

    async fn order(&self, which: &'static str, value: &str) -> Result<Option<Order>, Error> {
        let query = sqlx::AssertSqlSafe(format!("{ORDER_COLUMNS} {which}"));
        let row = sqlx::query(query)
            .bind(value)
            .fetch_optional(&self.0)
            .await?;
        row.as_ref().map(read_order).transpose()
    }

    pub(crate) async fn close(&self, number: &str) -> Result<Closing, Error> {
        let closed = sqlx::query(
            "UPDATE orders SET state = 'CLOSED' WHERE out_trade_no = ? AND state <> 'SUCCESS'",
        )
        .bind(number)
        .execute(&self.0)
        .await?;
        if closed.rows_affected() == 1 {
            return Ok(Closing::Closed);
        }
        Ok(match self.by_number(number).await? {
            Some(_) => Closing::Paid,
            None => Closing::NoSuchOrder,
        })
    }

    /// Pays once: true when this call did it. The notification is entered with the payment.
    pub(crate) async fn pay(&self, paying: &Paying<'_>) -> Result<bool, Error> {
        let mut tx = self.0.begin_with("BEGIN IMMEDIATE").await?;
        let paid = sqlx::query(
            "UPDATE orders SET state = 'SUCCESS', transaction_id = ?, paid_ms = ? \
             WHERE token = ? AND state = 'NOTPAY' AND expires_ms > ? AND token_ends_ms > ? \
             RETURNING out_trade_no",
        )
        .bind(&paying.transaction_id)
        .bind(paying.now_ms)
        .bind(paying.token)
        .bind(paying.now_ms)
        .bind(paying.now_ms)
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = paid else {
            return Ok(false);
        };
        sqlx::query(
            "INSERT INTO notifications (event_id, out_trade_no, created_ms, attempts, next_ms) \
             VALUES (?, ?, ?, 0, ?)",
        )
        .bind(&paying.event_id)
        .bind(row.try_get::<String, _>("out_trade_no")?)
        .bind(paying.now_ms)
        .bind(paying.notify_ms)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Notifications whose time has come, the longest waiting first.
    pub(crate) async fn due(&self, now_ms: i64, limit: i64) -> Result<Vec<Notice>, Error> {
        sqlx::query("SELECT * FROM notifications WHERE next_ms <= ? ORDER BY next_ms LIMIT ?")
            .bind(now_ms)
            .bind(limit)
            .fetch_all(&self.0)
            .await?
            .iter()
            .map(read_notice)
            .collect()
    }

    /// When the next notification is to be sent.
    pub(crate) async fn next_due_ms(&self) -> Result<Option<i64>, Error> {
        sqlx::query("SELECT min(next_ms) FROM notifications WHERE next_ms IS NOT NULL")
            .fetch_one(&self.0)
            .await?
            .try_get(0)
    }

    /// Enters what an attempt came to: delivered, or to be tried again at `next_ms` (never, when
    /// that is `None`). Does nothing if the notification was changed since `notice` was read.
    pub(crate) async fn attempted(
        &self,
        notice: &Notice,
        next_ms: Option<i64>,
        delivered_ms: Option<i64>,
    ) -> Result<(), Error> {
        sqlx::query(
            "UPDATE notifications SET attempts = attempts + 1, next_ms = ?, \
             delivered_ms = coalesce(delivered_ms, ?) \
             WHERE event_id = ? AND attempts = ? AND next_ms IS ?",
        )
        .bind(next_ms)
        .bind(delivered_ms)
        .bind(&notice.event_id)
        .bind(notice.attempts)
        .bind(notice.next_ms)
        .execute(&self.0)
        .await?;
        Ok(())
    }

    /// Has an order's notification sent again at `now_ms`; false when it has none.
    pub(crate) async fn send_again(&self, number: &str, now_ms: i64) -> Result<bool, Error> {
        let done = sqlx::query("UPDATE notifications SET next_ms = ? WHERE out_trade_no = ?")
            .bind(now_ms)
            .bind(number)
            .execute(&self.0)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    pub(crate) async fn notice(&self, number: &str) -> Result<Option<Notice>, Error> {
        let row = sqlx::query("SELECT * FROM notifications WHERE out_trade_no = ?")
            .bind(number)
            .fetch_optional(&self.0)
            .await?;
        row.as_ref().map(read_notice).transpose()
    }
}

fn read_order(row: &SqliteRow) -> Result<Order, Error> {
    let state = match row.try_get::<String, _>("state")?.as_str() {
        "NOTPAY" => State::NotPaid,
        "CLOSED" => State::Closed,
        // The table's rules leave nothing else.
        _ => State::Paid {
            transaction_id: row.try_get("transaction_id")?,
            paid_ms: row.try_get("paid_ms")?,
            refunding: row.try_get("refunding")?,
        },
    };
    Ok(Order {
        out_trade_no: row.try_get("out_trade_no")?,
        request: row.try_get("request")?,
        description: row.try_get("description")?,
        attach: row.try_get("attach")?,
        notify_url: row.try_get("notify_url")?,
        total_fen: row.try_get("total_fen")?,
        expires_ms: row.try_get("expires_ms")?,
        token: row.try_get("token")?,
        token_ends_ms: row.try_get("token_ends_ms")?,
        by_public_key: row.try_get("by_public_key")?,
        trade_type: match row.try_get::<String, _>("trade_type")?.as_str() {
            "MWEB" => TradeType::H5,
            // The table's rules leave nothing else.
            _ => TradeType::Native,
        },
        state,
    })
}

fn read_notice(row: &SqliteRow) -> Result<Notice, Error> {
    Ok(Notice {
        event_id: row.try_get("event_id")?,
        out_trade_no: row.try_get("out_trade_no")?,
        created_ms: row.try_get("created_ms")?,
        attempts: row.try_get("attempts")?,
        next_ms: row.try_get("next_ms")?,
        delivered_ms: row.try_get("delivered_ms")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(token: &str) -> Order {
        Order {
            out_trade_no: "ORDER1".to_owned(),
            request: "{}".to_owned(),
            description: "gas".to_owned(),
            attach: String::new(),
            notify_url: "https://pay.example/notify".to_owned(),
            total_fen: 1,
            expires_ms: 1000,
            token: token.to_owned(),
            token_ends_ms: 1000,
            by_public_key: false,
            trade_type: TradeType::Native,
            state: State::NotPaid,
        }
    }

    #[tokio::test]
    async fn an_attempt_that_ends_late_does_not_undo_a_newer_request_to_send() {
        let dir = tempfile::TempDir::new().unwrap();
        let store = Store::open(&dir.path().join("orders.sqlite"))
            .await
            .unwrap();
        store.prepay(&order("t"), 0).await.unwrap();
        let paying = Paying {
            token: "t",
            transaction_id: "4200".to_owned(),
            event_id: "EV-1".to_owned(),
            now_ms: 1,
            notify_ms: 1,
        };
        assert!(store.pay(&paying).await.unwrap());
        assert!(!store.pay(&paying).await.unwrap(), "once");

        let begun = store.due(1, 10).await.unwrap().remove(0);
        assert!(store.send_again("ORDER1", 5).await.unwrap());
        store.attempted(&begun, None, Some(6)).await.unwrap();
        let again = store.due(5, 10).await.unwrap().remove(0);
        assert_eq!((again.attempts, again.delivered_ms), (0, None));

        store.attempted(&again, None, Some(7)).await.unwrap();
        let told = store.notice("ORDER1").await.unwrap().unwrap();
        assert_eq!(
            (told.attempts, told.next_ms, told.delivered_ms),
            (1, None, Some(7))
        );
        assert_eq!(store.next_due_ms().await.unwrap(), None);
    }
}
