//! The data view over engines in memory and real files.
