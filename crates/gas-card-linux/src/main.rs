//! The card on Linux: HCI, serial port and flash image around the card's core
fn main() {}
