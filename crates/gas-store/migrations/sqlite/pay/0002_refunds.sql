-- Money on its way back: one refund for each vend, all of what was paid. `refund` is the core's state as JSON.
CREATE TABLE refunds (
    refund_id     TEXT    NOT NULL,
    vend_id       TEXT    NOT NULL,
    version       INTEGER NOT NULL,
    state         TEXT    NOT NULL,
    amount_fen    INTEGER NOT NULL,
    refund        TEXT    NOT NULL,
    refund_order  TEXT    NOT NULL, -- the company's signed order, as it came
    refunded      TEXT,             -- our signed statement, once the money is back
    created_at_ms INTEGER NOT NULL,
    CONSTRAINT refunds_pk PRIMARY KEY (refund_id),
    CONSTRAINT refunds_vend_unique UNIQUE (vend_id),
    CONSTRAINT refunds_vend_fk FOREIGN KEY (vend_id) REFERENCES tenders (vend_id),
    CONSTRAINT refunds_amount_positive CHECK (amount_fen > 0),
    CONSTRAINT refunds_done_has_statement CHECK ((state = 'refunded') = (refunded IS NOT NULL))
) STRICT;

-- The facts of a meter were given out for this epoch: orders of older epochs are refused since.
CREATE TABLE fences (
    meter TEXT    NOT NULL,
    epoch INTEGER NOT NULL,
    CONSTRAINT fences_pk PRIMARY KEY (meter),
    CONSTRAINT fences_epoch_range CHECK (epoch BETWEEN 0 AND 255)
) STRICT;

CREATE INDEX tenders_paid_of_meter ON tenders (json_extract(tender, '$.meter')) WHERE payment IS NOT NULL;
