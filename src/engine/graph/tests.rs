//! What the graph makes of small sets of documents.
