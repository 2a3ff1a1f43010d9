//! The vend's state machine as the cloud runs it
