//! Messages about aliases of namespaces, from 2026-07 on. JSON is snake_case.

use lodgepole_types::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::lenient::or_default;
use super::vectors::Pagination;

/// A moment: `google.protobuf.Timestamp` on gRPC, text of RFC 3339 in JSON.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Moment {
    /// Seconds since 1970-01-01 UTC.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Nanoseconds of the second.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl From<Timestamp> for Moment {
    fn from(time: Timestamp) -> Self {
        let millis = i32::try_from(time.0.rem_euclid(1_000)).unwrap_or_default();
        Self { seconds: time.0.div_euclid(1_000), nanos: millis * 1_000_000 }
    }
}

impl From<Moment> for Timestamp {
    fn from(moment: Moment) -> Self {
        Self(
            moment
                .seconds
                .saturating_mul(1_000)
                .saturating_add(i64::from(moment.nanos / 1_000_000)),
        )
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Timestamp::from(*self).rfc3339())
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = Timestamp::from_rfc3339(&text);
        time.map(Self::from).ok_or_else(|| serde::de::Error::custom("not a moment of RFC 3339"))
    }
}

/// An alias and what it stands for.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct NamespaceAliasDescription {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The namespace that reads through it see; `__default__` for the default one.
    #[prost(string, tag = "2")]
    pub target_namespace: String,
    /// When it was made.
    #[prost(message, optional, tag = "3")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Moment>,
    /// When it was last pointed elsewhere.
    #[prost(message, optional, tag = "4")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Moment>,
}

/// Make an alias.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct CreateNamespaceAliasRequest {
    /// Its name.
    #[prost(string, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// What it stands for.
    #[prost(string, tag = "2")]
    #[serde(deserialize_with = "or_default")]
    pub target_namespace: String,
}

/// List aliases.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct ListNamespaceAliasesRequest {
    /// Where the page before ended.
    #[prost(string, optional, tag = "1")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pagination_token: Option<String>,
    /// Aliases on a page.
    #[prost(uint32, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Names start with this.
    #[prost(string, optional, tag = "3")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Only aliases of this namespace.
    #[prost(string, optional, tag = "4")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_namespace: Option<String>,
}

/// Answer to [`ListNamespaceAliasesRequest`].
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct ListNamespaceAliasesResponse {
    /// Aliases in bytewise order.
    #[prost(message, repeated, tag = "1")]
    pub namespace_aliases: Vec<NamespaceAliasDescription>,
    /// Absent on the last page.
    #[prost(message, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
    /// Aliases that fit, over all pages.
    #[prost(int32, optional, tag = "3")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_count: Option<i32>,
}

/// Describe an alias.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct DescribeNamespaceAliasRequest {
    /// Its name.
    #[prost(string, tag = "1")]
    pub alias_name: String,
}

/// Let an alias stand for another namespace. In REST the name is in the path.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct RepointNamespaceAliasRequest {
    /// Its name.
    #[prost(string, tag = "1")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub alias_name: String,
    /// What it is to stand for.
    #[prost(string, tag = "2")]
    #[serde(deserialize_with = "or_default")]
    pub target_namespace: String,
}

/// Delete an alias; its target stays as it is.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct DeleteNamespaceAliasRequest {
    /// Its name.
    #[prost(string, tag = "1")]
    pub alias_name: String,
}

/// Answer to [`DeleteNamespaceAliasRequest`]: nothing, `{}` in JSON.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
pub struct DeleteNamespaceAliasResponse {}

#[cfg(test)]
mod tests;
