//! The payment system server
