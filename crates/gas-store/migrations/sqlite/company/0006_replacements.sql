-- Meters that are replaced, keys that are changed. Debits and reversals may be those of a replacement, and a
-- token may carry the credit of a replaced meter: such tokens have no vend. SQLite cannot loosen a column's
-- rule, so two tables are made anew; what names their rows is looked at when the migration ends.
PRAGMA defer_foreign_keys = ON;

CREATE TABLE issue_log_before AS SELECT * FROM issue_log;
DROP TABLE issue_log;
CREATE TABLE issue_log (
    meter        TEXT    NOT NULL REFERENCES meters (meter),
    seq          INTEGER NOT NULL,
    kind         TEXT    NOT NULL
        CONSTRAINT issue_log_kind CHECK (kind IN ('sale', 'debit', 'reversal', 'epoch', 'carry')),
    total        INTEGER NOT NULL,
    tag          BLOB    NOT NULL,
    tid          INTEGER NOT NULL,
    vend_id      TEXT, -- the vend sold, or taken back
    token        BLOB    NOT NULL,
    issued_at_ms INTEGER NOT NULL,
    CONSTRAINT issue_log_vend CHECK (kind NOT IN ('sale', 'epoch', 'carry') OR (vend_id IS NULL) = (kind <> 'sale')),
    -- One writer per meter: a sequence is given to one token only.
    CONSTRAINT issue_log_one_token_per_seq UNIQUE (meter, seq)
) STRICT;
INSERT INTO issue_log (meter, seq, kind, total, tag, tid, vend_id, token, issued_at_ms)
    SELECT meter, seq, kind, total, tag, tid, vend_id, token, issued_at_ms FROM issue_log_before;
DROP TABLE issue_log_before;
CREATE TRIGGER issue_log_never_changes BEFORE UPDATE ON issue_log
BEGIN SELECT RAISE(ABORT, 'issue_log is append only'); END;
CREATE TRIGGER issue_log_never_shrinks BEFORE DELETE ON issue_log
BEGIN SELECT RAISE(ABORT, 'issue_log is append only'); END;
-- Exactly once: a vend is sold one token only, however often it is asked for.
CREATE UNIQUE INDEX issue_log_one_sale_per_vend ON issue_log (vend_id) WHERE kind = 'sale';

CREATE TABLE alarms_before AS SELECT * FROM alarms;
DROP TABLE alarms;
CREATE TABLE alarms (
    id           INTEGER NOT NULL PRIMARY KEY,
    meter        TEXT    NOT NULL REFERENCES meters (meter),
    kind         TEXT    NOT NULL
        CONSTRAINT alarms_kind CHECK (kind IN
            ('contradiction', 'record_conflict', 'token_refused', 'declared_dead', 'retired_meter')),
    detail       TEXT    NOT NULL,
    message      BLOB    NOT NULL,
    raised_at_ms INTEGER NOT NULL,
    -- The same message again is no news.
    CONSTRAINT alarms_once UNIQUE (meter, kind, message)
) STRICT;
INSERT INTO alarms (id, meter, kind, detail, message, raised_at_ms)
    SELECT id, meter, kind, detail, message, raised_at_ms FROM alarms_before;
DROP TABLE alarms_before;

