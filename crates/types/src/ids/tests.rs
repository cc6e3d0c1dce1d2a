//! Goal: names are refused exactly where Pinecone refuses them. Method: the documented edges.

use super::*;

#[test]
fn index_names_follow_the_documented_rule() {
    for good in ["a", "0", "a-b", "abc-123", &"x".repeat(45)] {
        assert!(IndexName::parse(good).is_ok(), "{good}");
    }
    for bad in ["", "-a", "a-", "A", "a_b", "a.b", "é", "../x", &"x".repeat(46)] {
        assert!(IndexName::parse(bad).is_err(), "{bad}");
    }
    let message = IndexName::parse("Abc").unwrap_err().0;
    assert!(message.contains("lower case alphanumeric characters or '-'"), "{message}");
}

#[test]
fn all_spellings_of_the_default_namespace_are_one_name() {
    assert_eq!(NamespaceName::parse("").unwrap(), NamespaceName::parse("__default__").unwrap());
    assert_eq!(NamespaceName::default().listed(), "__default__");
    assert_eq!(NamespaceName::parse("a b").unwrap().listed(), "a b");
    assert!(NamespaceName::parse("a\0").is_err());
    assert!(NamespaceName::parse("ä").is_err());
    assert!(NamespaceName::parse(&"n".repeat(513)).is_err());
}

#[test]
fn record_ids_take_any_ascii_but_nul() {
    for good in ["a", "a b", "a/b:c@d![x]", "..", &"i".repeat(512)] {
        assert!(RecordId::parse(good).is_ok(), "{good}");
    }
    for bad in ["", "a\0b", "é", &"i".repeat(513)] {
        assert!(RecordId::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn uuid_ids_round_trip_through_text() {
    let id = BackupId::random(&crate::SeededRng::new(7));
    assert_eq!(BackupId::parse(&id.to_string()), Some(id));
    assert_eq!(BackupId::parse("not-a-uuid"), None);
}
