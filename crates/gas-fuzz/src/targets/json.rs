use core::fmt::Debug;

use gas_api::{Keys, Problem, Want, cloud};
use gas_json::FromJson;
use gas_phone::{History, ReceiptFile, TopUp};
use gas_units::{Money, UnixMillis, VendId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Target;

pub(super) const TARGET: Target = Target {
    name: "json",
    about: "what the page reads by gas-json: read alike by serde_json, and what is written reads back",
    run,
    seeds,
    smoke_runs: 6_000,
};

/// What servers say, and what a phone has saved.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = super::api::seeds();
    if let Ok(meter) = "26110000012345".parse() {
        let want = Want::AmountFen(Money::from_fen(5_000));
        let now = UnixMillis::from_millis(1_795_422_610_000);
        let top_up = TopUp::new(VendId::from_parts(1, [7; 10]), meter, want, now);
        seeds.extend(serde_json::to_vec(&History::new(meter)));
        seeds.extend(serde_json::to_vec(&top_up));
    }
    seeds
}

fn run(bytes: &[u8]) {
    alike::<cloud::Vend>(bytes);
    alike::<Problem>(bytes);
    alike::<Keys>(bytes);
    alike::<ReceiptFile>(bytes);
    alike::<TopUp>(bytes);
    alike::<History>(bytes);
}

/// serde_json takes more (a struct written as a list), never less, and reads nothing else.
fn alike<T: FromJson + DeserializeOwned + Serialize + PartialEq + Debug>(bytes: &[u8]) {
    let theirs = serde_json::from_slice::<T>(bytes);
    if let Ok(ours) = gas_json::from_slice::<T>(bytes) {
        let same = theirs.as_ref().is_ok_and(|theirs| *theirs == ours);
        assert!(same, "read as {ours:?}, and by serde_json as {theirs:?}");
    }
    if let Ok(theirs) = theirs {
        let text = serde_json::to_vec(&theirs).unwrap_or_default();
        let ours = gas_json::from_slice::<T>(&text);
        assert!(
            ours.as_ref().is_ok_and(|ours| *ours == theirs),
            "{theirs:?} reads back as {ours:?}"
        );
    }
}
