//! A phone in the terminal
fn main() {}
