//! The API versions, and what each changed.
//!
//! A request names its version in a header; every reply is rendered in that version's dialect. What
//! differs between versions is asked through predicates here, so that no other file compares dates.

use std::fmt;

use crate::ApiError;

/// A version of the API, in the order of publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are dates and say it all")]
pub enum ApiVersion {
    V2024_07,
    V2024_10,
    V2025_01,
    V2025_04,
    V2025_10,
    V2026_01Alpha,
    V2026_04,
    V2026_07,
    /// Whatever is newest.
    Unstable,
}

impl ApiVersion {
    /// Every version, oldest first.
    pub const ALL: [Self; 9] = [
        Self::V2024_07,
        Self::V2024_10,
        Self::V2025_01,
        Self::V2025_04,
        Self::V2025_10,
        Self::V2026_01Alpha,
        Self::V2026_04,
        Self::V2026_07,
        Self::Unstable,
    ];

    /// What a request without the header gets.
    pub const DEFAULT: Self = Self::V2025_10;

    /// The name of the header, and of the gRPC metadata key; compared without regard to case.
    pub const HEADER: &'static str = "x-pinecone-api-version";

    /// Reads the header's value. A date that is not known means the newest stable version that is
    /// not later, or the oldest if there is none.
    ///
    /// # Errors
    /// `InvalidArgument` when the text is not a version at all.
    pub fn from_header(value: Option<&str>) -> Result<Self, ApiError> {
        let Some(text) = value.map(str::trim).filter(|text| !text.is_empty()) else {
            return Ok(Self::DEFAULT);
        };
        if text == "202601-alpha" {
            return Ok(Self::V2026_01Alpha);
        }
        if let Some(known) = Self::ALL.into_iter().find(|version| version.as_str() == text) {
            return Ok(known);
        }
        let date = date(text).ok_or_else(|| {
            ApiError::invalid(format!(
                "API version '{}' is not valid. Send a version such as {} in {}",
                text.escape_default(),
                Self::V2026_07,
                Self::HEADER
            ))
        })?;
        let known = Self::ALL
            .into_iter()
            .rev()
            .find(|version| self::date(version.as_str()).is_some_and(|known| known <= date));
        Ok(known.unwrap_or(Self::V2024_07))
    }

