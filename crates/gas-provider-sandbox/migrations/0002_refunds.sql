-- One row per out_refund_no, for ever: the same number again is the same refund.
CREATE TABLE refunds (
    out_refund_no TEXT PRIMARY KEY,
    -- The first request as canonical JSON; a repeated call must be equal to it.
    request       TEXT NOT NULL,
    out_trade_no  TEXT NOT NULL REFERENCES orders (out_trade_no),
    refund_id     TEXT NOT NULL UNIQUE,
    refund_fen    INTEGER NOT NULL CHECK (refund_fen >= 1),
    status        TEXT NOT NULL CHECK (status IN ('PROCESSING', 'SUCCESS', 'CLOSED', 'ABNORMAL')),
    created_ms    INTEGER NOT NULL,
    success_ms    INTEGER,
    CHECK ((status = 'SUCCESS') = (success_ms IS NOT NULL))
) STRICT;

CREATE INDEX refunds_of_order ON refunds (out_trade_no);
