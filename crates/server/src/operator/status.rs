//! How a server runs and what it holds, for `lodgepole doctor`.
//!
//! The settings are those that it was started with, whatever the caller's environment says. They hold
//! no secrets, only where those are kept. WHY they are kept as they came: a caller of another release
//! may not know them all, and still wants the rest.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use lodgepole_service::{Inventory, Service};
use serde::{Deserialize, Serialize};

use crate::settings::Settings;

/// How a server runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its release.
    pub version: String,
    /// Its process.
    pub process_id: u32,
    /// Where its control plane listens.
    pub address: SocketAddr,
    /// Whether it still takes changes.
    pub is_writable: bool,
    /// Its settings, with whole paths. See [`Status::settings`].
    settings: serde_json::Value,
    /// What it holds.
    pub inventory: Inventory,
}

impl Status {
    /// Its settings; `None` when it is of a release with others.
    #[must_use]
    pub fn settings(&self) -> Option<Settings> {
        serde_json::from_value(self.settings.clone()).ok()
    }

    pub(super) fn of(service: &Service, settings: &Settings, address: SocketAddr) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process_id: std::process::id(),
            address,
            is_writable: service.is_writable(),
            settings: serde_json::to_value(with_whole_paths(settings)).unwrap_or_default(),
            inventory: service.inventory(),
        }
    }
}

/// The settings for a reader who may be in another folder.
fn with_whole_paths(settings: &Settings) -> Settings {
    let whole = |path: &Path| -> PathBuf {
        if path.as_os_str().is_empty() {
            return PathBuf::new();
        }
        std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
    };
    Settings {
        data_dir: whole(&settings.data_dir),
        tls_cert: whole(&settings.tls_cert),
        tls_key: whole(&settings.tls_key),
        tls_dir: whole(&settings.tls_dir),
        ..settings.clone()
    }
}
