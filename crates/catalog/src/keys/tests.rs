//! Goal: a key opens exactly what it should, for exactly as long as it should, and its text is kept
//! nowhere. Method: a catalog in memory, closed and opened again.
use std::collections::BTreeSet;

use lodgepole_types::{Classify as _, ErrorKind, SeededRng};

use super::*;
use crate::testing::{at, catalog, reopened};

async fn create(catalog: &Catalog, name: Option<&str>, role: Role, seed: u64) -> NewKey {
    catalog.create_key(name, role, (at(1), &SeededRng::new(seed))).await.unwrap()
}

#[tokio::test]
async fn a_key_works_until_it_is_revoked_also_after_a_restart() {
    let (storage, catalog) = catalog().await;
    assert_eq!(catalog.contents().key_state(), KeyState::Never);
    let made = create(&catalog, Some("ci"), Role::DataPlaneViewer, 7).await;
    assert!(made.text.starts_with("pckey_") && made.text.len() == 6 + 8 + 1 + 52, "{}", made.text);
    let catalog = reopened(&storage, catalog).await;
    let found = catalog.contents().authenticate(made.text.as_bytes()).unwrap();
    assert_eq!((&*found.name, found.role), ("ci", Role::DataPlaneViewer));
    assert_eq!(catalog.contents().key_state(), KeyState::InUse);
    catalog.revoke_key("ci", at(2)).await.unwrap();
    assert_eq!(catalog.contents().authenticate(made.text.as_bytes()), None);
    let catalog = reopened(&storage, catalog).await;
    assert_eq!(catalog.contents().authenticate(made.text.as_bytes()), None);
    assert_eq!(catalog.contents().key_state(), KeyState::Revoked, "no door opens by revoking");
    assert_eq!(catalog.contents().api_keys()[0].revoked_at, Some(at(2)));
}

#[tokio::test]
async fn no_other_text_works() {
    let (_, catalog) = catalog().await;
    let made = create(&catalog, None, Role::ProjectEditor, 7).await;
    assert_eq!(made.key.name, made.key.id.as_str(), "called by its id");
    let mut last = made.text.clone();
    let letter = if last.ends_with('a') { "b" } else { "a" };
    last.replace_range(last.len() - 1.., letter);
    let longer = format!("{}a", made.text);
    let id = format!("pckey_{}_", made.key.id);
    for wrong in ["", "any", "pckey_", "pckey_abcdefgh_x", &id, &last, &longer, &made.text[1..]] {
        assert_eq!(catalog.contents().authenticate(wrong.as_bytes()), None, "{wrong}");
    }
    assert_eq!(catalog.contents().authenticate(b"pckey_\xff"), None);
    assert!(catalog.contents().authenticate(made.text.as_bytes()).is_some());
}

#[tokio::test]
async fn names_are_unique_among_the_keys_in_use() {
    let (_, catalog) = catalog().await;
    let rng = SeededRng::new(3);
    let create = |name| catalog.create_key(Some(name), Role::ProjectEditor, (at(1), &rng));
    create("ci").await.unwrap();
    assert_eq!(create("ci").await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    let long = "x".repeat(81);
    for bad in ["", "a\nb", &long] {
        assert_eq!(create(bad).await.unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
    catalog.revoke_key("ci", at(2)).await.unwrap();
    assert_eq!(catalog.revoke_key("ci", at(2)).await.unwrap_err().kind(), ErrorKind::NotFound);
    create("ci").await.unwrap();
    assert_eq!(catalog.contents().api_keys().len(), 2);
}

#[tokio::test]
async fn the_row_holds_no_text_of_a_key() {
    let (_, catalog) = catalog().await;
    let made = create(&catalog, None, Role::ProjectEditor, 7).await;
    let row = String::from_utf8(Row::Key(Arc::clone(&made.key)).encode().unwrap()).unwrap();
    let secret = made.text.rsplit('_').next().unwrap();
    assert!(!row.contains(secret) && !format!("{made:?}").contains(secret));
}

#[test]
fn roles_are_read_in_any_case_of_letters() {
    for role in Role::ALL {
        assert_eq!(Role::parse(&role.as_str().to_lowercase()), Some(role));
    }
    assert_eq!(Role::parse("Root"), None);
}

#[test]
fn letters_are_all_different() {
    assert_eq!(LETTERS.iter().collect::<BTreeSet<_>>().len(), 32);
}
