//! The payment system server
fn main() {}
