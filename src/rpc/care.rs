//! Findings of a check and pieces of a backup, as the protocol says them.

use tokio_stream::adapters::Map;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::proto;
use super::status::status;
use crate::base::Result;
use crate::flow::repair::{Difference, Outcome, Report, StoreReport};

/// A backup on its way.
pub type Pieces =
    Map<ReceiverStream<Result<Vec<u8>>>, fn(Result<Vec<u8>>) -> std::result::Result<proto::BackupChunk, Status>>;

pub fn piece(piece: Result<Vec<u8>>) -> std::result::Result<proto::BackupChunk, Status> {
    piece.map(|data| proto::BackupChunk { data }).map_err(|error| status(&error))
}

pub fn fsck(outcome: Outcome) -> proto::FsckResponse {
    let stores = |report: Report| report.stores.into_iter().map(store).collect();
    proto::FsckResponse {
        clean: outcome.is_clean(),
        repaired: outcome.left.is_some(),
        lsn: outcome.found.lsn.0,
        stores: stores(outcome.found),
        left: outcome.left.map(stores).unwrap_or_default(),
    }
}

fn store(report: StoreReport) -> proto::StoreCheck {
    proto::StoreCheck {
        name: report.name.to_owned(),
        expected: report.expected,
        found: report.found,
        missing: report.missing,
        surplus: report.surplus,
        first: report.first.into_iter().map(difference).collect(),
        problems: report.problems,
    }
}

fn difference(difference: Difference) -> proto::StoreDifference {
    proto::StoreDifference {
        missing: difference.missing,
        namespace: difference.namespace.to_string(),
        document_id: difference.document.to_string(),
        chunk_id: difference.chunk.map(|chunk| chunk.to_string()).unwrap_or_default(),
        uri: difference.uri.unwrap_or_default(),
    }
}
