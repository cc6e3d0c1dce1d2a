//! What operators ask about search: how it stands, and that it be made ready.
//!
//! Endpoints of our own. Invariant: asking how it stands opens nothing and loads nothing, so what
//! watches a server does not change what it sees.

use std::sync::Arc;

use lodgepole_api::wire::search::{SearchStateResponse, WarmUpRequest, WarmUpResponse};
use lodgepole_api::{ApiError, parse};
use lodgepole_engine::SearchState;
use lodgepole_types::Index;
use tokio::task::spawn_blocking;

use crate::service::{Service, shard_of};
use crate::{DataReply, RequestContext};

impl Service {
    /// Makes one namespace, or all of an index, ready for queries.
    ///
    /// # Errors
    /// `InvalidArgument` for what cannot be a namespace, or `Unavailable`.
    pub async fn warm_up(
        &self,
        _ctx: &RequestContext,
        index: &Index,
        request: WarmUpRequest,
    ) -> Result<DataReply<WarmUpResponse>, ApiError> {
        let namespace = match parse::warm_up(request)? {
            Some(asked) => Some(self.read_namespace(index, asked).await?.name),
            None => None,
        };
        let lsn = self.position(index).await?;
        let warmed = self.shared.engine.warm_up(shard_of(index), namespace.as_ref()).await?;
        let message = WarmUpResponse { namespaces: warmed.namespaces, too_large: warmed.too_large };
        Ok(DataReply::read(message, lsn))
    }

    /// How the search of an index stands, as far as it is in memory.
    #[must_use]
    pub fn search_state(&self, _ctx: &RequestContext, index: &Index) -> SearchStateResponse {
        response(&self.shared.engine.search_state(index.id))
    }

    /// How the search of every index stands, by name.
    ///
    /// WHY on a thread of its own: there may be very many namespaces to add up, and requests are
    /// not to wait for that.
    ///
    /// # Errors
    /// `Internal` when that thread dies.
    pub async fn search_states(
        &self,
        _ctx: &RequestContext,
    ) -> Result<Vec<(Arc<Index>, SearchStateResponse)>, ApiError> {
        let service = self.clone();
        let counted = spawn_blocking(move || {
            let states = service.shared.engine.search_states();
            let indexes = service.shared.catalog.indexes().into_iter();
            let state = |index: &Index| states.get(&index.id).copied().unwrap_or_default();
            indexes.map(|index| (Arc::clone(&index), response(&state(&index)))).collect()
        });
        counted.await.map_err(ApiError::internal)
    }
}

fn response(state: &SearchState) -> SearchStateResponse {
    SearchStateResponse {
        namespaces: state.namespaces,
        tail_rows: state.tail_rows,
        tail_bytes: state.tail_bytes,
        segments: state.segments,
        segment_rows: state.segment_rows,
        dead_rows: state.dead_rows,
        segment_bytes: state.segment_bytes,
        resident_bytes: state.resident_bytes,
        waiting_namespaces: state.waiting,
        queue_age_seconds: state.queue_age.map(|age| age.as_secs_f64()),
    }
}
