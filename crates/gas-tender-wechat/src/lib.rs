//! WeChat Pay API v3 as bytes: signing, answers, notifications (no IO)
