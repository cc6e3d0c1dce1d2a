//! What an error says beside its code and message: `google.rpc.Status` with one
//! `google.rpc.ErrorInfo`.
//!
//! gRPC carries it in the trailer `grpc-status-details-bin`; REST prints the same as the list
//! `details` of the error body, by protobuf's JSON rules.

use std::collections::BTreeMap;

use prost::Message as _;
use serde::Serialize;

/// Name of the type in [`Detail`].
pub const ERROR_INFO_TYPE: &str = "type.googleapis.com/google.rpc.ErrorInfo";
/// Who gives the reasons.
pub const DOMAIN: &str = "pinecone.io";

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct RpcStatus {
    /// The gRPC code.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// For people.
    #[prost(string, tag = "2")]
    pub message: String,
    /// For programs.
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<Detail>,
}

/// `google.protobuf.Any`: a message with the name of its type.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Detail {
    /// Name of the type.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// The message, encoded.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// `google.rpc.ErrorInfo`.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize)]
pub struct ErrorInfo {
    /// A constant such as `ALIAS_NOT_FOUND`.
    #[prost(string, tag = "1")]
    pub reason: String,
    /// Who gives the reason.
    #[prost(string, tag = "2")]
    pub domain: String,
    /// What it is about.
    #[prost(btree_map = "string, string", tag = "3")]
    pub metadata: BTreeMap<String, String>,
}

impl ErrorInfo {
    /// The message with the name of its type.
    #[must_use]
    pub fn to_detail(&self) -> Detail {
        Detail { type_url: ERROR_INFO_TYPE.to_owned(), value: self.encode_to_vec() }
    }
}
