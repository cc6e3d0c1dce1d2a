//! Checks a request for statistics.

use crate::ApiError;
use crate::wire::vectors::DescribeIndexStatsRequest;

/// Refuses a filter, as Pinecone does on serverless indexes; an empty one is none.
///
/// # Errors
/// `InvalidArgument`.
pub fn stats(request: &DescribeIndexStatsRequest) -> Result<(), ApiError> {
    match &request.filter {
        Some(filter) if !filter.fields.is_empty() => Err(ApiError::invalid(
            "Serverless and Starter indexes do not support describing index stats with metadata \
             filtering",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    //! Goal: only a filter that selects is refused. Method: three requests.
    use super::*;

    #[test]
    fn only_a_filter_that_selects_is_refused() {
        let read = |json| stats(&serde_json::from_str(json).unwrap());
        assert!(read("{}").is_ok());
        assert!(read(r#"{"filter":{}}"#).is_ok());
        assert_eq!(read(r#"{"filter":{"a":1}}"#).unwrap_err().kind().http_status(), 400);
    }
}
