//! Where databases live, and how they hang together.

use std::fmt;

use uuid::Uuid;

/// The place of a database below the root of its store, such as `ix/<index id>/db/0`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DatabasePath(String);

impl DatabasePath {
    /// Takes a path of plain segments: letters, digits, `-`, `_` and `.`, separated by `/`. Names
    /// that users chose never become part of a path; should one, its other characters become `_`.
    #[must_use]
    pub fn new(path: &str) -> Self {
        let clean = |c: char| {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/') { c } else { '_' }
        };
        Self(path.chars().map(clean).collect())
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DatabasePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A checkpoint found in a database's manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Its id.
    pub id: Uuid,
    /// The name it was taken under; clones leave none.
    pub name: Option<String>,
    /// Whether it goes by itself. Pins of backups and of clones do not; a compactor's do.
    pub expires: bool,
}

/// A database that another one was cloned from and still hangs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// Where the parent lives.
    pub path: DatabasePath,
    /// Files of it that are still read.
    pub borrowed_files: usize,
}
