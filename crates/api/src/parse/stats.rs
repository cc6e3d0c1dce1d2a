//! Checks a request for statistics, and one for an exact count.

use std::sync::Arc;

use lodgepole_types::{Filter, IndexConfig, Limits};

use super::{Namespace, filter};
use crate::ApiError;
use crate::wire::vectors::{CountRequest, DescribeIndexStatsRequest};

/// Reads what statistics are of. As in Pinecone, only pod indexes take a filter that selects.
///
/// # Errors
/// `InvalidArgument`.
pub fn stats(
    request: &DescribeIndexStatsRequest,
    index: &IndexConfig,
    limits: &Limits,
) -> Result<Option<Arc<Filter>>, ApiError> {
    let filter = filter::optional(request.filter.as_ref(), limits)?;
    if filter.is_some() && !index.is_pod() {
        return Err(ApiError::invalid(
            "Serverless and Starter indexes do not support describing index stats with metadata \
             filtering. POST /vectors/count counts the records that a filter matches.",
        ));
    }
    Ok(filter)
}

/// What to count.
#[derive(Debug, Clone, PartialEq)]
pub struct Count {
    /// Where.
    pub namespace: Namespace,
    /// What; `None` counts everything.
    pub filter: Option<Arc<Filter>>,
}

/// Reads a count.
///
/// # Errors
/// `InvalidArgument`.
pub fn count(request: CountRequest, limits: &Limits) -> Result<Count, ApiError> {
    let namespace = Namespace::parse(request.namespace)?;
    Ok(Count { namespace, filter: filter::optional(request.filter.as_ref(), limits)? })
}

#[cfg(test)]
mod tests {
    //! Goal: only a filter that selects is refused, and only without pods. Method: all requests.
    use super::*;
    use crate::parse::testing;

    #[test]
    fn only_a_filter_that_selects_is_refused() {
        let limits = Limits::default();
        let read =
            |json, index: &IndexConfig| stats(&serde_json::from_str(json).unwrap(), index, &limits);
        let (serverless, pod) = (testing::dense(), testing::pod());
        for index in [&serverless, &pod] {
            assert_eq!(read("{}", index).unwrap(), None);
            assert_eq!(read(r#"{"filter":{}}"#, index).unwrap(), None);
            let bad = read(r#"{"filter":{"a":{"$no":1}}}"#, index).unwrap_err();
            assert_eq!(bad.kind().http_status(), 400);
        }
        let refused = read(r#"{"filter":{"a":1}}"#, &serverless).unwrap_err();
        assert_eq!(refused.kind().http_status(), 400);
        assert!(read(r#"{"filter":{"a":1}}"#, &pod).unwrap().is_some());
    }

    #[test]
    fn a_count_may_have_a_filter() {
        let read = |json| count(serde_json::from_str(json).unwrap(), &Limits::default()).unwrap();
        assert_eq!(read("{}").filter, None);
        let some = read(r#"{"filter":{"a":1},"namespace":"n"}"#);
        assert!(some.filter.is_some() && some.namespace.name.as_str() == "n");
    }
}
