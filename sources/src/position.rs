//! The resume state: what a batch carries and a restarted source begins with, as JSON text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use repr::{Row, RowRef};
use serde::{Deserialize, Serialize};

use crate::SourceError;
use crate::duplicates::Newest;
use crate::gather::Applied;
use crate::progress::Progress;

/// Grows when what is written can no longer be read by the version before.
const VERSION: u32 = 1;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Position {
    version: u32,
    pub partitions: Vec<PartitionPosition>,
    /// With a transaction topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Applied>,
    /// Rows whose key moved and was not seen again yet: relation, old key, row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    moved: Vec<(usize, String, String)>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PartitionPosition {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub done: Vec<(i64, i64)>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub newest: Newest,
    /// Hash of the key whose delete was the partition's last message, 0 if it was none.
    #[serde(default, skip_serializing_if = "is_default")]
    pub last_delete: u64,
    /// An offset before `offset`, and what its message looked like: by that a topic that was created anew is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<(i64, u64)>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl PartitionPosition {
    pub(crate) fn progress(&self) -> Progress {
        Progress::resumed(self.offset, &self.done)
    }
}

impl Position {
    pub(crate) fn new<'a>(
        partitions: Vec<PartitionPosition>,
        applied: Option<Applied>,
        moved: impl Iterator<Item = (usize, &'a Row, &'a Row)>,
    ) -> Position {
        let text = |row: &Row| STANDARD.encode(row.as_bytes());
        Position {
            version: VERSION,
            partitions,
            applied,
            moved: moved
                .map(|(relation, key, row)| (relation, text(key), text(row)))
                .collect(),
        }
    }

    pub(crate) fn moved(&self) -> Result<Vec<(usize, Row, Row)>, SourceError> {
        let row = |text: &str| {
            let bytes = STANDARD.decode(text).map_err(SourceError::bad_position)?;
            RowRef::check(&bytes)
                .map(RowRef::to_row)
                .map_err(SourceError::bad_position)
        };
        let moved = self.moved.iter();
        moved
            .map(|(relation, key, old)| Ok((*relation, row(key)?, row(old)?)))
            .collect()
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // Nothing in it can fail to become JSON: no map has keys other than text.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Position, SourceError> {
        let position: Position =
            serde_json::from_slice(bytes).map_err(SourceError::bad_position)?;
        if position.version != VERSION {
            return Err(SourceError::bad_position(format_args!(
                "It is of version {}, and this program reads version {VERSION}.",
                position.version
            )));
        }
        Ok(position)
    }
}
