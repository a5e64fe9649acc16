-- What a verification saw of an object, apart from what its owner registered: bytes, content and modified_at are the owner's
-- alone from here on. A hash that was noted before can't be told from one that was registered, and counts as registered.
ALTER TABLE objects ADD COLUMN seen_bytes INTEGER;
ALTER TABLE objects ADD COLUMN seen_content BLOB;
ALTER TABLE objects ADD COLUMN seen_modified_at INTEGER;

-- Names and places of ingested documents, to be found by; rows are found by documents.key. What only describes data is not
-- in it. Kept by triggers, so that every way to write a document keeps it.
CREATE VIRTUAL TABLE document_words USING fts5 (
    name, place, content = '', contentless_delete = 1, tokenize = 'porter unicode61'
);

INSERT INTO document_words (rowid, name, place)
SELECT key, coalesce(title, '') || ' ' || path, uri FROM documents WHERE substr(uri, 1, 5) <> 'view:';

CREATE TRIGGER document_words_added AFTER INSERT ON documents WHEN substr(new.uri, 1, 5) <> 'view:' BEGIN
    INSERT INTO document_words (rowid, name, place) VALUES (new.key, coalesce(new.title, '') || ' ' || new.path, new.uri);
END;

CREATE TRIGGER document_words_changed AFTER UPDATE OF uri, path, title ON documents
WHEN substr(new.uri, 1, 5) <> 'view:' AND (old.uri, old.path, old.title) IS NOT (new.uri, new.path, new.title) BEGIN
    DELETE FROM document_words WHERE rowid = old.key;
    INSERT INTO document_words (rowid, name, place) VALUES (new.key, coalesce(new.title, '') || ' ' || new.path, new.uri);
END;

CREATE TRIGGER document_words_removed AFTER DELETE ON documents BEGIN
    DELETE FROM document_words WHERE rowid = old.key;
END;
