//! PDF.
use super::Extracted;
use crate::engine::parse::Skip;
pub(super) fn read(_bytes: &[u8]) -> Result<Extracted, Skip> { Err(Skip::Binary) }
