-- What the payment server is to be told, until it has answered (gas_store::outbox).
CREATE TABLE outbox (
    effect_id  TEXT    NOT NULL PRIMARY KEY, -- one effect, one id, for ever
    vend_id    TEXT    NOT NULL,
    effect     TEXT    NOT NULL,             -- JSON
    attempts   INTEGER NOT NULL DEFAULT 0,
    due_at_ms  INTEGER NOT NULL,
    done_at_ms INTEGER                       -- NULL: still to be performed
) STRICT;
CREATE INDEX outbox_due ON outbox (due_at_ms) WHERE done_at_ms IS NULL;
INSERT INTO outbox (effect_id, vend_id, effect, due_at_ms)
    SELECT 'refund:' || refund_id, vend_id, '{"hand_refund_order":{"refund_id":"' || refund_id || '"}}', 0
    FROM refunds WHERE state = 'money_due';
