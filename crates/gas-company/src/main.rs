//! The gas company's system server
fn main() {}
