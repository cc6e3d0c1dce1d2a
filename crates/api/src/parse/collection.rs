//! Checks collections: their creation, and an index that is made from one.

use lodgepole_types::{Deployment, IndexConfig, IndexName};

use super::{control_body, new_index_name};
use crate::ApiError;
use crate::wire::collections::CreateCollection;

/// A collection to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCollection {
    /// Its name.
    pub name: IndexName,
    /// The index to copy, as named in the request.
    pub source: String,
}

/// Reads `POST /collections`.
///
/// # Errors
/// `Unprocessable` for a body of another shape, `InvalidArgument` for a bad name.
pub fn create_collection(body: &[u8]) -> Result<NewCollection, ApiError> {
    let CreateCollection { name, source } = control_body(body)?;
    Ok(NewCollection { name: new_index_name(&name)?, source })
}

/// Checks that an index can be made from a collection, given the definition that the collection's
/// own index had. The metrics may differ.
///
/// # Errors
/// `InvalidArgument` when the dimension differs, or the environment of a pod index does.
pub fn check_source(config: &IndexConfig, source: &IndexConfig) -> Result<(), ApiError> {
    if config.dimension() != source.dimension() {
        let text = |dimension: Option<u32>| dimension.map_or("none".to_owned(), |d| d.to_string());
        return Err(ApiError::invalid(format!(
            "The dimension of the index ({}) must be that of the collection ({})",
            text(config.dimension()),
            text(source.dimension())
        )));
    }
    if let (Deployment::Pod(wanted), Deployment::Pod(found)) =
        (&config.deployment, &source.deployment)
        && wanted.environment != found.environment
    {
        return Err(ApiError::invalid(format!(
            "The collection must be in the same environment as the index: it is in {}",
            found.environment
        )));
    }
    Ok(())
}
