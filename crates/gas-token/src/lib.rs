//! The recharge data as bytes anyone may carry: token, receipt, status, record (no keys)