    /// The version as clients write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2024_07 => "2024-07",
            Self::V2024_10 => "2024-10",
            Self::V2025_01 => "2025-01",
            Self::V2025_04 => "2025-04",
            Self::V2025_10 => "2025-10",
            Self::V2026_01Alpha => "2026-01.alpha",
            Self::V2026_04 => "2026-04",
            Self::V2026_07 => "2026-07",
            Self::Unstable => "unstable",
        }
    }

    /// Whether an index is described by `schema` and `deployment` instead of `dimension`, `metric`
    /// and `spec`.
    #[must_use]
    pub fn schema_style(self) -> bool {
        matches!(self, Self::V2026_01Alpha | Self::V2026_07 | Self::Unstable)
    }

    /// Whether this is the preview of the schema style, which differs from it in some fields.
    #[must_use]
    pub fn is_alpha(self) -> bool {
        self == Self::V2026_01Alpha
    }

    /// Whether an index has tags.
    #[must_use]
    pub fn has_tags(self) -> bool {
        self >= Self::V2024_10
    }

    /// Whether an index names its vector type.
    #[must_use]
    pub fn has_vector_type(self) -> bool {
        self >= Self::V2025_01
    }

    /// Whether an import says how many of its rows were taken.
    #[must_use]
    pub fn validates_imports(self) -> bool {
        self >= Self::V2026_07
    }

    /// Whether statistics name metric and vector type.
    #[must_use]
    pub fn stats_name_metric(self) -> bool {
        self >= Self::V2025_01
    }

    /// Whether the default namespace is listed as `__default__` and not as the empty text.
    #[must_use]
    pub fn lists_default_namespace_by_name(self) -> bool {
        self >= Self::V2025_04
    }

    /// Whether an index names its read capacity and its selection of filterable metadata.
    #[must_use]
    pub fn has_read_capacity(self) -> bool {
        self >= Self::V2025_10
    }

    /// Whether indexes in the user's own cloud exist, and a serverless index names the collection
    /// that it was made from.
    #[must_use]
    pub fn knows_byoc(self) -> bool {
        self >= Self::V2025_04
    }

    /// Whether the model of an index names the dimension.
    #[must_use]
    pub fn embed_names_dimension(self) -> bool {
        self >= Self::V2025_04
    }

    /// Whether names that a request may not hold are refused where older versions ignore them.
    #[must_use]
    pub fn refuses_unknown_names(self) -> bool {
        self >= Self::V2026_07
    }

    /// Whether the name of a backup follows the rule of index names; before, it is free text.
    #[must_use]
    pub fn backup_names_follow_rule(self) -> bool {
        self >= Self::V2026_07
    }

    /// Whether an unknown source of a collection is "not found" rather than a bad request.
    #[must_use]
    pub fn collection_source_not_found(self) -> bool {
        self >= Self::V2026_07
    }

    /// Whether a backup can be restored into another region.
    #[must_use]
    pub fn restores_elsewhere(self) -> bool {
        self == Self::Unstable
    }

    /// Whether a query can say how hard to try.
    #[must_use]
    pub fn has_query_effort(self) -> bool {
        self >= Self::V2025_10
    }

    /// Whether one request can hold several queries.
    #[must_use]
    pub fn has_query_lists(self) -> bool {
        self < Self::V2026_07
    }

    /// Whether 64-bit counters of a namespace are text, and its size is among them.
    #[must_use]
    pub fn counts_in_text(self) -> bool {
        self >= Self::V2026_07
    }

    /// Whether usage names the bytes that leave.
    #[must_use]
    pub fn counts_egress(self) -> bool {
        self >= Self::V2026_07
    }

    /// Whether namespaces have aliases.
    #[must_use]
    pub fn has_aliases(self) -> bool {
        self.schema_style()
    }

    /// Entries on a page of backups or restore jobs when the request does not say.
    #[must_use]
    pub fn backup_page_default(self) -> u32 {
        if self >= Self::V2026_07 { 100 } else { 10 }
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Year and month of `YYYY-MM`; `None` for anything else.
fn date(text: &str) -> Option<(u16, u8)> {
    let (year, month) = text.split_once('-')?;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if year.len() != 4 || month.len() != 2 || !digits(year) || !digits(month) {
        return None;
    }
    let (year, month) = (year.parse().ok()?, month.parse().ok()?);
    (1..=12).contains(&month).then_some((year, month))
}

#[cfg(test)]
mod tests {
    //! Goal: every header gets the documented version. Method: one case a rule.
    use super::*;

    fn read(text: &str) -> ApiVersion {
        ApiVersion::from_header(Some(text)).unwrap()
    }

    #[test]
    fn known_versions_read_back() {
        for version in ApiVersion::ALL {
            assert_eq!(read(version.as_str()), version);
        }
        assert_eq!(read("202601-alpha"), ApiVersion::V2026_01Alpha);
    }

    #[test]
    fn a_missing_header_means_the_default() {
        assert_eq!(ApiVersion::from_header(None).unwrap(), ApiVersion::V2025_10);
        assert_eq!(read(" "), ApiVersion::V2025_10);
    }

    #[test]
    fn an_unknown_date_means_the_newest_stable_version_before_it() {
        assert_eq!(read("2031-01"), ApiVersion::V2026_07);
        assert_eq!(read("2026-05"), ApiVersion::V2026_04);
        assert_eq!(read("2026-02"), ApiVersion::V2025_10);
        assert_eq!(read("2024-04"), ApiVersion::V2024_07);
    }

    #[test]
    fn what_is_not_a_version_is_refused() {
        for text in ["invalid", "2025", "2025-13", "2025-1", "25-10", "2025-10-01", "v2025-10"] {
            let error = ApiVersion::from_header(Some(text)).unwrap_err();
            assert_eq!(error.kind().http_status(), 400, "{text}");
        }
    }
}
