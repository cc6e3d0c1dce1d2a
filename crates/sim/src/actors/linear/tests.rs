//! Goal: the checker says yes exactly when there is an order. Method: small random histories against a
//! search through all orders, histories that a real register made, and known bad ones by hand.

use lodgepole_types::{Rng, SeededRng};

use super::*;

fn write(begin: u64, end: u64, version: u16) -> Event {
    Event { begin, end, certain: true, action: Action::Write(Some(version)) }
}

fn delete(begin: u64, end: u64) -> Event {
    Event { begin, end, certain: true, action: Action::Write(None) }
}

fn unanswered(begin: u64, end: u64, version: u16) -> Event {
    Event { certain: false, ..write(begin, end, version) }
}

fn read(begin: u64, end: u64, seen: Held) -> Event {
    Event { begin, end, certain: true, action: Action::Read(seen) }
}

/// Tries every order of every subset that holds all certain events.
fn has_an_order(first: Held, events: &[Event]) -> bool {
    fn goes_on(held: Held, events: &[Event], placed: &mut Vec<usize>) -> bool {
        let open: Vec<_> = (0..events.len()).filter(|at| !placed.contains(at)).collect();
        if open.iter().all(|at| !events[*at].certain) {
            return true;
        }
        for at in &open {
            let event = events[*at];
            let too_late = placed.iter().any(|before| event.end < events[*before].begin);
            let too_early =
                open.iter().any(|other| events[*other].certain && events[*other].end < event.begin);
            let after = match event.action {
                Action::Write(value) => value,
                action if action.sees(held) => held,
                _ => continue,
            };
            if too_late || too_early {
                continue;
            }
            placed.push(*at);
            if goes_on(after, events, placed) {
                return true;
            }
            placed.pop();
        }
        false
    }
    goes_on(first, events, &mut Vec::new())
}

fn draw(rng: &SeededRng, below: u64) -> u64 {
    rng.next_u64() % below
}

/// Up to six events with moments at random; few values, so that many histories can be explained.
fn random_history(rng: &SeededRng) -> Vec<Event> {
    (0..1 + draw(rng, 6))
        .map(|_| {
            let begin = draw(rng, 12);
            let end = begin + draw(rng, 6);
            let value = [None, Some(1), Some(2)][usize::try_from(draw(rng, 3)).unwrap()];
            match draw(rng, 5) {
                0 => Event { begin, end, certain: true, action: Action::Write(value) },
                1 => Event { begin, end, certain: false, action: Action::Write(value) },
                2 => Event { begin, end, certain: true, action: Action::Present },
                _ => Event { begin, end, certain: true, action: Action::Read(value) },
            }
        })
        .collect()
}

#[test]
fn the_verdict_is_that_of_a_search_through_all_orders() {
    let rng = SeededRng::new(1);
    let mut good = 0;
    for number in 0..40_000 {
        let events = random_history(&rng);
        let expected = has_an_order(None, &events);
        assert_eq!(is_linearizable(None, &events), expected, "history {number}: {events:?}");
        good += u32::from(expected);
    }
    println!("40000 histories, {good} of them with an order");
    assert!((8_000..32_000).contains(&good), "one-sided: {good}");
}

/// A register that takes its effects at one moment of each call, calls overlapping.
#[test]
fn what_a_register_did_is_explained_also_in_long_histories() {
    let rng = SeededRng::new(2);
    for _ in 0..200 {
        let (mut held, mut events) = (None, Vec::new());
        for at in (0..150).map(|number| number * 10) {
            let (begin, end) = (at - at.min(draw(&rng, 40)), at + draw(&rng, 40));
            let version = u16::try_from(at / 10 + 1).unwrap();
            match draw(&rng, 4) {
                0 => {
                    held = Some(version);
                    events.push(write(begin, end, version));
                }
                1 if draw(&rng, 2) == 0 => events.push(unanswered(begin, end, version)),
                1 => {
                    held = None;
                    events.push(delete(begin, end));
                }
                _ => events.push(read(begin, end, held)),
            }
        }
        assert!(is_linearizable(None, &events));
    }
}

#[test]
fn bad_histories_are_refused() {
    let lost = [write(1, 2, 7), read(3, 4, None)];
    let stale = [write(1, 2, 7), write(3, 4, 8), read(5, 6, Some(7))];
    let back_and_forth =
        [write(1, 2, 7), unanswered(3, 20, 8), read(5, 6, Some(8)), read(7, 8, Some(7))];
    let after_its_bound = [unanswered(1, 5, 8), read(6, 7, None), read(8, 9, Some(8))];
    let undeleted = [write(1, 2, 7), delete(3, 4), read(5, 6, Some(7))];
    let from_nowhere = [read(1, 2, Some(9))];
    let too_early = [read(1, 2, Some(7)), write(3, 4, 7)];
    let histories: [&[Event]; 7] =
        [&lost, &stale, &back_and_forth, &after_its_bound, &undeleted, &from_nowhere, &too_early];
    for events in histories {
        assert!(!is_linearizable(None, events), "{events:?}");
    }
}

#[test]
fn a_write_without_an_answer_may_show_late_or_never() {
    let late = [write(1, 2, 7), unanswered(3, 30, 8), read(5, 6, Some(7)), read(9, 10, Some(8))];
    let never = [write(1, 2, 7), unanswered(3, 30, 8), read(40, 41, Some(7))];
    assert!(is_linearizable(None, &late));
    assert!(is_linearizable(None, &never));
}

/// Forty writes without an answer, each of which may have happened or not, and a read that nothing
/// explains: to say no, all has to be tried. A search through their subsets would not end.
#[test]
fn many_writes_without_an_answer_are_searched_in_no_time() {
    let impossible = read(2_000, 2_001, Some(999));
    let unseen = (0..40).map(|at| unanswered(at, 1_000, u16::try_from(at).unwrap()));
    let unseen: Vec<_> = unseen.chain([impossible]).collect();
    assert!(!is_linearizable(None, &unseen));

    let deletes = (0..40).map(|at| Event { certain: false, ..delete(at, 1_000) });
    let stores_and_misses = (0..40).flat_map(|at| {
        let begin = 100 + 10 * at;
        [write(begin, begin + 1, 1), read(begin + 2, begin + 3, None)]
    });
    let mut events: Vec<_> = deletes.chain(stores_and_misses).collect();
    assert!(is_linearizable(None, &events), "one deletion for each miss");
    events.push(impossible);
    assert!(!is_linearizable(None, &events));
}
