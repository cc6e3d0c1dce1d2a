//! How nearness is scored.

use serde::{Deserialize, Serialize};

/// The similarity measure of a dense field, fixed when the index is created.
///
/// What the API calls a score: cosine in -1 to 1 and dot product, both higher is nearer; squared
/// euclidean distance, lower is nearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// Cosine similarity; a zero vector scores 0 against everything.
    #[default]
    Cosine,
    /// Plain inner product.
    DotProduct,
    /// Squared Euclidean distance.
    Euclidean,
}

impl Metric {
    /// The name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::DotProduct => "dotproduct",
            Self::Euclidean => "euclidean",
        }
    }

    /// Reads the name in the API; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "cosine" => Some(Self::Cosine),
            "dotproduct" => Some(Self::DotProduct),
            "euclidean" => Some(Self::Euclidean),
            _ => None,
        }
    }

    /// Whether the smaller of two scores is the nearer one.
    #[must_use]
    pub fn lower_is_nearer(self) -> bool {
        matches!(self, Self::Euclidean)
    }
}
