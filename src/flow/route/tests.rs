//! Tests of routing over fakes.
