//! The phone's core: link session, outbox, resume
