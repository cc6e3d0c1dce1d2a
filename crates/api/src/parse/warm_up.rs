//! Checks a call to warm up.

use super::Namespace;
use crate::ApiError;
use crate::wire::search::WarmUpRequest;

/// Reads which namespace is meant; `None` for all of them.
///
/// # Errors
/// `InvalidArgument`.
pub fn warm_up(request: WarmUpRequest) -> Result<Option<Namespace>, ApiError> {
    request.namespace.map(Namespace::parse).transpose()
}

#[cfg(test)]
mod tests {
    //! Goal: one, all, or refused. Method: JSON in.
    use super::*;

    fn read(json: &str) -> Result<Option<Namespace>, ApiError> {
        warm_up(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_namespace_is_optional_and_checked() {
        assert_eq!(read("{}").unwrap(), None);
        let default = read(r#"{"namespace":""}"#).unwrap().unwrap();
        assert_eq!(default.name, read(r#"{"namespace":"__default__"}"#).unwrap().unwrap().name);
        assert_eq!(read(r#"{"namespace":"n"}"#).unwrap().unwrap().name.as_str(), "n");
        let long = format!(r#"{{"namespace":"{}"}}"#, "n".repeat(10_000));
        assert_eq!(read(&long).unwrap_err().kind().http_status(), 400);
    }
}
