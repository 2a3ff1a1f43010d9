//! The servers' databases: rows, rules and outboxes on SQLite
