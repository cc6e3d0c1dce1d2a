//! The kinds of sections.
//!
//! INVARIANT: a number that was ever released keeps its meaning. A section whose layout changes
//! gets a new number; readers ignore numbers that they do not know, so sections can be added
//! without a new format version.

/// What a section holds. The number is what stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Section {
    /// Not a section: the header and the footer, in errors.
    Container = 0,

    /// Shape and counts of the segment: a struct of fixed size.
    Meta = 1,
    /// Centroids of the lists, without the mean: i8.
    Centroids = 2,
    /// First row of each list, and the end of the last: u32.
    ListOffsets = 3,
    /// 8-bit rows: i8.
    Rows8 = 6,
    /// Scale and norm of each 8-bit row: f32 pairs.
    Terms8 = 7,
    /// Full rows: f32.
    Values = 8,
    /// Docids: u64.
    Docids = 9,
    /// Row of each docid: u32.
    DocidRows = 10,
    /// Record ids, one after the other: text.
    Ids = 11,
    /// End of each record id: u64.
    IdEnds = 12,
    /// Metadata as stored, one after the other.
    Metadata = 13,
    /// End of each row's metadata: u64.
    MetadataEnds = 14,
    /// Sparse indices as sent: u32.
    SparseIndices = 15,
    /// Sparse values as sent: f32.
    SparseValues = 16,
    /// End of each row's sparse values: u64.
    SparseEnds = 17,
    /// Scale and norm of each centroid: f32 pairs.
    CentroidTerms = 19,
    /// How the rows of each list are spread, and its centroid's squared norm: four f32.
    ListTerms = 22,
    /// Docid of each row, in row order: u64.
    RowDocids = 23,
    /// Mean of the rotated rows: f32.
    Mean = 24,
    /// First block of each list, and the end of the last: u32.
    BlockOffsets = 28,
    /// First row of each block: u32.
    BlockRows = 29,
    /// What the segment learned about itself: how far to look.
    Calibration = 30,
    /// Blocks of the rows' codes with their terms.
    Blocks = 31,
    /// Blocks of the centroids' codes with their terms, as if they were rows.
    ListBlocks = 32,

    /// Sparse index, terms in ascending order: u32.
    PostingsTerms = 33,
    /// Sparse index, end of each term's postings: u64.
    PostingsEnds = 34,
    /// Sparse index, rows: u32.
    PostingsRows = 35,
    /// Sparse index, values: f32.
    PostingsValues = 36,

    /// Directions in which codes are taken: f32.
    Directions = 37,

    /// Filter columns, the directory of fields.
    ColumnsMeta = 64,
    /// Filter columns, names of fields: text.
    ColumnsFields = 65,
    /// Filter columns, distinct texts: text.
    ColumnsTexts = 66,
    /// Filter columns, entries of the dictionary.
    ColumnsEntries = 68,
    /// Filter columns, sets of rows.
    ColumnsSets = 69,
    /// Filter columns, numbers in ascending order: f64.
    ColumnsNumbers = 70,
    /// Filter columns, row of each number: u32.
    ColumnsNumberRows = 71,
}

impl Section {
    /// Every kind, in the order of their numbers.
    pub(super) const ALL: &'static [Self] = &[
        Self::Container,
        Self::Meta,
        Self::Centroids,
        Self::ListOffsets,
        Self::Rows8,
        Self::Terms8,
        Self::Values,
        Self::Docids,
        Self::DocidRows,
        Self::Ids,
        Self::IdEnds,
        Self::Metadata,
        Self::MetadataEnds,
        Self::SparseIndices,
        Self::SparseValues,
        Self::SparseEnds,
        Self::CentroidTerms,
        Self::ListTerms,
        Self::RowDocids,
        Self::Mean,
        Self::BlockOffsets,
        Self::BlockRows,
        Self::Calibration,
        Self::Blocks,
        Self::ListBlocks,
        Self::PostingsTerms,
        Self::PostingsEnds,
        Self::PostingsRows,
        Self::PostingsValues,
        Self::Directions,
        Self::ColumnsMeta,
        Self::ColumnsFields,
        Self::ColumnsTexts,
        Self::ColumnsEntries,
        Self::ColumnsSets,
        Self::ColumnsNumbers,
        Self::ColumnsNumberRows,
    ];

    /// The kind with a number; [`Self::Container`] for one that this release does not know.
    #[must_use]
    pub(super) fn from_kind(kind: u32) -> Self {
        let known = Self::ALL.iter().find(|section| section.kind() == kind);
        known.copied().unwrap_or(Self::Container)
    }

    /// The number in the file.
    #[must_use]
    pub fn kind(self) -> u32 {
        self as u32
    }

    /// The name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Meta => "meta",
            Self::Centroids => "centroids",
            Self::ListOffsets => "list offsets",
            Self::Rows8 => "8-bit rows",
            Self::Terms8 => "8-bit terms",
            Self::Values => "values",
            Self::Docids => "docids",
            Self::DocidRows => "docid rows",
            Self::Ids => "ids",
            Self::IdEnds => "id ends",
            Self::Metadata => "metadata",
            Self::MetadataEnds => "metadata ends",
            Self::SparseIndices => "sparse indices",
            Self::SparseValues => "sparse values",
            Self::SparseEnds => "sparse ends",
            Self::Calibration => "calibration",
            Self::CentroidTerms => "centroid terms",
            Self::ListTerms => "list terms",
            Self::RowDocids => "row docids",
            Self::Mean => "mean",
            Self::Blocks => "blocks",
            Self::ListBlocks => "list blocks",
            Self::BlockOffsets => "block offsets",
            Self::BlockRows => "block rows",
            Self::PostingsTerms => "postings terms",
            Self::PostingsEnds => "postings ends",
            Self::PostingsRows => "postings rows",
            Self::PostingsValues => "postings values",
            Self::Directions => "directions",
            Self::ColumnsMeta => "columns meta",
            Self::ColumnsFields => "columns fields",
            Self::ColumnsTexts => "columns texts",
            Self::ColumnsEntries => "columns entries",
            Self::ColumnsSets => "columns sets",
            Self::ColumnsNumbers => "columns numbers",
            Self::ColumnsNumberRows => "columns number rows",
        }
    }
}
