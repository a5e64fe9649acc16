-- Runs of a swarm: their history, the state that it comes down to, and what nodes ask people.
--
-- Texts of events are kept apart from them: what a node's state and its history both say is there once, and compaction drops
-- the history and the texts that no node needs any more.

CREATE TABLE runs (
    key               INTEGER PRIMARY KEY,
    id                BLOB    NOT NULL UNIQUE,
    namespace         INTEGER NOT NULL REFERENCES namespaces (key),
    goal              TEXT    NOT NULL,
    settings          TEXT    NOT NULL,
    status            TEXT    NOT NULL,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    ended_at          INTEGER,
    -- Number of the last event, of the first one of the last append, and of the last one that was compacted away.
    last_sequence     INTEGER NOT NULL DEFAULT 0,
    last_append       INTEGER NOT NULL DEFAULT 1,
    compacted_through INTEGER NOT NULL DEFAULT 0,
    -- Counters, kept with each append.
    nodes             INTEGER NOT NULL DEFAULT 0,
    nodes_finished    INTEGER NOT NULL DEFAULT 0,
    open_questions    INTEGER NOT NULL DEFAULT 0,
    prompt_tokens     INTEGER NOT NULL DEFAULT 0,
    completion_tokens INTEGER NOT NULL DEFAULT 0,
    -- The lease: who has it (empty: nobody), until when, and its number, which only rises.
    holder            TEXT    NOT NULL DEFAULT '',
    lease_until       INTEGER NOT NULL DEFAULT 0,
    fence             INTEGER NOT NULL DEFAULT 0,
    cancel_requested  INTEGER NOT NULL DEFAULT 0,
    result            TEXT    NOT NULL DEFAULT ''
) STRICT;

CREATE INDEX runs_by_namespace ON runs (namespace, key);
CREATE INDEX runs_open ON runs (namespace, key) WHERE status = 'open';
CREATE INDEX runs_ended ON runs (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE run_events (
    -- runs.key * 2^32 + number: the history of a run lies side by side and in order.
    key               INTEGER PRIMARY KEY,
    kind              TEXT    NOT NULL,
    -- A place in the tree, in bytes that sort like it. Empty: none.
    node              BLOB    NOT NULL,
    node_type         TEXT    NOT NULL,
    attempt           INTEGER NOT NULL,
    waits             INTEGER NOT NULL,
    effect            TEXT    NOT NULL,
    status            TEXT    NOT NULL,
    prompt_tokens     INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    at                INTEGER NOT NULL
) STRICT;

-- Data and output of those events that have any, by the same key.
CREATE TABLE run_texts (
    key    INTEGER PRIMARY KEY,
    data   TEXT NOT NULL,
    output TEXT NOT NULL
) STRICT;

CREATE TABLE run_nodes (
    run               INTEGER NOT NULL REFERENCES runs (key),
    node              BLOB    NOT NULL,
    node_type         TEXT    NOT NULL,
    phase             TEXT    NOT NULL,
    attempts          INTEGER NOT NULL,
    children          INTEGER NOT NULL,
    children_finished INTEGER NOT NULL,
    waits             INTEGER NOT NULL,
    -- Numbers of events: the one that put it into the queue, those that hold its data and its output. 0: none.
    queued_at         INTEGER NOT NULL,
    data_at           INTEGER NOT NULL,
    output_at         INTEGER NOT NULL,
    PRIMARY KEY (run, node)
) STRICT, WITHOUT ROWID;

CREATE INDEX run_nodes_queued ON run_nodes (run, queued_at) WHERE queued_at > 0;

CREATE TABLE run_receipts (
    run    INTEGER NOT NULL REFERENCES runs (key),
    node   BLOB    NOT NULL,
    effect TEXT    NOT NULL,
    -- Number of the event whose output it is.
    at     INTEGER NOT NULL,
    PRIMARY KEY (run, node, effect)
) STRICT, WITHOUT ROWID;

-- What each node asked last. A new question is a new row, so the keys are in order of age.
CREATE TABLE run_questions (
    key         INTEGER PRIMARY KEY AUTOINCREMENT,
    run         INTEGER NOT NULL REFERENCES runs (key),
    node        BLOB    NOT NULL,
    sequence    INTEGER NOT NULL,
    asked_at    INTEGER NOT NULL,
    data        TEXT    NOT NULL,
    answer      TEXT    NOT NULL DEFAULT '',
    answered_at INTEGER,
    -- The answer has reached the node.
    taken       INTEGER NOT NULL DEFAULT 0,
    UNIQUE (run, node)
) STRICT;

CREATE INDEX run_questions_open ON run_questions (key) WHERE answered_at IS NULL;
