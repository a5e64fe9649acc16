-- The store's own mark of the version that was indexed (an etag, a blob id): the same mark means the same bytes.
ALTER TABLE documents ADD COLUMN mark TEXT;
