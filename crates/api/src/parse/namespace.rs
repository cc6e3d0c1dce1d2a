//! A namespace together with how the request spelled it.

use lodgepole_types::NamespaceName;

use crate::ApiError;

/// The default namespace has several spellings, and a reply uses that of its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// The name.
    pub name: NamespaceName,
    /// What the request called it.
    pub spelling: String,
}

impl Namespace {
    pub(super) fn parse(spelling: String) -> Result<Self, ApiError> {
        let name = NamespaceName::parse(&spelling).map_err(|error| ApiError::invalid(error.0))?;
        Ok(Self { name, spelling })
    }
}
