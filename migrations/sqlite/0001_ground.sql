-- The ground state. Ids that leave the database are 16-byte blobs; inside, rows refer to each other by small integer
-- keys. Counts and times are integers (microseconds since the Unix epoch), JSON is text.

CREATE TABLE namespaces (
    key        INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    -- Counters, kept by every transaction that adds or removes documents, so that statistics never read the chunks.
    documents  INTEGER NOT NULL DEFAULT 0,
    chunks     INTEGER NOT NULL DEFAULT 0,
    bytes      INTEGER NOT NULL DEFAULT 0,
    tokens     INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE sources (
    key        INTEGER PRIMARY KEY,
    id         BLOB    NOT NULL UNIQUE,
    namespace  INTEGER NOT NULL REFERENCES namespaces (key),
    uri        TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (namespace, uri)
) STRICT;

CREATE TABLE documents (
    key         INTEGER PRIMARY KEY,
    id          BLOB    NOT NULL UNIQUE,
    namespace   INTEGER NOT NULL REFERENCES namespaces (key),
    source      INTEGER NOT NULL REFERENCES sources (key),
    -- Position of the log entry that wrote this version, and how often sizes and times were touched since: together
    -- with the key they name one state of this row for ever, because positions are not reused.
    lsn         INTEGER NOT NULL,
    revision    INTEGER NOT NULL DEFAULT 0,
    -- Hash over everything that makes a version (content, path, tags, recipe, ...), to tell a rewrite that changes nothing.
    version     BLOB    NOT NULL,
    recipe      TEXT    NOT NULL,
    uri         TEXT    NOT NULL,
    path        TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    role        TEXT    NOT NULL,
    media_type  TEXT    NOT NULL,
    language    TEXT,
    title       TEXT,
    content     BLOB    NOT NULL,
    bytes       INTEGER NOT NULL,
    modified_at INTEGER,
    indexed_at  INTEGER NOT NULL,
    metadata    TEXT    NOT NULL,
    chunks      INTEGER NOT NULL,
    tokens      INTEGER NOT NULL,
    UNIQUE (namespace, uri)
) STRICT;

CREATE INDEX documents_by_source ON documents (source);

CREATE TABLE tags (
    document INTEGER NOT NULL REFERENCES documents (key),
    tag      TEXT    NOT NULL,
    PRIMARY KEY (document, tag)
) STRICT, WITHOUT ROWID;

CREATE INDEX tags_by_tag ON tags (tag, document);

CREATE TABLE chunks (
    -- documents.key * 1048576 + ordinal: the chunks of a document lie side by side and in order, and finding them
    -- needs no further index. Therefore at most 1,048,576 chunks a document.
    key        INTEGER PRIMARY KEY,
    id         BLOB    NOT NULL,
    namespace  INTEGER NOT NULL,
    embed_key  BLOB    NOT NULL,
    span_start INTEGER NOT NULL,
    span_end   INTEGER NOT NULL,
    line_first INTEGER NOT NULL,
    line_last  INTEGER NOT NULL,
    tokens     INTEGER NOT NULL,
    breadcrumb TEXT    NOT NULL,
    symbols    TEXT    NOT NULL,
    outline    TEXT    NOT NULL,
    text       TEXT    NOT NULL
) STRICT;

CREATE UNIQUE INDEX chunks_by_id ON chunks (id);

-- Tells whether any chunk still needs a cached vector, and counts those without one; the texts are not read for it.
CREATE INDEX chunks_by_embed_key ON chunks (embed_key, namespace);

-- AUTOINCREMENT: a position is never given out twice, whatever is deleted.
CREATE TABLE oplog (
    lsn       INTEGER PRIMARY KEY AUTOINCREMENT,
    namespace INTEGER NOT NULL REFERENCES namespaces (key),
    document  BLOB    NOT NULL,
    operation TEXT    NOT NULL
) STRICT;

CREATE TABLE models (
    key  INTEGER PRIMARY KEY,
    name TEXT    NOT NULL UNIQUE
) STRICT;

-- Vectors are little-endian f32. Not WITHOUT ROWID: entries of 1.5 KB and more would spill from index pages to
-- overflow pages and take three times the space.
CREATE TABLE embeddings (
    row    INTEGER PRIMARY KEY,
    key    BLOB    NOT NULL,
    model  INTEGER NOT NULL REFERENCES models (key),
    vector BLOB    NOT NULL,
    UNIQUE (key, model)
) STRICT;

CREATE TABLE projections (
    name     TEXT    NOT NULL PRIMARY KEY,
    applied  INTEGER NOT NULL,
    manifest TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE replies (
    row       INTEGER PRIMARY KEY,
    namespace INTEGER NOT NULL REFERENCES namespaces (key),
    key       TEXT    NOT NULL,
    reply     BLOB    NOT NULL,
    at        INTEGER NOT NULL,
    UNIQUE (namespace, key)
) STRICT;
