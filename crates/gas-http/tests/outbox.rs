//! The outbox runner against a store in memory.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gas_http::{BoxError, DueEffect, Outbox, OutboxRunner, Stop, Waker, now};
use gas_units::UnixMillis;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone)]
struct Row {
    due_at: UnixMillis,
    attempts: u32,
    failures_to_come: u32,
    panics: bool,
    done: bool,
}

#[derive(Default)]
struct Seen {
    running: BTreeMap<String, u32>,
    most_at_once: u32,
    overlapped: bool,
    performed: Vec<String>,
}

struct Memory {
    rows: Mutex<BTreeMap<String, Row>>,
    seen: watch::Sender<Seen>,
    gate: Semaphore,
    unreadable: Mutex<u32>,
}

impl Memory {
    fn new(gate: usize) -> Arc<Self> {
        Arc::new(Self {
            rows: Mutex::default(),
            seen: watch::Sender::new(Seen::default()),
            gate: Semaphore::new(gate),
            unreadable: Mutex::new(0),
        })
    }

    fn put(&self, id: &str, failures_to_come: u32, panics: bool) {
        let row = Row {
            due_at: now(),
            attempts: 0,
            failures_to_come,
            panics,
            done: false,
        };
        self.rows.lock().unwrap().insert(id.to_owned(), row);
    }

    fn row(&self, id: &str) -> Row {
        self.rows.lock().unwrap()[id].clone()
    }

    fn all_done(&self) -> bool {
        self.rows.lock().unwrap().values().all(|row| row.done)
    }

    async fn until(&self, wanted: impl FnMut(&Seen) -> bool) {
        let mut seen = self.seen.subscribe();
        timeout(PATIENCE, seen.wait_for(wanted))
            .await
            .unwrap()
            .unwrap();
    }
}

impl Outbox for Memory {
    type Effect = ();

    async fn due(&self, now: UnixMillis, limit: usize) -> Result<Vec<DueEffect<()>>, BoxError> {
        let unreadable = std::mem::take(&mut *self.unreadable.lock().unwrap());
        if unreadable > 0 {
            return Err("disk".into());
        }
        let rows = self.rows.lock().unwrap();
        let due = rows
            .iter()
            .filter(|(_, row)| !row.done && row.due_at <= now);
        let due = due.map(|(id, row)| DueEffect {
            id: id.clone(),
            attempts: row.attempts,
            effect: (),
        });
        Ok(due.take(limit).collect())
    }

    async fn next_due(&self) -> Result<Option<UnixMillis>, BoxError> {
        let rows = self.rows.lock().unwrap();
        Ok(rows
            .values()
            .filter(|row| !row.done)
            .map(|row| row.due_at)
            .min())
    }

    async fn perform(&self, due: DueEffect<()>) -> Result<(), BoxError> {
        self.seen.send_modify(|seen| {
            let mine = seen.running.entry(due.id.clone()).or_default();
            *mine += 1;
            seen.overlapped |= *mine > 1;
            seen.most_at_once = seen.most_at_once.max(seen.running.values().sum());
        });
        self.gate.acquire().await.unwrap().forget();
        let outcome = {
            let mut rows = self.rows.lock().unwrap();
            let row = rows.get_mut(&due.id).unwrap();
            if row.failures_to_come > 0 {
                row.failures_to_come -= 1;
                if row.panics {
                    None
                } else {
                    Some(Err("no answer".into()))
                }
            } else {
                row.done = true;
                Some(Ok(()))
            }
        };
        self.seen.send_modify(|seen| {
            seen.running.remove(&due.id);
            seen.performed.push(due.id);
        });
        outcome.unwrap()
    }

    async fn postpone(&self, id: &str, attempts: u32, now: UnixMillis) -> Result<(), BoxError> {
        let mut rows = self.rows.lock().unwrap();
        let row = rows.get_mut(id).unwrap();
        assert_eq!(row.attempts, attempts);
        row.attempts += 1;
        row.due_at = now.plus_millis(1);
        Ok(())
    }
}

