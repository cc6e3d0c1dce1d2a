//! What the operator does, and what transports ask before they let a request in.
//!
//! No client of the API gets here: keys are made and revoked from the machine itself.

use std::sync::Arc;

use lodgepole_api::ApiError;
use lodgepole_catalog::{ApiKey, KeyState, NewKey, Role};
use lodgepole_types::{Index, IndexName};

use crate::Service;

impl Service {
    /// The index of this name at this moment.
    #[must_use]
    pub fn index_by_name(&self, name: &str) -> Option<Arc<Index>> {
        self.shared.catalog.index(&IndexName::parse(name).ok()?)
    }

    /// A short name for this server's data, the same for as long as it lives.
    #[must_use]
    pub fn project_id(&self) -> String {
        self.shared.catalog.contents().project_id()
    }

    /// How far keys decide who is let in.
    #[must_use]
    pub fn key_state(&self) -> KeyState {
        self.shared.catalog.contents().key_state()
    }

    /// The key in use with this text.
    #[must_use]
    pub fn authenticate(&self, text: &[u8]) -> Option<Arc<ApiKey>> {
        self.shared.catalog.contents().authenticate(text)
    }

    /// Every key, also the revoked ones, oldest first.
    #[must_use]
    pub fn api_keys(&self) -> Vec<Arc<ApiKey>> {
        self.shared.catalog.contents().api_keys()
    }

    /// Makes a key; it works from the moment this returns.
    ///
    /// # Errors
    /// `AlreadyExists` for a name in use, `InvalidArgument` for one that cannot be one,
    /// `FailedPrecondition` when there are too many keys, `Unavailable` when the store fails.
    pub async fn create_key(&self, name: Option<String>, role: Role) -> Result<NewKey, ApiError> {
        self.run_whole(move |shared| async move {
            let chance = (shared.clock.now(), &*shared.rng);
            Ok(shared.catalog.create_key(name.as_deref(), role, chance).await?)
        })
        .await
    }

    /// Revokes the key with this id or name; it works no more from the moment this returns.
    ///
    /// # Errors
    /// `NotFound` when no key in use is called so, `Unavailable` when the store fails.
    pub async fn revoke_key(&self, id_or_name: String) -> Result<Arc<ApiKey>, ApiError> {
        self.run_whole(move |shared| async move {
            Ok(shared.catalog.revoke_key(&id_or_name, shared.clock.now()).await?)
        })
        .await
    }
}
