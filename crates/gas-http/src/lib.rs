//! How our servers speak HTTP: errors, access keys, limits, outbox dispatch
