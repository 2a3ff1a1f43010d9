//! A payment provider to test against: speaks WeChat Pay API v3, with a cashier page
