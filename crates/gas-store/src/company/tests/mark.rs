//! The mark, and how far the books have come.

use std::sync::{Arc, Mutex};

use super::{Keys, NOW, both, key, meter, quote, sell};
use crate::company::{Issued, Mark, RestoreOutcome};
use crate::sqlite::StoreError;

const fn at(epoch: u8, tokens: u64) -> Issued {
    Issued { epoch, tokens }
}

#[tokio::test]
async fn books_count_what_they_hold_and_end_a_restore_with_its_last_meter() {
    let (_dir, stores) = both().await;
    for store in stores {
        let first = quote(&store, 1).await;
        assert_eq!(store.issued().await.unwrap(), at(0, 0));
        sell(&store, &first).await;
        sell(&store, &first).await;
        assert_eq!(store.issued().await.unwrap(), at(0, 1));
        let mark = Mark::in_memory();
        let store = store.marked(mark.clone());
        store.agree().await.unwrap();
        assert_eq!(mark.kept(), at(0, 1));
        assert_eq!(store.begin_epoch(None).await.unwrap(), 1);
        assert_eq!(mark.kept(), at(1, 0));
        assert_eq!(store.end_epoch(1).await.unwrap(), [meter()]);
        assert_eq!(store.issued().await.unwrap(), at(0, 1));
        let (keys, key) = (Keys(meter()), key());
        // An epoch that the mark does not know of is issued for nobody.
        let other = store.restore((meter(), 2), &[], &keys, &key, NOW).await;
        assert!(matches!(other, Err(StoreError::Behind(_))), "{other:?}");
        let begun = store.restore((meter(), 1), &[], &keys, &key, NOW).await;
        assert_eq!(begun.unwrap(), RestoreOutcome::Begun);
        let hidden = store.waiting_token(meter()).await;
        assert!(matches!(hidden, Err(StoreError::Behind(_))), "{hidden:?}");
        assert!(store.end_epoch(1).await.unwrap().is_empty());
        assert_eq!(store.issued().await.unwrap(), at(1, 2));
        assert_eq!(mark.kept(), at(1, 2));
        assert!(store.waiting_token(meter()).await.unwrap().is_some());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_never_goes_back_and_is_written_once_per_token_at_most() {
    let written = Arc::new(Mutex::new(Vec::new()));
    let mark = Mark::new(at(0, 3), {
        let written = Arc::clone(&written);
        move |issued| {
            written.lock().unwrap().push(issued);
            Ok(())
        }
    });
    let raise = |tokens| {
        let mark = mark.clone();
        tokio::spawn(async move {
            mark.raise(at(0, tokens)).await.unwrap();
            assert!(mark.kept() >= at(0, tokens));
        })
    };
    let raised: Vec<_> = (0..60).rev().map(raise).collect();
    for raised in raised {
        raised.await.unwrap();
    }
    assert_eq!(mark.kept(), at(0, 59));
    let written = written.lock().unwrap();
    assert!(written.is_sorted_by(|one, next| one < next), "{written:?}");
    assert!(written.len() <= 56);
}
