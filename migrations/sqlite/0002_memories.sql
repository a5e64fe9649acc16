-- What memories need beside a document, and what a source is synced with while it is watched.

-- Was for a cache of documents by state; the cache of chunks that replaced it is told about changes instead.
ALTER TABLE documents DROP COLUMN revision;

-- When it may be forgotten: microseconds since the Unix epoch; NULL: never by itself.
ALTER TABLE documents ADD COLUMN expires_at INTEGER;

CREATE INDEX documents_by_expiry ON documents (expires_at) WHERE expires_at IS NOT NULL;

-- How far its origin is trusted, and the id of the document that it nearly repeats.
ALTER TABLE documents ADD COLUMN trust TEXT NOT NULL DEFAULT '';
ALTER TABLE documents ADD COLUMN repeats BLOB;

-- JSON of the options that a watched source is synced with again and again; NULL: it is not watched.
ALTER TABLE sources ADD COLUMN watch TEXT;
