-- The payment server's database.

-- One tender per vend. `tender` is the core's state as JSON; the columns beside it are what rules and
-- look-ups need. `version` guards every update: two writers never both win.
CREATE TABLE tenders (
    vend_id      TEXT    NOT NULL,
    order_no     TEXT    NOT NULL,
    version      INTEGER NOT NULL,
    state        TEXT    NOT NULL,
    amount_fen   INTEGER NOT NULL,
    tender       TEXT    NOT NULL,
    quote        TEXT    NOT NULL, -- the company's signed quote, as it came
    payment      TEXT,             -- our signed statement, once paid
    created_at_ms INTEGER NOT NULL,
    CONSTRAINT tenders_pk PRIMARY KEY (vend_id),
    CONSTRAINT tenders_order_no_unique UNIQUE (order_no),
    CONSTRAINT tenders_amount_positive CHECK (amount_fen > 0),
    CONSTRAINT tenders_paid_has_statement CHECK ((state = 'paid') = (payment IS NOT NULL))
) STRICT;

-- Notifications taken in. A provider repeats them; the same one twice is one.
CREATE TABLE notifications (
    provider       TEXT    NOT NULL,
    event_id       TEXT    NOT NULL,
    order_no       TEXT    NOT NULL,
    received_at_ms INTEGER NOT NULL,
    CONSTRAINT notifications_pk PRIMARY KEY (provider, event_id)
) STRICT;

-- The book: append only. The id makes posting twice the same transfer.
CREATE TABLE transfers (
    transfer_id TEXT    NOT NULL,
    debit       TEXT    NOT NULL, -- JSON of the account
    credit      TEXT    NOT NULL,
    amount_fen  INTEGER NOT NULL,
    vend_id     TEXT    NOT NULL,
    at_ms       INTEGER NOT NULL,
    CONSTRAINT transfers_pk PRIMARY KEY (transfer_id),
    CONSTRAINT transfers_amount_positive CHECK (amount_fen > 0),
    CONSTRAINT transfers_two_accounts CHECK (debit <> credit)
) STRICT;

CREATE TRIGGER transfers_never_change BEFORE UPDATE ON transfers
BEGIN SELECT RAISE(ABORT, 'transfers are append only: correct with a new transfer'); END;
CREATE TRIGGER transfers_never_go BEFORE DELETE ON transfers
BEGIN SELECT RAISE(ABORT, 'transfers are append only: correct with a new transfer'); END;

CREATE TABLE outbox (
    effect_id  TEXT    NOT NULL PRIMARY KEY, -- made by the core: one effect, one id, for ever
    vend_id    TEXT    NOT NULL,
    effect     TEXT    NOT NULL,             -- JSON of the core's effect
    attempts   INTEGER NOT NULL DEFAULT 0,
    due_at_ms  INTEGER NOT NULL,
    done_at_ms INTEGER                       -- NULL: still to be performed
) STRICT;
CREATE INDEX outbox_due ON outbox (due_at_ms) WHERE done_at_ms IS NULL;
