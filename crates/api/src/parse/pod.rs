//! Checks what is said about pods. Lodgepole has none: the words are kept and given back, by the
//! rules that Pinecone's pods have, so that a program meets the same refusals here and there.

use lodgepole_types::{Limits, PodSpec};
use serde_json::Value;

use crate::ApiError;
use crate::wire::index_request::{PodChange, PodSpecRequest};

const FAMILIES: [&str; 3] = ["s1", "p1", "p2"];
const SIZES: [&str; 4] = ["x1", "x2", "x4", "x8"];
/// Longest name of an environment.
const ENVIRONMENT_BYTES_MAX: usize = 128;

/// Reads the spec of a new pod index.
pub(super) fn new_pod(request: PodSpecRequest, limits: &Limits) -> Result<PodSpec, ApiError> {
    PodType::parse(&request.pod_type)?;
    let replicas = count("replicas", request.replicas.unwrap_or(1))?;
    let shards = count("shards", request.shards.unwrap_or(1))?;
    let all = pods(replicas, shards, limits)?;
    let pods = match request.pods {
        Some(pods) => count("pods", pods)?,
        None => all,
    };
    if pods > limits.pods_max {
        return Err(too_many());
    }
    Ok(PodSpec {
        environment: environment(request.environment)?,
        pod_type: request.pod_type,
        replicas,
        shards,
        pods,
        metadata_config: request.metadata_config.map(metadata_config).transpose()?,
    })
}

/// Lays a change over the spec of a pod index.
pub(super) fn changed_pod(
    change: &PodChange,
    before: &PodSpec,
    limits: &Limits,
) -> Result<PodSpec, ApiError> {
    let mut after = before.clone();
    if let Some(replicas) = change.replicas {
        after.replicas = count("replicas", replicas)?;
        after.pods = pods(after.replicas, after.shards, limits)?;
    }
    if let Some(text) = &change.pod_type {
        let (old, new) = (PodType::parse(&before.pod_type)?, PodType::parse(text)?);
        if old.family != new.family {
            return Err(ApiError::invalid(format!(
                "Cannot change pod type from {} to {}: the family must stay the same",
                old.family, new.family
            )));
        }
        // A family without a size leaves the size as it is.
        if let Some(size) = new.size {
            if size < old.size.unwrap_or(0) {
                return Err(ApiError::invalid(format!(
                    "Cannot scale down from {} to {text}",
                    before.pod_type
                )));
            }
            after.pod_type.clone_from(text);
        }
    }
    Ok(after)
}

/// Reads the name of an environment. Any is known.
pub(super) fn environment(text: String) -> Result<String, ApiError> {
    let fits = !text.is_empty() && text.len() <= ENVIRONMENT_BYTES_MAX;
    if fits && text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(text);
    }
    Err(ApiError::invalid(format!(
        "environment must be 1 to {ENVIRONMENT_BYTES_MAX} printable ASCII characters without spaces"
    )))
}

/// Family and size, the size as its place in [`SIZES`].
struct PodType {
    family: &'static str,
    size: Option<usize>,
}

impl PodType {
    fn parse(text: &str) -> Result<Self, ApiError> {
        let (family, size) = match text.split_once('.') {
            Some((family, size)) => (family, Some(size)),
            None => (text, None),
        };
        let refuse = || {
            ApiError::invalid(format!(
                "pod_type must be one of s1, p1 and p2, and a size: .x1, .x2, .x4 or .x8, got '{}'",
                text.escape_default()
            ))
        };
        let family = FAMILIES.into_iter().find(|known| *known == family).ok_or_else(refuse)?;
        let place = |size| SIZES.iter().position(|known| *known == size).ok_or_else(refuse);
        Ok(Self { family, size: size.map(place).transpose()? })
    }
}

fn count(name: &str, value: i64) -> Result<u32, ApiError> {
    if value < 1 {
        return Err(ApiError::invalid(format!("{name} must be at least 1, got {value}")));
    }
    u32::try_from(value).map_err(|_| too_many())
}

fn pods(replicas: u32, shards: u32, limits: &Limits) -> Result<u32, ApiError> {
    let pods = replicas.saturating_mul(shards);
    if pods > limits.pods_max { Err(too_many()) } else { Ok(pods) }
}

fn too_many() -> ApiError {
    ApiError::forbidden("You've reached the max pods allowed for this index.")
}

