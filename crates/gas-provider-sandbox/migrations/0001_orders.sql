-- One row per out_trade_no, for ever: the provider never lets a number be used again.
CREATE TABLE orders (
    out_trade_no   TEXT PRIMARY KEY,
    -- The first request as canonical JSON; a repeated call must be equal to it.
    request        TEXT NOT NULL,
    description    TEXT NOT NULL,
    attach         TEXT NOT NULL,
    notify_url     TEXT NOT NULL,
    total_fen      INTEGER NOT NULL CHECK (total_fen >= 1),
    expires_ms     INTEGER NOT NULL,
    -- The last code that was given out; earlier ones are invalid.
    token          TEXT NOT NULL UNIQUE,
    token_ends_ms  INTEGER NOT NULL,
    -- The merchant asked by a public key's id, so notifications are signed with that key.
    by_public_key  INTEGER NOT NULL CHECK (by_public_key IN (0, 1)),
    state          TEXT NOT NULL CHECK (state IN ('NOTPAY', 'SUCCESS', 'CLOSED')),
    transaction_id TEXT UNIQUE,
    paid_ms        INTEGER,
    CHECK ((state = 'SUCCESS') = (transaction_id IS NOT NULL)),
    CHECK ((state = 'SUCCESS') = (paid_ms IS NOT NULL))
) STRICT;

-- Written in the same transaction as the payment, so that none is forgotten.
CREATE TABLE notifications (
    event_id     TEXT PRIMARY KEY,
    out_trade_no TEXT NOT NULL UNIQUE REFERENCES orders (out_trade_no),
    created_ms   INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    -- When to send it next; NULL once it was delivered or given up.
    next_ms      INTEGER,
    delivered_ms INTEGER
) STRICT;

CREATE INDEX notifications_due ON notifications (next_ms) WHERE next_ms IS NOT NULL;
