//! All states, none of them wrong; and each planted fault is found.

use gas_credit_model::{
    CAN_BE_CLOSED, CreditModel, EXACT_AT_REST, Fault, NEVER_ABOVE, PROOF_ONLY,
    SETTLED_IS_ON_THE_METER,
};
use stateright::{Checker as _, HasDiscoveries, Model as _};

#[test]
fn the_whole_town_is_explored_and_every_state_is_right() {
    let checker = CreditModel::default()
        .checker()
        .threads(2)
        .spawn_bfs()
        .join();
    println!(
        "{} states, {} ways between them, depth {}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth()
    );
    checker.assert_properties();
    // A town that lost half of what can happen would pass, too.
    assert!(checker.unique_state_count() > 150_000);
}

/// Explores the town with this fault until it breaks the property, and gives the number of steps to it.
#[expect(
    clippy::print_stdout,
    reason = "the counterexample, for people who look"
)]
fn found(fault: Fault, property: &'static str) -> usize {
    let checker = CreditModel::with(fault)
        .checker()
        .finish_when(HasDiscoveries::AllOf([property].into()))
        .spawn_bfs()
        .join();
    let steps = checker.assert_any_discovery(property).into_actions();
    println!("{fault:?}: {property:?} fails: {steps:?}");
    steps.len()
}

#[test]
fn each_planted_fault_is_found() {
    for (fault, property) in [
        (Fault::NoSequenceCheck, NEVER_ABOVE),
        (Fault::MoneyWithoutProof, PROOF_ONLY),
        (Fault::SellsWhileDebitIsOpen, CAN_BE_CLOSED),
        (Fault::SettledWhenDelivered, SETTLED_IS_ON_THE_METER),
        (Fault::IssuesAgain, NEVER_ABOVE),
        (Fault::AnyRefusalReverses, EXACT_AT_REST),
    ] {
        assert!(found(fault, property) > 0);
    }
}
