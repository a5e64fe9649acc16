//! Single objects over HTTP.
