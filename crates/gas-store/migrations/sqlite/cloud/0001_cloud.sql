-- The cloud's database.

-- One row per vend. `vend` is the core's state as JSON; the columns beside it are what rules and look-ups
-- need. `version` guards every update: two writers never both win. `request_sha256` tells the same request
-- repeated from another one under the same id.
CREATE TABLE vends (
    vend_id        TEXT    NOT NULL,
    meter          TEXT    NOT NULL,
    state          TEXT    NOT NULL,
    paid           INTEGER NOT NULL, -- 1: shown in the meter's history
    version        INTEGER NOT NULL,
    vend           TEXT    NOT NULL,
    request_sha256 TEXT    NOT NULL,
    begun_at_ms    INTEGER NOT NULL,
    CONSTRAINT vends_pk PRIMARY KEY (vend_id),
    CONSTRAINT vends_paid_is_bool CHECK (paid IN (0, 1))
) STRICT;
CREATE INDEX vends_history ON vends (meter, begun_at_ms) WHERE paid = 1;

-- States reached, in order. Append only.
CREATE TABLE timeline (
    vend_id TEXT    NOT NULL REFERENCES vends (vend_id),
    place   INTEGER NOT NULL,
    state   TEXT    NOT NULL,
    at_ms   INTEGER NOT NULL,
    CONSTRAINT timeline_pk PRIMARY KEY (vend_id, place)
) STRICT;
CREATE TRIGGER timeline_never_changes BEFORE UPDATE ON timeline
BEGIN SELECT RAISE(ABORT, 'the timeline is append only'); END;
CREATE TRIGGER timeline_never_goes BEFORE DELETE ON timeline
BEGIN SELECT RAISE(ABORT, 'the timeline is append only'); END;

-- The customer's consent to exactly one quote. Append only.
CREATE TABLE consents (
    vend_id         TEXT    NOT NULL REFERENCES vends (vend_id),
    quote_hash      TEXT    NOT NULL,
    consented_at_ms INTEGER NOT NULL,
    CONSTRAINT consents_pk PRIMARY KEY (vend_id)
) STRICT;
CREATE TRIGGER consents_never_change BEFORE UPDATE ON consents
BEGIN SELECT RAISE(ABORT, 'consents are append only'); END;
CREATE TRIGGER consents_never_go BEFORE DELETE ON consents
BEGIN SELECT RAISE(ABORT, 'consents are append only'); END;

-- Nonces asked for by a phone that wants to prove its presence. Used once.
CREATE TABLE nonces (
    nonce         TEXT    NOT NULL,
    meter         TEXT    NOT NULL,
    phone_key     TEXT    NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    used_at_ms    INTEGER,
    CONSTRAINT nonces_pk PRIMARY KEY (meter, nonce)
) STRICT;
CREATE INDEX nonces_expiry ON nonces (expires_at_ms);

-- Phones that may see a meter's data. `nonce` is the one whose answer proved presence.
CREATE TABLE enrolments (
    meter          TEXT    NOT NULL,
    phone_key      TEXT    NOT NULL,
    nonce          TEXT    NOT NULL,
    enrolled_at_ms INTEGER NOT NULL,
    CONSTRAINT enrolments_pk PRIMARY KEY (meter, phone_key)
) STRICT;

-- The newest state of a meter that the company believes, as its JSON.
CREATE TABLE states (
    meter          TEXT    NOT NULL,
    believed_at_ms INTEGER NOT NULL,
    state          TEXT    NOT NULL,
    CONSTRAINT states_pk PRIMARY KEY (meter)
) STRICT;

-- Stored readings whose tags the company has found to hold. A number is never given twice.
CREATE TABLE records (
    meter  TEXT    NOT NULL,
    number INTEGER NOT NULL,
    record BLOB    NOT NULL,
    CONSTRAINT records_pk PRIMARY KEY (meter, number)
) STRICT;

CREATE TABLE outbox (
    effect_id  TEXT    NOT NULL PRIMARY KEY, -- made by the core: one effect, one id, for ever
    vend_id    TEXT    NOT NULL,
    effect     TEXT    NOT NULL,             -- JSON of the core's effect
    attempts   INTEGER NOT NULL DEFAULT 0,
    due_at_ms  INTEGER NOT NULL,
    done_at_ms INTEGER,                      -- NULL: still to be performed
    -- Ids begin with the receiver's name: one server that does not answer must not hold up the other.
    receiver   TEXT GENERATED ALWAYS AS (substr(effect_id, 1, instr(effect_id, '/'))) VIRTUAL
) STRICT;
CREATE INDEX outbox_due ON outbox (receiver, due_at_ms) WHERE done_at_ms IS NULL;
