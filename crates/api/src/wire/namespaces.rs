//! Messages about namespaces.
//!
//! JSON is snake_case here, as the API has it. The 64-bit counters are numbers up to 2026-04, and
//! text from 2026-07 on; a description tells its dialect by [`NamespaceDescription::size_bytes`],
//! which only the newer one has. Both are read.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::lenient::or_default;
use super::vectors::Pagination;

/// Which metadata can be filtered by.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct MetadataSchema {
    /// By name of the field.
    #[prost(btree_map = "string, message", tag = "1")]
    #[serde(deserialize_with = "or_default")]
    pub fields: BTreeMap<String, MetadataFieldProperties>,
}

/// What is said about one field.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct MetadataFieldProperties {
    /// Always true in a valid schema.
    #[prost(bool, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    pub filterable: bool,
}

/// The names of the fields in a [`MetadataSchema`].
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct IndexedFields {
    /// The names, in byte order.
    #[prost(string, repeated, tag = "1")]
    pub fields: Vec<String>,
}

/// Make a namespace.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct CreateNamespaceRequest {
    /// Its name.
    #[prost(string, tag = "1")]
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// Which metadata can be filtered by; without it, what the index says.
    #[prost(message, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<MetadataSchema>,
}

/// List namespaces.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct ListNamespacesRequest {
    /// Where the page before ended.
    #[prost(string, optional, tag = "1")]
    #[serde(alias = "paginationToken", skip_serializing_if = "Option::is_none")]
    pub pagination_token: Option<String>,
    /// Namespaces on a page.
    #[prost(uint32, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Names start with this.
    #[prost(string, optional, tag = "3")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// Answer to [`ListNamespacesRequest`].
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct ListNamespacesResponse {
    /// Namespaces in bytewise order.
    #[prost(message, repeated, tag = "1")]
    pub namespaces: Vec<NamespaceDescription>,
    /// Absent on the last page.
    #[prost(message, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
    /// Namespaces with the prefix, over all pages.
    #[prost(int32, tag = "3")]
    pub total_count: i32,
}

/// Describe a namespace.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct DescribeNamespaceRequest {
    /// Its name in any spelling.
    #[prost(string, tag = "1")]
    pub namespace: String,
}

/// Delete a namespace with its records.
#[derive(Clone, PartialEq, Eq, prost::Message, Serialize, Deserialize)]
#[serde(default)]
pub struct DeleteNamespaceRequest {
    /// Its name in any spelling.
    #[prost(string, tag = "1")]
    pub namespace: String,
}

/// A namespace and what is in it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct NamespaceDescription {
    /// Its name; `__default__` for the default one.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Records in it, exactly.
    #[prost(uint64, tag = "2")]
    pub record_count: u64,
    /// Which metadata can be filtered by; absent when all can.
    #[prost(message, optional, tag = "3")]
    pub schema: Option<MetadataSchema>,
    /// The names in `schema`.
    #[prost(message, optional, tag = "4")]
    pub indexed_fields: Option<IndexedFields>,
    /// Bytes of ids, values and metadata; from 2026-07 on.
    #[prost(uint64, optional, tag = "5")]
    pub size_bytes: Option<u64>,
}

impl MetadataSchema {
    /// Reads a schema that was checked and stored. A field says nothing but that it is there, so a
    /// stored one counts as filterable unless it says otherwise.
    #[must_use]
    pub fn from_stored(stored: &serde_json::Value) -> Self {
        let fields = stored.get("fields").and_then(serde_json::Value::as_object);
        let fields = fields.into_iter().flatten().map(|(name, field)| {
            let filterable = field.get("filterable").and_then(serde_json::Value::as_bool);
            (name.clone(), MetadataFieldProperties { filterable: filterable.unwrap_or(true) })
        });
        Self { fields: fields.collect() }
    }

    /// The form that is stored and echoed.
    #[must_use]
    pub fn to_stored(&self) -> serde_json::Value {
        let fields = self.fields.iter().map(|(name, field)| {
            (name.clone(), serde_json::json!({ "filterable": field.filterable }))
        });
        serde_json::json!({ "fields": fields.collect::<serde_json::Map<_, _>>() })
    }

    /// The names that can be filtered by, in byte order.
    #[must_use]
    pub fn filterable(&self) -> Vec<String> {
        let fields = self.fields.iter().filter(|(_, field)| field.filterable);
        fields.map(|(name, _)| name.clone()).collect()
    }
}

impl Serialize for NamespaceDescription {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let given = usize::from(self.schema.is_some())
            + usize::from(self.indexed_fields.is_some())
            + usize::from(self.size_bytes.is_some());
        let mut fields = serializer.serialize_struct("NamespaceDescription", 2 + given)?;
        fields.serialize_field("name", &self.name)?;
        match self.size_bytes {
            None => fields.serialize_field("record_count", &self.record_count)?,
            Some(_) => fields.serialize_field("record_count", &self.record_count.to_string())?,
        }
        if let Some(schema) = &self.schema {
            fields.serialize_field("schema", schema)?;
        }
        if let Some(indexed) = &self.indexed_fields {
            fields.serialize_field("indexed_fields", indexed)?;
        }
        if let Some(bytes) = self.size_bytes {
            fields.serialize_field("size_bytes", &bytes.to_string())?;
        }
        fields.end()
    }
}

impl<'de> Deserialize<'de> for NamespaceDescription {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Counter {
            Number(u64),
            Text(String),
        }
        #[derive(Deserialize)]
        struct Fields {
            #[serde(default)]
            name: String,
            record_count: Option<Counter>,
            schema: Option<MetadataSchema>,
            indexed_fields: Option<IndexedFields>,
            size_bytes: Option<Counter>,
        }
        let read = |counter: Counter| match counter {
            Counter::Number(number) => Ok(number),
            Counter::Text(text) => text.parse().map_err(D::Error::custom),
        };
        let fields = Fields::deserialize(deserializer)?;
        Ok(Self {
            name: fields.name,
            record_count: fields.record_count.map(read).transpose()?.unwrap_or_default(),
            schema: fields.schema,
            indexed_fields: fields.indexed_fields,
            size_bytes: fields.size_bytes.map(read).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests;
