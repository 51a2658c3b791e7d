//! Telling a full disk from every other failure, because that one is mended by waiting.

use super::StoreError;

impl StoreError {
    /// Whether there was no room to write: the disk is full, or the user's share of it.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Database { source, .. } => {
                source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
            }
            Self::Io { source, .. } => {
                matches!(source.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
            }
            _ => false,
        }
    }
}
