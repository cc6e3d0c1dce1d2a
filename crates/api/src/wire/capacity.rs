//! Read capacity: how much hardware is said to read an index.
//!
//! Lodgepole has no read nodes to size. The words are checked, kept and given back, and the reply
//! says at once that the wanted capacity is there.

use lodgepole_types::ReadCapacity;
use serde::{Deserialize, Serialize};

/// What a request says. Every part may be missing in a change, which then keeps what was.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct ReadCapacityRequest {
    /// `OnDemand` or `Dedicated`.
    pub mode: Option<String>,
    /// Parameters of the second.
    pub dedicated: Option<DedicatedRequest>,
}

/// Dedicated read nodes in a request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct DedicatedRequest {
    /// `b1` or `t1`.
    pub node_type: Option<String>,
    /// `Manual`.
    pub scaling: Option<String>,
    /// The counts.
    pub manual: Option<ManualRequest>,
}

/// Counts of read nodes in a request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct ManualRequest {
    /// Copies.
    pub replicas: Option<i64>,
    /// Parts.
    pub shards: Option<i64>,
}

/// What a reply says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReadCapacityReply {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dedicated: Option<DedicatedReply>,
    status: StatusReply,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct DedicatedReply {
    node_type: String,
    scaling: &'static str,
    manual: ManualReply,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct ManualReply {
    replicas: u32,
    shards: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct StatusReply {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_replicas: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_shards: Option<u32>,
}

impl ReadCapacityReply {
    /// Renders it, in every version alike.
    #[must_use]
    pub fn of(capacity: &ReadCapacity) -> Self {
        const READY: &str = "Ready";
        match capacity {
            ReadCapacity::OnDemand => Self {
                mode: "OnDemand",
                dedicated: None,
                status: StatusReply { state: READY, current_replicas: None, current_shards: None },
            },
            ReadCapacity::Dedicated(dedicated) => Self {
                mode: "Dedicated",
                dedicated: Some(DedicatedReply {
                    node_type: dedicated.node_type.clone(),
                    scaling: "Manual",
                    manual: ManualReply { replicas: dedicated.replicas, shards: dedicated.shards },
                }),
                status: StatusReply {
                    state: READY,
                    current_replicas: Some(dedicated.replicas),
                    current_shards: Some(dedicated.shards),
                },
            },
        }
    }
}
