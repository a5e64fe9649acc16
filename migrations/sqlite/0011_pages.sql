-- Pages that a chunk covers, from 1; NULL: its document has none, or was read before they were kept.
ALTER TABLE chunks ADD COLUMN page_first INTEGER;
ALTER TABLE chunks ADD COLUMN page_last INTEGER;
