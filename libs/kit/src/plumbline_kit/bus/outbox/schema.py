"""The tables of outbox and inbox."""

from typing import Final

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS outbox (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic       text NOT NULL,
    key         text NOT NULL,
    body        bytea,
    event_id    text NOT NULL,
    event_time  timestamptz NOT NULL DEFAULT now(),
    traceparent text NOT NULL,
    UNIQUE (topic, event_id)
);
CREATE TABLE IF NOT EXISTS outbox_relay (
    only_row         boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    transactional_id text NOT NULL DEFAULT 'outbox-' || gen_random_uuid(),
    positions        jsonb NOT NULL DEFAULT '[]'
);
INSERT INTO outbox_relay DEFAULT VALUES ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS inbox (
    consumer_group text NOT NULL,
    event_id       text NOT NULL,
    receive_time   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer_group, event_id)
);
"""
"""Idempotent; run it in the schema (search_path) of the service's connections."""

CHANNEL: Final = "plumbline_outbox"
"""Where a commit with new rows is announced."""
