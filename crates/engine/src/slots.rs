//! Walking over the rows of one kind in all slots.
//!
//! Keys start with a slot, so rows of one kind do not lie together. One walk jumps over the rest:
//! at most two seeks a used slot, whatever the number of records.

use std::ops::Bound;

use bytes::Bytes;
use lodgepole_rows::{self as rows, SLOTS};
use lodgepole_storage::{KeyValue, View};

use crate::EngineError;

/// Calls `found` for every row whose key starts with `prefix(slot)`, slot by slot, in key order.
pub(crate) async fn for_each(
    view: &View,
    prefix: impl Fn(u16) -> Vec<u8>,
    mut found: impl FnMut(KeyValue) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    let range =
        (Bound::Included(Bytes::from(prefix(0))), Bound::Excluded(Bytes::from(prefix(SLOTS))));
    let mut walk = view.walk(range).await?;
    while let Some(entry) = walk.next().await? {
        let slot = rows::slot_and_kind(&entry.key).map_or(SLOTS, |(slot, _)| slot);
        let wanted = prefix(slot);
        if entry.key.starts_with(&wanted) {
            found(entry)?;
        } else if *entry.key < *wanted {
            walk.seek(&wanted).await?;
        } else if slot + 1 < SLOTS {
            walk.seek(&prefix(slot + 1)).await?;
        } else {
            break;
        }
    }
    Ok(())
}
