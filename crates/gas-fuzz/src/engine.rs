//! One target inside libFuzzer. `gas-fuzz run` starts it; the target's name is in `FUZZ_TARGET`.
#![no_main]

use std::sync::OnceLock;

use gas_fuzz::Target;
use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<&'static Target> = OnceLock::new();

#[expect(clippy::panic, reason = "the engine can only be told by a panic")]
fn named_target() -> &'static Target {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    gas_fuzz::target(&name).unwrap_or_else(|| panic!("FUZZ_TARGET names no target: {name:?}"))
}

fuzz_target!(|bytes: &[u8]| (TARGET.get_or_init(named_target).run)(bytes));
