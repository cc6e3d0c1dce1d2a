//! Goal: a state is explained exactly when whole requests, in the order of their Lsns, make it. Method:
//! random requests and states against a search through all places of the requests without an answer,
//! and known bad states by hand.

use lodgepole_types::{Rng, SeededRng};

use super::*;

fn request(keys: &[u8], value: Held, (begin, bound): (u64, u64), outcome: Outcome) -> Request {
    let keys = keys.iter().map(|key| (0, *key)).collect();
    Request { keys, value, begin, bound, outcome }
}

fn answered(keys: &[u8], value: Held, at: u64) -> Request {
    request(keys, value, (at, u64::MAX), Outcome::Answered(at + 1, Some(Lsn(at))))
}

fn state(held: &[(u8, u16)]) -> State {
    held.iter().map(|(key, version)| ((0, *key), *version)).collect()
}

/// What requests make of a state, one after the other.
fn made(base: &State, order: &[&Request]) -> State {
    let mut state = base.clone();
    for request in order {
        for key in &request.keys {
            match request.value {
                Some(version) => drop(state.insert(*key, version)),
                None => drop(state.remove(key)),
            }
        }
    }
    state
}

/// Every way to put some of the requests without an answer between the answered ones.
fn can_be_made(base: &State, order: &[&Request], open: &[&Request], found: &State) -> bool {
    if made(base, order) == *found {
        return true;
    }
    open.iter().enumerate().any(|(number, request)| {
        let rest: Vec<_> = [&open[..number], &open[number + 1..]].concat();
        (0..=order.len()).any(|place| {
            let (before, after) = order.split_at(place);
            let too_early =
                after.iter().any(|other| other.end().is_some_and(|end| end < request.begin));
            let too_late =
                before.iter().any(|other| other.lsn().is_some() && other.begin > request.bound);
            let next = [before, &[*request], after].concat();
            !too_early && !too_late && can_be_made(base, &next, &rest, found)
        })
    })
}

#[test]
fn the_verdict_is_that_of_a_search_through_all_places() {
    let rng = SeededRng::new(1);
    let draw = |below: u64| rng.next_u64() % below;
    let mut good = 0;
    for number in 0..10_000 {
        let mut requests = Vec::new();
        for at in 0..5_u64 {
            let keys: Vec<u8> = (0..3).filter(|_| draw(2) == 0).collect();
            let value = (draw(3) > 0).then_some(u16::try_from(at).unwrap() + 1);
            if draw(2) == 0 {
                requests.push(answered(&keys, value, at * 10));
            } else {
                let bound = at * 10 + draw(40);
                requests.push(request(&keys, value, (at * 10, bound), Outcome::Unknown));
            }
        }
        let base = state(&[(0, 9)]);
        // What some of them make, in their order; half of the time one record is off.
        let some: Vec<_> =
            requests.iter().filter(|one| one.lsn().is_some() || draw(2) == 0).collect();
        let mut found = made(&base, &some);
        if draw(2) == 0 {
            let key = (0, u8::try_from(draw(3)).unwrap());
            match u16::try_from(draw(6)).unwrap() {
                0 => drop(found.remove(&key)),
                version => drop(found.insert(key, version)),
            }
        }
        let order: Vec<_> = requests.iter().filter(|request| request.lsn().is_some()).collect();
        let open: Vec<_> = requests.iter().filter(|request| request.lsn().is_none()).collect();
        let expected = can_be_made(&base, &order, &open, &found);
        let verdict = explain(&base, &requests, Cut::NOW, &found);
        assert_eq!(verdict.is_ok(), expected, "{number}: {found:?} by {requests:#?}: {verdict:?}");
        good += u32::from(expected);
    }
    println!("10000 states, {good} of them explained");
    assert!((2_000..9_000).contains(&good), "one-sided: {good}");
}

#[test]
fn a_request_in_part_is_torn_and_a_missing_one_is_lost() {
    let requests = [
        answered(&[0, 1], Some(1), 10),
        request(&[0, 1], Some(2), (20, 90), Outcome::Unknown),
        answered(&[2], Some(3), 30),
    ];
    let verdict = |found: &[(u8, u16)]| explain(&State::new(), &requests, Cut::NOW, &state(found));
    assert_eq!(verdict(&[(0, 1), (1, 1), (2, 3)]), Ok(()));
    assert_eq!(verdict(&[(0, 2), (1, 2), (2, 3)]), Ok(()));
    assert!(matches!(verdict(&[(0, 2), (1, 1), (2, 3)]), Err(Violation::Torn(_))));
    assert!(matches!(verdict(&[(0, 1), (1, 1)]), Err(Violation::Lost(_))));
    assert!(matches!(verdict(&[(0, 1), (2, 3)]), Err(Violation::Lost(_))));
    assert!(verdict(&[(0, 1), (1, 1), (2, 3), (3, 9)]).is_err());
}

#[test]
fn a_cut_holds_what_came_before_it_and_nothing_else() {
    let requests = [answered(&[0], Some(1), 10), answered(&[0], Some(2), 20)];
    let cut = Cut { lsn: Lsn(10), moment: 15 };
    assert_eq!(explain(&State::new(), &requests, cut, &state(&[(0, 1)])), Ok(()));
    assert!(explain(&State::new(), &requests, cut, &state(&[(0, 2)])).is_err());
    assert!(explain(&State::new(), &requests, Cut::NOW, &state(&[(0, 1)])).is_err());
}
