-- A reservation ends a day after its quote, whoever forgot to give it up.
ALTER TABLE reservations ADD COLUMN ends_at_ms INTEGER NOT NULL DEFAULT 0;
-- Those of before were reserved while their quote was valid, and quotes were valid for 15 minutes.
UPDATE reservations SET ends_at_ms = reserved_at_ms + 900000 + 86400000;