fn metadata_config(config: Value) -> Result<Value, ApiError> {
    let indexed = config.as_object().and_then(|config| match config.get("indexed") {
        None | Some(Value::Null) => Some(true),
        Some(names) => names.as_array().map(|names| names.iter().all(Value::is_string)),
    });
    if indexed == Some(true) {
        return Ok(config);
    }
    Err(ApiError::invalid(
        "metadata_config must hold 'indexed', a list of names of metadata fields",
    ))
}

#[cfg(test)]
mod tests {
    //! Goal: pods keep Pinecone's rules. Method: one case a rule, JSON in.
    use serde_json::json;

    use super::*;

    fn pod(change: &Value) -> Result<PodSpec, ApiError> {
        let mut body = json!({"environment": "us-east1-gcp", "pod_type": "p1.x1"});
        for (key, value) in change.as_object().unwrap() {
            body[key] = value.clone();
        }
        new_pod(serde_json::from_value(body).unwrap(), &Limits::default())
    }

    fn change(before: &PodSpec, change: &Value) -> Result<PodSpec, ApiError> {
        let change = serde_json::from_value(change.clone()).unwrap();
        changed_pod(&change, before, &Limits::default())
    }

    fn text<T>(result: Result<T, ApiError>) -> (u16, String) {
        let error = result.err().unwrap();
        (error.kind().http_status(), error.message().to_owned())
    }

    #[test]
    fn a_spec_is_filled_in() {
        let made = pod(&json!({})).unwrap();
        assert_eq!((made.replicas, made.shards, made.pods), (1, 1, 1));
        let made = pod(&json!({"replicas": 2, "shards": 3, "pod_type": "s1"})).unwrap();
        assert_eq!((made.pods, made.pod_type.as_str()), (6, "s1"));
        let config = json!({"indexed": ["genre"]});
        let made = pod(&json!({"metadata_config": config, "pods": 1})).unwrap();
        assert_eq!(made.metadata_config, Some(config));
    }

    #[test]
    fn wrong_specs_are_refused() {
        for wrong in [
            json!({"pod_type": "p9.x1"}),
            json!({"pod_type": "p1.x3"}),
            json!({"pod_type": ""}),
            json!({"replicas": 0}),
            json!({"shards": -1}),
            json!({"pods": 0}),
            json!({"environment": ""}),
            json!({"environment": "a b"}),
            json!({"metadata_config": {"indexed": [1]}}),
            json!({"metadata_config": 1}),
        ] {
            assert_eq!(text(pod(&wrong)).0, 400, "{wrong}");
        }
        for many in [json!({"replicas": 30}), json!({"shards": 30_000_000_000_i64})] {
            let (status, message) = text(pod(&many));
            assert_eq!(status, 403, "{many}");
            assert!(message.starts_with("You've reached the max pods allowed"), "{message}");
        }
    }

    #[test]
    fn replicas_go_up_and_down_within_the_cap() {
        let one = pod(&json!({})).unwrap();
        let three = change(&one, &json!({"replicas": 3})).unwrap();
        assert_eq!((three.replicas, three.pods), (3, 3));
        assert_eq!(change(&three, &json!({"replicas": 1})).unwrap(), one);
        for many in [30, 30_000] {
            assert_eq!(text(change(&one, &json!({"replicas": many}))).0, 403);
        }
        assert_eq!(text(change(&one, &json!({"replicas": 0}))).0, 400);
    }

    #[test]
    fn a_size_goes_up_and_a_family_stays() {
        let x2 = pod(&json!({"pod_type": "p1.x2"})).unwrap();
        assert_eq!(change(&x2, &json!({"pod_type": "p1.x4"})).unwrap().pod_type, "p1.x4");
        assert_eq!(change(&x2, &json!({"pod_type": "p1.x2"})).unwrap(), x2);
        assert_eq!(change(&x2, &json!({"pod_type": "p1"})).unwrap(), x2);
        let (status, message) = text(change(&x2, &json!({"pod_type": "p1.x1"})));
        assert!(status == 400 && message.contains("Cannot scale down"), "{message}");
        let (status, message) = text(change(&x2, &json!({"pod_type": "p2.x4"})));
        assert!(status == 400 && message.contains("change pod"), "{message}");
        let unsized_ = pod(&json!({"pod_type": "p1"})).unwrap();
        assert_eq!(change(&unsized_, &json!({"pod_type": "p1.x1"})).unwrap().pod_type, "p1.x1");
    }
}
