-- How the order is to be paid. A repeated call must come the same way, too.
ALTER TABLE orders ADD COLUMN trade_type TEXT NOT NULL DEFAULT 'NATIVE'
    CHECK (trade_type IN ('NATIVE', 'MWEB'));
