-- Tokens that are no sale: a debit takes a sale back, its reversal gives it back to the meter, the first
-- token of an epoch follows a restore. SQLite cannot loosen a column's rule, so both tables are made anew.
CREATE TABLE issue_log_new (
    meter        TEXT    NOT NULL REFERENCES meters (meter),
    seq          INTEGER NOT NULL,
    kind         TEXT    NOT NULL
        CONSTRAINT issue_log_kind CHECK (kind IN ('sale', 'debit', 'reversal', 'epoch')),
    total        INTEGER NOT NULL,
    tag          BLOB    NOT NULL,
    tid          INTEGER NOT NULL,
    vend_id      TEXT, -- the vend sold, or taken back
    token        BLOB    NOT NULL,
    issued_at_ms INTEGER NOT NULL,
    CONSTRAINT issue_log_vend CHECK ((vend_id IS NULL) = (kind = 'epoch')),
    -- One writer per meter: a sequence is given to one token only.
    CONSTRAINT issue_log_one_token_per_seq UNIQUE (meter, seq)
) STRICT;
INSERT INTO issue_log_new (meter, seq, kind, total, tag, tid, vend_id, token, issued_at_ms)
    SELECT meter, seq, 'sale', total, tag, tid, vend_id, token, issued_at_ms FROM issue_log;

CREATE TABLE sales_new (
    vend_id        TEXT    NOT NULL PRIMARY KEY REFERENCES quotes (vend_id),
    meter          TEXT    NOT NULL,
    seq            INTEGER NOT NULL,
    amount_fen     INTEGER NOT NULL,
    payment        TEXT    NOT NULL, -- compact JWS, the payment server's
    payment_sha256 BLOB    NOT NULL,
    issue          TEXT    NOT NULL, -- compact JWS, ours
    settlement     TEXT,             -- compact JWS, ours; NULL until a believed state shows the token
    settled_at_ms  INTEGER,
    CONSTRAINT sales_token FOREIGN KEY (meter, seq) REFERENCES issue_log_new (meter, seq)
) STRICT;
INSERT INTO sales_new (vend_id, meter, seq, amount_fen, payment, payment_sha256, issue, settlement, settled_at_ms)
    SELECT vend_id, meter, seq, amount_fen, payment, payment_sha256, issue, settlement, settled_at_ms FROM sales;

DROP TABLE sales;
DROP TABLE issue_log;
ALTER TABLE issue_log_new RENAME TO issue_log;
ALTER TABLE sales_new RENAME TO sales;

CREATE TRIGGER issue_log_never_changes BEFORE UPDATE ON issue_log
BEGIN SELECT RAISE(ABORT, 'issue_log is append only'); END;
CREATE TRIGGER issue_log_never_shrinks BEFORE DELETE ON issue_log
BEGIN SELECT RAISE(ABORT, 'issue_log is append only'); END;
-- Exactly once: a vend is sold one token only, however often it is asked for.
CREATE UNIQUE INDEX issue_log_one_sale_per_vend ON issue_log (vend_id) WHERE kind = 'sale';
CREATE INDEX sales_open ON sales (meter, seq) WHERE settlement IS NULL;

-- Sales that were taken back, or are being taken back.
CREATE TABLE refunds (
    refund_id      TEXT    NOT NULL PRIMARY KEY,
    vend_id        TEXT    NOT NULL REFERENCES sales (vend_id),
    meter          TEXT    NOT NULL REFERENCES meters (meter),
    reason         TEXT    NOT NULL, -- for people
    state          TEXT    NOT NULL
        CONSTRAINT refunds_state CHECK (state IN ('open', 'reversed', 'money_due', 'refunded', 'closed')),
    credit         INTEGER NOT NULL, -- what the sale had added
    amount_fen     INTEGER NOT NULL,
    payment_sha256 BLOB    NOT NULL,
    sold_at_ms     INTEGER NOT NULL,
    debit_seq      INTEGER NOT NULL,
    debit_tag      BLOB    NOT NULL, -- its first 4 bytes
    reversal_seq   INTEGER,
    refund_order   TEXT,             -- compact JWS, ours; signed once
    refunded       TEXT,             -- compact JWS, the payment server's
    asked_at_ms    INTEGER NOT NULL,
    CONSTRAINT refunds_debit FOREIGN KEY (meter, debit_seq) REFERENCES issue_log (meter, seq),
    CONSTRAINT refunds_reversal FOREIGN KEY (meter, reversal_seq) REFERENCES issue_log (meter, seq),
    CONSTRAINT refunds_order CHECK ((refund_order IS NULL) = (state IN ('open', 'reversed', 'closed'))),
    CONSTRAINT refunds_done CHECK ((refunded IS NULL) = (state <> 'refunded'))
) STRICT;
-- A vend is taken back once; again only where the meter kept it and no money went back.
CREATE UNIQUE INDEX refunds_one_per_vend ON refunds (vend_id) WHERE state <> 'closed';
-- One debit that the meter has not answered for, per meter.
CREATE UNIQUE INDEX refunds_one_open_per_meter ON refunds (meter) WHERE state IN ('open', 'reversed');

ALTER TABLE meters ADD COLUMN debit_refund_id TEXT REFERENCES refunds (refund_id);
-- The tariff year before, to return to where the clock turns out to have been ahead.
ALTER TABLE meters ADD COLUMN before_year INTEGER;
ALTER TABLE meters ADD COLUMN before_start_register INTEGER; -- 0.01 m³
ALTER TABLE meters ADD COLUMN before_purchased INTEGER; -- 0.01 m³
