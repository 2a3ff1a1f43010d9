//! The tender's state machine as the payment server runs it, provider independent
