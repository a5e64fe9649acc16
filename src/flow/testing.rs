//! Helpers for tests of flows.
