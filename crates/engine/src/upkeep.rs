//! Keeps the process within its budgets: write buffers, open shards. Builds segments meanwhile.
//!
//! All databases share one budget for unflushed writes. Above it the fullest one is flushed, so one
//! busy index cannot make a hundred idle ones cost memory. A shard without requests is flushed and
//! closed; opening it again takes some milliseconds.

use std::sync::Arc;

use crate::engine::Engine;
use crate::shard::Shard;

impl Engine {
    /// Runs until the engine shuts down. One task of the process runs it.
    pub async fn upkeep(self: Arc<Self>) {
        tokio::join!(self.keep_budgets(), Arc::clone(&self).index_in_background());
    }

    async fn keep_budgets(&self) {
        while !self.is_shutting_down() {
            self.commons.clock.sleep(self.commons.options.upkeep_interval).await;
            self.upkeep_once().await;
        }
    }

    /// One round of upkeep.
    pub async fn upkeep_once(&self) {
        self.close_idle().await;
        self.flush_above_budget().await;
    }

    async fn close_idle(&self) {
        for (index, slot) in self.open_slots() {
            // A slot that is locked is being opened, that is, in use.
            let Ok(mut open) = slot.try_lock() else { continue };
            let idle = open.as_ref().is_some_and(|shard| {
                let unused = Arc::strong_count(shard) == 1;
                unused && shard.idle_for() >= self.commons.options.idle_close
            });
            if idle && let Some(shard) = open.take() {
                tracing::debug!(%index, "closing an idle shard");
                shard.close(true).await;
            }
        }
    }

    async fn flush_above_budget(&self) {
        let mut shards: Vec<(u64, Arc<Shard>)> = Vec::new();
        for (_, slot) in self.open_slots() {
            if let Ok(open) = slot.try_lock()
                && let Some(shard) = open.as_ref()
            {
                shards.push((shard.database.unflushed_bytes(), Arc::clone(shard)));
            }
        }
        shards.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        let mut total: u64 = shards.iter().map(|(bytes, _)| bytes).sum();
        for (bytes, shard) in shards {
            if total <= self.commons.options.write_buffer_bytes {
                return;
            }
            if let Err(error) = shard.database.flush().await {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(index = %shard.shape.index, error, "flushing failed");
            }
            total = total.saturating_sub(bytes);
        }
    }
}
