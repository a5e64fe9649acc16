-- JSON of what the sync of a source was asked for that is under way, or was when the server ended; NULL: none.
ALTER TABLE sources ADD COLUMN sync TEXT;
