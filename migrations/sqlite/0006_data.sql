-- The store's own mark of the version that was indexed (an etag, a blob id): the same mark means the same bytes.
ALTER TABLE documents ADD COLUMN mark TEXT;

-- What is registered of data that need not be ingested, one row an address. The unique index is also the order of listings.
CREATE TABLE objects (
    key           INTEGER PRIMARY KEY,
    namespace     INTEGER NOT NULL REFERENCES namespaces (key),
    uri           TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    kind          TEXT    NOT NULL,
    store         TEXT    NOT NULL,
    media_type    TEXT    NOT NULL,
    description   TEXT    NOT NULL,
    schema        TEXT    NOT NULL,
    owner         TEXT    NOT NULL,
    -- JSON list.
    tags          TEXT    NOT NULL,
    cost_class    TEXT    NOT NULL,
    -- A name, never the secret.
    credential    TEXT    NOT NULL,
    bytes         INTEGER,
    content       BLOB,
    -- What a verification or registration saw of it last.
    mark          TEXT,
    modified_at   INTEGER,
    -- JSON object.
    metadata      TEXT    NOT NULL,
    registered_at INTEGER NOT NULL,
    -- Hash over what was registered, to tell a registration that changes nothing.
    version       BLOB    NOT NULL,
    UNIQUE (namespace, uri)
) STRICT;

-- Words of the above; rows are found by objects.key, which is also what tells whose they are.
CREATE VIRTUAL TABLE object_words USING fts5 (
    name, description, schema, tags, content = '', contentless_delete = 1, tokenize = 'porter unicode61'
);

-- Who used what, the newest of each address.
CREATE TABLE object_uses (
    key       INTEGER PRIMARY KEY AUTOINCREMENT,
    namespace INTEGER NOT NULL REFERENCES namespaces (key),
    uri       TEXT    NOT NULL,
    action    TEXT    NOT NULL,
    user      TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    bytes     INTEGER NOT NULL
) STRICT;

CREATE INDEX object_uses_by_uri ON object_uses (namespace, uri, key);
