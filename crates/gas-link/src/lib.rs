//! The Bluetooth profile between phone and card: UUIDs, segments, messages
