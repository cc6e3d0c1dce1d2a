//! Goal: every refusal has its reason. Method: one request a reason.

use serde_json::{Value, json};

use super::*;

fn create(json: Value) -> Result<AliasTarget, ApiError> {
    create_alias(serde_json::from_value(json).unwrap())
}

fn list(json: Value) -> Result<ListAliases, ApiError> {
    list_aliases(serde_json::from_value(json).unwrap(), &Limits::default())
}

fn reason<T: std::fmt::Debug>(result: Result<T, ApiError>) -> &'static str {
    let error = result.unwrap_err();
    assert_eq!(error.kind().http_status(), 400);
    error.reason().unwrap().reason.as_str()
}

#[test]
fn an_alias_and_its_target_are_read() {
    let alias = create(json!({"name": "live:[v1]!", "target_namespace": "__default__"})).unwrap();
    assert_eq!((alias.name.as_str(), alias.target.is_default()), ("live:[v1]!", true));
    assert!(create(json!({"name": "a".repeat(512), "target_namespace": "n s/%"})).is_ok());
}

#[test]
fn names_and_targets_have_rules() {
    for name in ["", ".", "..", "__default__", "a b", "a/b", "a%41", "a\\b", "a+b", "ü", "a\u{7f}"]
    {
        let result = create(json!({"name": name, "target_namespace": "n"}));
        assert_eq!(reason(result), "ALIAS_NAME_INVALID", "{name}");
    }
    let long = json!({"name": "a".repeat(513), "target_namespace": "n"});
    assert_eq!(reason(create(long)), "ALIAS_NAME_INVALID");
    assert_eq!(reason(create(json!({"name": "a"}))), "TARGET_NAMESPACE_REQUIRED");
    let long = json!({"name": "a", "target_namespace": "n".repeat(513)});
    assert_eq!(reason(create(long)), "NAMESPACE_TOO_LONG");
    let odd = json!({"name": "a", "target_namespace": "ü"});
    assert_eq!(reason(create(odd)), "NAMESPACE_INVALID");
    let repoint = RepointNamespaceAliasRequest::default();
    assert_eq!(reason(repoint_alias(repoint)), "ALIAS_NAME_INVALID");
}

#[test]
fn older_versions_have_no_aliases() {
    for version in [ApiVersion::V2024_07, ApiVersion::V2025_10, ApiVersion::V2026_04] {
        assert_eq!(reason(check_alias_version(version)), "API_VERSION_TOO_OLD");
    }
    for version in [ApiVersion::V2026_01Alpha, ApiVersion::V2026_07, ApiVersion::Unstable] {
        assert!(check_alias_version(version).is_ok());
    }
}

#[test]
fn limits_prefixes_and_targets_of_a_listing_have_rules() {
    assert_eq!(list(json!({})).unwrap().limit, 100);
    for (json, wanted) in [
        (json!({"limit": 0}), "LIST_INVALID_LIMIT"),
        (json!({"limit": 101}), "LIST_INVALID_LIMIT"),
        (json!({"prefix": "p".repeat(513)}), "PREFIX_TOO_LONG"),
        (json!({"prefix": "ü"}), "PREFIX_MUST_BE_ASCII"),
        (json!({"prefix": "a\0"}), "PREFIX_MUST_NOT_CONTAIN_NULL_CHARACTER"),
        (json!({"target_namespace": ""}), "TARGET_FILTER_EMPTY"),
        (json!({"target_namespace": "ü"}), "NAMESPACE_INVALID"),
        (json!({"pagination_token": "?"}), "INVALID_PAGINATION_TOKEN"),
        (json!({"pagination_token": "e30="}), "INVALID_PAGINATION_TOKEN"),
    ] {
        assert_eq!(reason(list(json)), wanted);
    }
}

#[test]
fn a_token_continues_its_own_listing_only() {
    let token = |json| next_aliases_page(&list(json).unwrap(), "x").next;
    let plain = token(json!({}));
    let narrow = token(json!({"prefix": "p", "target_namespace": "n"}));
    let next = list(json!({"pagination_token": narrow, "limit": 3})).unwrap();
    let target = NamespaceName::parse("n").unwrap();
    let wanted = ListAliases {
        prefix: "p".to_owned(),
        target: Some(target),
        limit: 3,
        after: Some("x".to_owned()),
    };
    assert_eq!(next, wanted);
    let same = json!({"pagination_token": narrow, "prefix": "p", "target_namespace": "n"});
    assert!(list(same).is_ok());
    for (json, wanted) in [
        (json!({"pagination_token": plain, "prefix": "p"}), "LIST_INVALID_TOKEN_WITH_PREFIX"),
        (
            json!({"pagination_token": plain, "target_namespace": "n"}),
            "LIST_INVALID_TOKEN_WITH_TARGET",
        ),
        (json!({"pagination_token": narrow, "prefix": "q"}), "LIST_INVALID_TOKEN_WITH_NEW_PREFIX"),
        (
            json!({"pagination_token": narrow, "target_namespace": "m"}),
            "LIST_INVALID_TOKEN_WITH_NEW_TARGET",
        ),
    ] {
        assert_eq!(reason(list(json)), wanted);
    }
}
