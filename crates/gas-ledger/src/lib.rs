//! Double-entry, append-only bookkeeping in integer minor units
