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
    /// Levels that the clauses of a filter may be nested.
    pub filter_depth_max: usize,
    /// Values of one `$in` or `$nin`.
    pub filter_values_max: usize,
    /// Conditions and clauses of one filter.
    pub filter_nodes_max: usize,
    /// Records that one update by filter changes.
    pub update_matches_max: usize,
    /// Records on one page of a fetch by metadata.
    pub fetch_page_max: u32,
    /// Records on such a page when the request does not say.
    pub fetch_page_default: u32,
    /// Records of such a page as protobuf; a page that would be longer ends early.
    pub fetch_page_bytes_max: usize,
    /// `maxCandidates` of a query.
    pub candidates_max: u32,
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
    /// Pods of one index: replicas times shards.
    pub pods_max: u32,
    /// The definition of an index as JSON: tags, schema, parameters of its model and all else.
    pub index_definition_bytes_max: usize,
    /// Name of a backup before 2026-07, when it is free text.
    pub backup_name_bytes_max: usize,
    /// Description of a backup.
    pub backup_description_bytes_max: usize,
    /// Days that the backups of a schedule may be kept.
    pub backup_retention_days_max: u32,
    /// URI of an import, in characters.
    pub import_uri_chars_max: usize,
    /// Storage integration of an import, in characters.
    pub import_integration_chars_max: usize,
    /// Namespaces of one import.
    pub import_namespaces_max: usize,
    /// Files of one import.
    pub import_files_max: usize,
    /// One file of an import.
    pub import_file_bytes_max: u64,
    /// All files of an import.
    pub import_bytes_max: u64,
    /// Imports into one index that have not ended.
    pub imports_open_max: usize,
    /// Entries on one page of imports; also the default.
    pub import_page_max: u32,
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
            filter_depth_max: 32,
            filter_values_max: 10_000,
            filter_nodes_max: 4_096,
            update_matches_max: 100_000,
            fetch_page_max: 10_000,
            fetch_page_default: 100,
            fetch_page_bytes_max: 4_000_000,
            candidates_max: 100_000,
            request_bytes_max: 2 << 20,
            list_page_max: 100,
            backup_page_max: 100,
            tags_max: 20,
            tag_key_bytes_max: 80,
            tag_value_bytes_max: 120,
            pods_max: 20,
            index_definition_bytes_max: 64 << 10,
            backup_name_bytes_max: 512,
            backup_description_bytes_max: 4_096,
            backup_retention_days_max: 3_650,
            import_uri_chars_max: 1_500,
            import_integration_chars_max: 1_000,
            import_namespaces_max: 10_000,
            import_files_max: 100_000,
            import_file_bytes_max: 10 << 30,
            import_bytes_max: 1 << 40,
            imports_open_max: 100,
            import_page_max: 100,
        }
    }
}
