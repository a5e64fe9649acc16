-- Node types and tools, their versions, the examples added to them, and what came of routing to them.

CREATE TABLE nodes (
    key       INTEGER PRIMARY KEY,
    id        BLOB    NOT NULL UNIQUE,
    namespace INTEGER NOT NULL REFERENCES namespaces (key),
    name      TEXT    NOT NULL,
    -- The version that serves. Numbers go on after a removal, so that one never means two things.
    version   INTEGER NOT NULL,
    -- 0 after a removal: its versions stay to be looked at, nothing is routed to it.
    live      INTEGER NOT NULL DEFAULT 1,
    UNIQUE (namespace, name)
) STRICT;

CREATE TABLE node_versions (
    node          INTEGER NOT NULL REFERENCES nodes (key),
    version       INTEGER NOT NULL,
    hash          BLOB    NOT NULL,
    registered_at INTEGER NOT NULL,
    -- JSON of everything that was registered.
    spec          TEXT    NOT NULL,
    PRIMARY KEY (node, version)
) STRICT;

-- Examples that came later than a version: added by hand or by a correction. They outlive versions.
CREATE TABLE node_examples (
    key      INTEGER PRIMARY KEY,
    node     INTEGER NOT NULL REFERENCES nodes (key),
    text     TEXT    NOT NULL,
    added_at INTEGER NOT NULL,
    UNIQUE (node, text)
) STRICT;

-- The cached vectors that routing needs, beside those of chunks: a vector stays as long as either has its key.
CREATE TABLE node_vectors (
    node      INTEGER NOT NULL REFERENCES nodes (key),
    embed_key BLOB    NOT NULL,
    PRIMARY KEY (node, embed_key)
) STRICT, WITHOUT ROWID;

CREATE INDEX node_vectors_by_embed_key ON node_vectors (embed_key);

CREATE TABLE node_outcomes (
    key        INTEGER PRIMARY KEY,
    node       INTEGER NOT NULL REFERENCES nodes (key),
    goal       TEXT    NOT NULL,
    succeeded  INTEGER NOT NULL,
    cost       REAL    NOT NULL,
    correction INTEGER REFERENCES nodes (key),
    at         INTEGER NOT NULL
) STRICT;

CREATE INDEX node_outcomes_by_node ON node_outcomes (node);
CREATE INDEX node_outcomes_by_correction ON node_outcomes (correction) WHERE correction IS NOT NULL;
