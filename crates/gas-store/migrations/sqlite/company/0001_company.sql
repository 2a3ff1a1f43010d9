-- The gas company's database. Amounts are in the meter's unit (fen or 0.01 m³) unless named otherwise.

CREATE TABLE meters (
    meter               TEXT    NOT NULL PRIMARY KEY,
    unit                INTEGER NOT NULL CONSTRAINT meters_unit CHECK (unit IN (1, 2)),
    generation          INTEGER NOT NULL,
    tariff              TEXT    NOT NULL, -- JSON
    balance_limit       INTEGER NOT NULL,
    sale_limit_fen      INTEGER NOT NULL,
    epoch               INTEGER NOT NULL CONSTRAINT meters_epoch CHECK (epoch BETWEEN 0 AND 255),
    counter             INTEGER NOT NULL CONSTRAINT meters_counter CHECK (counter BETWEEN 0 AND 16777215),
    total               INTEGER NOT NULL CONSTRAINT meters_total CHECK (total BETWEEN 0 AND 4294967295),
    last_tid            INTEGER NOT NULL CONSTRAINT meters_tid CHECK (last_tid BETWEEN 0 AND 16777215),
    frozen              INTEGER NOT NULL CONSTRAINT meters_frozen CHECK (frozen IN (0, 1)),
    year                INTEGER NOT NULL,
    year_start_register INTEGER NOT NULL, -- 0.01 m³
    year_purchased      INTEGER NOT NULL, -- 0.01 m³
    believed_id         INTEGER REFERENCES believed_states (id),
    -- Raised by every change: who decided on an older version changes nothing.
    version             INTEGER NOT NULL
) STRICT;

-- States that were believed, in the order in which they were; the newest is that of meters.believed_id.
CREATE TABLE believed_states (
    id              INTEGER NOT NULL PRIMARY KEY,
    meter           TEXT    NOT NULL REFERENCES meters (meter),
    last_seq        INTEGER NOT NULL,
    last_tag        BLOB    NOT NULL,
    total           INTEGER NOT NULL,
    keypad          INTEGER NOT NULL,
    balance         INTEGER NOT NULL,
    register        INTEGER NOT NULL, -- 0.01 m³
    meter_time      INTEGER NOT NULL,
    flags           INTEGER NOT NULL,
    battery_percent INTEGER,
    message         BLOB    NOT NULL, -- as it came: the proof
    message_sha256  BLOB    NOT NULL,
    believed_at_ms  INTEGER NOT NULL
) STRICT;

-- Every token ever issued. A state of the meter is held against it, so it is written once and for ever.
CREATE TABLE issue_log (
    meter        TEXT    NOT NULL REFERENCES meters (meter),
    seq          INTEGER NOT NULL,
    total        INTEGER NOT NULL,
    tag          BLOB    NOT NULL,
    tid          INTEGER NOT NULL,
    vend_id      TEXT    NOT NULL,
    token        BLOB    NOT NULL,
    issued_at_ms INTEGER NOT NULL,
    -- One writer per meter: a sequence is given to one token only.
    CONSTRAINT issue_log_one_token_per_seq UNIQUE (meter, seq),
    -- Exactly once: a vend is issued one token only, however often it is asked for.
    CONSTRAINT issue_log_one_token_per_vend UNIQUE (vend_id)
) STRICT;
CREATE TRIGGER issue_log_never_changes BEFORE UPDATE ON issue_log
BEGIN SELECT RAISE(ABORT, 'issue_log is append only'); END;
CREATE TRIGGER issue_log_never_shrinks BEFORE DELETE ON issue_log
BEGIN SELECT RAISE(ABORT, 'issue_log is append only'); END;

-- Challenges. One is used up by the first status that answers it; that very message may be shown again
-- until the challenge expires, no other.
CREATE TABLE nonces (
    meter         TEXT    NOT NULL REFERENCES meters (meter),
    nonce         BLOB    NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    used_by       BLOB, -- SHA-256 of the status
    CONSTRAINT nonces_once UNIQUE (meter, nonce)
) STRICT;
CREATE INDEX nonces_expiry ON nonces (expires_at_ms);

CREATE TABLE quotes (
    vend_id       TEXT    NOT NULL PRIMARY KEY,
    meter         TEXT    NOT NULL REFERENCES meters (meter),
    request       BLOB    NOT NULL, -- SHA-256 of what was asked: the same id never gets two quotes
    quote         TEXT    NOT NULL, -- compact JWS, ours
    created_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE reservations (
    vend_id        TEXT    NOT NULL PRIMARY KEY REFERENCES quotes (vend_id),
    meter          TEXT    NOT NULL REFERENCES meters (meter),
    state          TEXT    NOT NULL
        CONSTRAINT reservations_state CHECK (state IN ('open', 'released', 'issued')),
    reserved_at_ms INTEGER NOT NULL
) STRICT;
-- One payment under way per meter: limits would not hold otherwise.
CREATE UNIQUE INDEX reservations_one_open_per_meter ON reservations (meter) WHERE state = 'open';

CREATE TABLE sales (
    vend_id        TEXT    NOT NULL PRIMARY KEY REFERENCES quotes (vend_id),
    meter          TEXT    NOT NULL,
    seq            INTEGER NOT NULL,
    amount_fen     INTEGER NOT NULL,
    payment        TEXT    NOT NULL, -- compact JWS, the payment server's
    payment_sha256 BLOB    NOT NULL,
    issue          TEXT    NOT NULL, -- compact JWS, ours
    settlement     TEXT,             -- compact JWS, ours; NULL until a believed state shows the token
    settled_at_ms  INTEGER,
    CONSTRAINT sales_token FOREIGN KEY (meter, seq) REFERENCES issue_log (meter, seq)
) STRICT;
CREATE INDEX sales_open ON sales (meter, seq) WHERE settlement IS NULL;

-- Stored readings whose tags held, by the meter's own running number.
CREATE TABLE records (
    meter      TEXT    NOT NULL REFERENCES meters (meter),
    number     INTEGER NOT NULL,
    record     BLOB    NOT NULL, -- as it came: the proof
    kept_at_ms INTEGER NOT NULL,
    CONSTRAINT records_number UNIQUE (meter, number)
) STRICT;

-- For people: what a genuine message of a meter showed that must not be.
CREATE TABLE alarms (
    id           INTEGER NOT NULL PRIMARY KEY,
    meter        TEXT    NOT NULL REFERENCES meters (meter),
    kind         TEXT    NOT NULL
        CONSTRAINT alarms_kind CHECK (kind IN ('contradiction', 'record_conflict', 'token_refused')),
    detail       TEXT    NOT NULL,
    message      BLOB    NOT NULL,
    raised_at_ms INTEGER NOT NULL,
    -- The same message again is no news.
    CONSTRAINT alarms_once UNIQUE (meter, kind, message)
) STRICT;
