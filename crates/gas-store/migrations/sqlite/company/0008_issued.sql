-- How far all meters together have been issued to: held against the mark outside of this database. One row.
CREATE TABLE issued (
    id     INTEGER NOT NULL PRIMARY KEY CONSTRAINT issued_one_row CHECK (id = 1),
    epoch  INTEGER NOT NULL CONSTRAINT issued_epoch CHECK (epoch BETWEEN 0 AND 255), -- that every meter has begun
    tokens INTEGER NOT NULL  -- in issue_log
) STRICT;
INSERT INTO issued (id, epoch, tokens)
    SELECT 1, (SELECT COALESCE(MAX(epoch), 0) FROM meters), (SELECT COUNT(*) FROM issue_log);
CREATE TRIGGER issued_never_goes_back BEFORE UPDATE ON issued
WHEN NEW.epoch < OLD.epoch OR NEW.tokens < OLD.tokens
BEGIN SELECT RAISE(ABORT, 'issued never goes back'); END;
CREATE TRIGGER issued_stays BEFORE DELETE ON issued
BEGIN SELECT RAISE(ABORT, 'issued never goes back'); END;
