//! Goal: who watches the indexer sees all of its work. Method: wishes, taken and given back, at times
//! that the test chooses.

use std::sync::Arc;
use std::time::Duration;

use lodgepole_types::{IndexId, NamespaceName, SeededRng};

use super::{Waiting, Wishes};
use crate::ShardRef;

fn name(text: &str) -> NamespaceName {
    NamespaceName::parse(text).unwrap()
}

#[test]
fn a_namespace_counts_as_waiting_until_the_work_on_it_has_ended() {
    let wishes = Arc::new(Wishes::default());
    let shape = ShardRef { index: IndexId::random(&SeededRng::new(1)), dense: None };
    let other = ShardRef { index: IndexId::random(&SeededRng::new(2)), dense: None };
    let at = Duration::from_secs;
    wishes.add(shape, name("a"), at(3));
    wishes.add(other, name("a"), at(4));
    let of = |shape: ShardRef| wishes.waiting().get(&shape.index).copied();
    assert_eq!(of(shape), Some(Waiting { namespaces: 1, since: at(3) }));
    let first = wishes.take(at(5)).unwrap();
    let second = wishes.take(at(5)).unwrap();
    assert_eq!(of(shape), Some(Waiting { namespaces: 1, since: at(3) }), "it is being worked on");
    wishes.add(shape, name("a"), at(6));
    assert_eq!(of(shape), Some(Waiting { namespaces: 1, since: at(3) }), "one namespace, once");
    drop((first, second));
    assert_eq!(of(shape), Some(Waiting { namespaces: 1, since: at(6) }));
    assert_eq!(of(other), None);
}

#[test]
fn a_merge_in_quiet_times_counts_while_it_runs() {
    let wishes = Arc::new(Wishes::default());
    let shape = ShardRef { index: IndexId::random(&SeededRng::new(1)), dense: None };
    wishes.add_later(shape, name("a"), Duration::from_secs(9));
    assert!(wishes.waiting().is_empty(), "nobody waits for it");
    let merge = wishes.take(Duration::from_secs(9)).unwrap();
    assert_eq!(wishes.waiting()[&shape.index].namespaces, 1);
    drop(merge);
    assert!(wishes.waiting().is_empty());
}
