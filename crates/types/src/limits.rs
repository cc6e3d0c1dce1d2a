//! Every limit that a request can run into: its name, its unit and its default.
//!
//! The defaults are Pinecone's documented ones where it documents one. The operator can change
//! them; the code never compares with a bare number.

/// Limits on requests and records. Units stand last in the names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Records in one upsert.
    pub upsert_records_max: usize,
    /// Ids in one fetch or delete.
    pub ids_max: usize,
    /// `topK` of a query.
    pub top_k_max: u32,
    /// Dimensions of a dense vector.
    pub dimension_max: u32,
    /// Non-zero values of a sparse vector.
    pub sparse_values_max: usize,
    /// Metadata of one record, as compact JSON.
    pub metadata_bytes_max: usize,
    /// Body of a REST request, and a gRPC message, after decompression.
    pub request_bytes_max: usize,
    /// Ids on one page of a listing; also the default.
    pub list_page_max: u32,
    /// Entries on one page of backups or restore jobs.
    pub backup_page_max: u32,
    /// Tags of an index.
    pub tags_max: usize,
    /// Length of a tag's key.
    pub tag_key_bytes_max: usize,
    /// Length of a tag's value.
    pub tag_value_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            upsert_records_max: 1_000,
            ids_max: 1_000,
            top_k_max: 10_000,
            dimension_max: 20_000,
            sparse_values_max: 2_048,
            metadata_bytes_max: 40_960,
            request_bytes_max: 2 << 20,
            list_page_max: 100,
            backup_page_max: 100,
            tags_max: 20,
            tag_key_bytes_max: 80,
            tag_value_bytes_max: 120,
        }
    }
}