-- Meters whose credit goes, or went, to the meter in their place.
CREATE TABLE replacements (
    replacement_id TEXT    NOT NULL PRIMARY KEY,
    meter          TEXT    NOT NULL REFERENCES meters (meter), -- the old one
    new_meter      TEXT    NOT NULL REFERENCES meters (meter),
    reason         TEXT    NOT NULL, -- for people
    approved_by    TEXT,             -- JSON, two names; where the old meter was declared dead
    state          TEXT    NOT NULL
        CONSTRAINT replacements_state CHECK (state IN ('open', 'reversed', 'carry_due', 'carried', 'closed')),
    credit         INTEGER NOT NULL, -- in the unit of both
    debit_seq      INTEGER NOT NULL,
    debit_tag      BLOB    NOT NULL, -- its first 4 bytes
    reversal_seq   INTEGER,
    statement      TEXT,             -- compact JWS, ours; signed once, when the credit has left
    carry_seq      INTEGER,          -- of the new meter's token
    asked_at_ms    INTEGER NOT NULL,
    CONSTRAINT replacements_debit FOREIGN KEY (meter, debit_seq) REFERENCES issue_log (meter, seq),
    CONSTRAINT replacements_reversal FOREIGN KEY (meter, reversal_seq) REFERENCES issue_log (meter, seq),
    CONSTRAINT replacements_carry FOREIGN KEY (new_meter, carry_seq) REFERENCES issue_log (meter, seq),
    CONSTRAINT replacements_statement CHECK ((statement IS NULL) = (state IN ('open', 'reversed', 'closed'))),
    CONSTRAINT replacements_carried CHECK ((carry_seq IS NULL) = (state <> 'carried'))
) STRICT;
-- A meter is replaced once; again only where it kept its credit.
CREATE UNIQUE INDEX replacements_one_per_meter ON replacements (meter) WHERE state <> 'closed';
CREATE INDEX replacements_incoming ON replacements (new_meter) WHERE state IN ('open', 'reversed', 'carry_due');

-- The same tokens under a newer key generation than that of issue_log. Written once and for ever.
CREATE TABLE seals (
    meter        TEXT    NOT NULL,
    seq          INTEGER NOT NULL,
    generation   INTEGER NOT NULL,
    token        BLOB    NOT NULL,
    sealed_at_ms INTEGER NOT NULL,
    CONSTRAINT seals_token FOREIGN KEY (meter, seq) REFERENCES issue_log (meter, seq),
    CONSTRAINT seals_one_per_generation UNIQUE (meter, seq, generation)
) STRICT;
CREATE TRIGGER seals_never_change BEFORE UPDATE ON seals
BEGIN SELECT RAISE(ABORT, 'seals is append only'); END;
CREATE TRIGGER seals_never_shrink BEFORE DELETE ON seals
BEGIN SELECT RAISE(ABORT, 'seals is append only'); END;

-- Tokens that give a meter the key of its next generation.
CREATE TABLE key_changes (
    meter       TEXT    NOT NULL REFERENCES meters (meter),
    generation  INTEGER NOT NULL, -- the new one
    token       BLOB    NOT NULL, -- sealed under the one before
    asked_at_ms INTEGER NOT NULL,
    CONSTRAINT key_changes_once UNIQUE (meter, generation)
) STRICT;

ALTER TABLE meters ADD COLUMN replacement_id TEXT REFERENCES replacements (replacement_id); -- open, or done
ALTER TABLE meters ADD COLUMN retired_register INTEGER; -- 0.01 m³; NULL until it is replaced
ALTER TABLE meters ADD COLUMN retired_dead INTEGER NOT NULL DEFAULT 0
    CONSTRAINT meters_retired_dead CHECK (retired_dead IN (0, 1));
ALTER TABLE meters ADD COLUMN carried_in INTEGER NOT NULL DEFAULT 0;
ALTER TABLE meters ADD COLUMN carried_out INTEGER NOT NULL DEFAULT 0;
ALTER TABLE meters ADD COLUMN next_generation INTEGER;
-- The household's part of the tariff year at meters that were replaced, 0.01 m³.
ALTER TABLE meters ADD COLUMN moved_used INTEGER NOT NULL DEFAULT 0;
ALTER TABLE meters ADD COLUMN moved_purchased INTEGER NOT NULL DEFAULT 0;
ALTER TABLE meters ADD COLUMN before_moved_used INTEGER NOT NULL DEFAULT 0;
ALTER TABLE meters ADD COLUMN before_moved_purchased INTEGER NOT NULL DEFAULT 0;