struct Running {
    waker: Waker,
    stop: Stop,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start(memory: &Arc<Memory>) -> Self {
        let (waker, stop) = (Waker::new(), Stop::new());
        let runner = OutboxRunner::new(Arc::clone(memory), waker.clone());
        let task = tokio::spawn(runner.run(stop.clone()));
        Self { waker, stop, task }
    }

    async fn end(self) {
        self.stop.now();
        timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_waits_at_the_start_is_performed_and_so_is_what_a_wake_announces() {
    let memory = Memory::new(100);
    memory.put("before", 0, false);
    let running = Running::start(&memory);
    memory.until(|seen| seen.performed.len() == 1).await;
    // Nothing is due now, so only the wake can bring this one.
    memory.put("after", 0, false);
    running.waker.wake();
    memory.until(|seen| seen.performed.len() == 2).await;
    running.end().await;
    assert!(memory.all_done());
}

/// A request that is hung up on between its commit and the wake leaves an effect that nobody announces.
#[tokio::test]
async fn what_nobody_announces_is_performed_all_the_same() {
    let memory = Memory::new(100);
    memory.put("before", 0, false);
    let running = Running::start(&memory);
    memory.until(|seen| seen.performed.len() == 1).await;
    memory.put("unannounced", 0, false);
    memory.until(|seen| seen.performed.len() == 2).await;
    running.end().await;
    assert!(memory.all_done());
}

#[tokio::test]
async fn a_failure_and_a_panic_are_tried_again_until_done() {
    let memory = Memory::new(100);
    memory.put("fails", 12, false);
    memory.put("panics", 2, true);
    let running = Running::start(&memory);
    memory.until(|seen| seen.performed.len() == 16).await;
    running.end().await;
    assert!(memory.all_done());
    assert_eq!(
        (memory.row("fails").attempts, memory.row("panics").attempts),
        (12, 2)
    );
}

#[tokio::test]
async fn four_at_once_and_never_the_same_twice_at_a_time() {
    let memory = Memory::new(0);
    for number in 0..20 {
        memory.put(&format!("{number:02}"), u32::from(number % 3 == 0), false);
    }
    let running = Running::start(&memory);
    memory.until(|seen| seen.running.len() == 4).await;
    running.waker.wake();
    memory.gate.add_permits(100);
    memory.until(|seen| seen.performed.len() == 27).await;
    running.end().await;
    let seen = memory.seen.borrow();
    assert_eq!((seen.most_at_once, seen.overlapped), (4, false));
    assert!(memory.all_done());
}

#[tokio::test]
async fn one_that_hangs_does_not_hold_up_the_others() {
    let memory = Memory::new(0);
    memory.put("a-hangs", 0, false);
    let running = Running::start(&memory);
    memory.until(|seen| seen.running.len() == 1).await;
    memory.put("b", 0, false);
    running.waker.wake();
    memory.until(|seen| seen.running.len() == 2).await;
    memory.gate.add_permits(2);
    memory.until(|seen| seen.performed.len() == 2).await;
    running.end().await;
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_read_again() {
    let memory = Memory::new(100);
    memory.put("a", 0, false);
    *memory.unreadable.lock().unwrap() = 1;
    let running = Running::start(&memory);
    memory.until(|seen| seen.performed.len() == 1).await;
    running.end().await;
}

#[tokio::test]
async fn a_stop_lets_what_is_under_way_end_and_starts_nothing_more() {
    let memory = Memory::new(0);
    for number in 0..6 {
        memory.put(&number.to_string(), 0, false);
    }
    let running = Running::start(&memory);
    memory.until(|seen| seen.running.len() == 4).await;
    running.stop.now();
    tokio::task::yield_now().await;
    memory.gate.add_permits(100);
    timeout(PATIENCE, running.task).await.unwrap().unwrap();
    assert_eq!(memory.seen.borrow().performed.len(), 4);
}
