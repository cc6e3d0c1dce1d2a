//! Removes the rows of emptied namespaces in the background.
//!
//! Emptying a namespace only gives it a new number. The rows under the old number are found by the
//! dead row that the same batch wrote, and removed in small batches through the writer, so that
//! other writes get their turn in between. A clone inherits dead rows and sweeps for itself.

use std::sync::{Arc, Weak};

use lodgepole_rows::{self as rows, Place};
use lodgepole_storage::Visibility;
use tokio::sync::Notify;

use crate::EngineError;
use crate::shard::Shard;
use crate::slots;

/// Rows removed by one batch.
const SWEEP_ROWS: usize = 2_000;

/// Sweeps whenever `wanted` says that there may be something. Holds the shard only while it works,
/// so that an idle one can be closed.
pub(crate) async fn run(shard: Weak<Shard>, wanted: Arc<Notify>) {
    loop {
        wanted.notified().await;
        let Some(strong) = shard.upgrade() else { return };
        if let Err(error) = sweep_dead(&strong).await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(index = %strong.shape.index, error, "sweeping stopped");
        }
    }
}

async fn sweep_dead(shard: &Arc<Shard>) -> Result<(), EngineError> {
    for place in dead_places(shard).await? {
        let prefixes = [
            rows::record_key(place, ""),
            rows::vector_key(place, ""),
            rows::queue_prefix(place),
            rows::deletions_prefix(place),
        ];
        for prefix in prefixes {
            while sweep_some(shard, &prefix).await? == SWEEP_ROWS {}
        }
        shard.sweep_rows(vec![rows::dead_key(place)]).await?;
    }
    Ok(())
}

async fn dead_places(shard: &Shard) -> Result<Vec<Place>, EngineError> {
    let view = shard.settled_view().await?;
    let mut places = Vec::new();
    slots::for_each(&view, rows::dead_prefix, |entry| {
        places.extend(rows::dead_of_key(&entry.key));
        Ok(())
    })
    .await?;
    Ok(places)
}

/// Removes up to [`SWEEP_ROWS`] rows below a prefix; returns how many.
async fn sweep_some(shard: &Shard, prefix: &[u8]) -> Result<usize, EngineError> {
    let mut scan = shard.database.scan_prefix(prefix, Visibility::Memory).await?;
    let mut keys = Vec::new();
    while keys.len() < SWEEP_ROWS {
        let Some(entry) = scan.next().await? else { break };
        keys.push(entry.key.to_vec());
    }
    let count = keys.len();
    if count > 0 {
        shard.sweep_rows(keys).await?;
    }
    Ok(count)
}
