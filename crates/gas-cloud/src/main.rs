//! The cloud data server
fn main() {}
