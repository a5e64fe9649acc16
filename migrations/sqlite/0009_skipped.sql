-- Objects of sources that were read and left out for what is in them: the same version is not read again.
CREATE TABLE skipped (
    source      INTEGER NOT NULL REFERENCES sources (key),
    uri         TEXT    NOT NULL,
    bytes       INTEGER NOT NULL,
    modified_at INTEGER,
    mark        TEXT,
    looked_at   INTEGER NOT NULL,
    recipe      TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    PRIMARY KEY (source, uri)
) STRICT, WITHOUT ROWID;
