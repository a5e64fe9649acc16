-- What each document says of the graph: its definitions, references and mentions, and where its chunks are. One value a
-- document, since they come and go together and are read by the thousand; the first byte is the version of the encoding.
CREATE TABLE facts (
    document INTEGER PRIMARY KEY REFERENCES documents (key),
    body     BLOB    NOT NULL
) STRICT;
