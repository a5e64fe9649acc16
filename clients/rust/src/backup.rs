//! The bytes of a backup as they arrive.

use tonic::Streaming;

use crate::error::ClientError;
use crate::proto::BackupChunk;

/// A backup file in pieces. Whether it is whole can only be told from its checksum, at its end.
#[derive(Debug)]
pub struct BackupStream {
    pieces: Streaming<BackupChunk>,
}

impl BackupStream {
    pub(crate) fn new(pieces: Streaming<BackupChunk>) -> Self {
        Self { pieces }
    }

    /// The next piece, or none at the end.
    ///
    /// # Errors
    /// The server's; what came before is of no use then.
    pub async fn next_piece(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        Ok(self.pieces.message().await?.map(|piece| piece.data))
    }
}
