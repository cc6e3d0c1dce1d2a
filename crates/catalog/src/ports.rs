//! Which port an index gets.
//!
//! A port stays with the name of its index, also after the index was deleted: clients keep hosts in
//! their configuration, and a port that turned into another index would answer them with the wrong
//! data. Only when no other port is left does a name lose the port that it does not use; the one
//! freed longest ago goes first. INVARIANT: no port belongs to two names.

use std::collections::{BTreeMap, BTreeSet};

use lodgepole_types::IndexName;

use crate::rows::PortRow;

/// The ports that indexes may get, first and last included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// The end of the default range: above it, Linux gives ports to outgoing connections.
    const LAST_DEFAULT: u16 = 32_767;

    /// A range; `None` when it is empty or contains port 0, which means "any" to the system.
    #[must_use]
    pub fn new(first: u16, last: u16) -> Option<Self> {
        (first > 0 && first <= last).then_some(Self { first, last })
    }

    /// The ports that follow the control plane's port, up to 32,767, or up to 65,535 when that port
    /// lies above. `None` for port 65,535, which nothing follows.
    #[must_use]
    pub fn following(control: u16) -> Option<Self> {
        let first = control.checked_add(1)?;
        let last = if first <= Self::LAST_DEFAULT { Self::LAST_DEFAULT } else { u16::MAX };
        Self::new(first, last)
    }

    /// The first port.
    #[must_use]
    pub fn first(self) -> u16 {
        self.first
    }

    /// The last port.
    #[must_use]
    pub fn last(self) -> u16 {
        self.last
    }

    fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

/// The port found for a name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) port: u16,
    /// The name that loses it.
    pub(crate) displaced: Option<IndexName>,
}

/// Finds a port for `name`: its own, else the lowest that belongs to no name, else the one freed
/// longest ago. Never one in `unusable`. `None` when there is none.
pub(crate) fn assign(
    ports: &BTreeMap<IndexName, PortRow>,
    name: &IndexName,
    range: PortRange,
    unusable: &BTreeSet<u16>,
) -> Option<Assignment> {
    let usable = |port: u16| range.contains(port) && !unusable.contains(&port);
    if let Some(own) = ports.get(name).filter(|own| usable(own.port)) {
        return Some(Assignment { port: own.port, displaced: None });
    }
    let owned: BTreeSet<u16> = ports.values().map(|row| row.port).collect();
    let unowned = (range.first..=range.last).find(|port| usable(*port) && !owned.contains(port));
    if let Some(port) = unowned {
        return Some(Assignment { port, displaced: None });
    }
    let (oldest, row) = ports
        .iter()
        .filter(|(owner, row)| *owner != name && row.freed.is_some() && usable(row.port))
        .min_by_key(|(_, row)| row.freed)?;
    Some(Assignment { port: row.port, displaced: Some(oldest.clone()) })
}

/// The next place in the order in which ports are freed.
pub(crate) fn next_freed(ports: &BTreeMap<IndexName, PortRow>) -> u64 {
    ports.values().filter_map(|row| row.freed).max().map_or(0, |last| last.saturating_add(1))
}

#[cfg(test)]
mod tests {
    //! Goal: ports are sticky, and reused as late as possible. Method: small ranges by hand.
    use super::*;

    fn name(text: &str) -> IndexName {
        IndexName::parse(text).unwrap()
    }

    fn rows(rows: &[(&str, u16, Option<u64>)]) -> BTreeMap<IndexName, PortRow> {
        rows.iter()
            .map(|(n, port, freed)| (name(n), PortRow { port: *port, freed: *freed }))
            .collect()
    }

    fn port_of(rows: &BTreeMap<IndexName, PortRow>, text: &str, unusable: &[u16]) -> Option<u16> {
        let range = PortRange::new(10, 12).unwrap();
        let unusable = unusable.iter().copied().collect();
        assign(rows, &name(text), range, &unusable).map(|found| found.port)
    }

    #[test]
    fn a_range_is_never_empty_and_never_holds_port_0() {
        assert_eq!(PortRange::new(5, 4), None);
        assert_eq!(PortRange::new(0, 4), None);
        assert_eq!(PortRange::following(5080), PortRange::new(5081, 32_767));
        assert_eq!(PortRange::following(40_000), PortRange::new(40_001, 65_535));
        assert_eq!(PortRange::following(65_535), None);
    }

    #[test]
    fn a_name_gets_its_own_port_back() {
        let rows = rows(&[("a", 11, Some(0)), ("b", 10, None)]);
        assert_eq!(port_of(&rows, "a", &[]), Some(11));
    }

    #[test]
    fn a_port_outside_the_range_is_not_given_again() {
        let rows = rows(&[("a", 99, Some(0))]);
        assert_eq!(port_of(&rows, "a", &[]), Some(10));
    }

    #[test]
    fn unowned_ports_come_before_freed_ones() {
        let rows = rows(&[("a", 10, Some(0)), ("b", 11, None)]);
        assert_eq!(port_of(&rows, "c", &[]), Some(12));
        assert_eq!(port_of(&rows, "c", &[12]), Some(10));
    }

    #[test]
    fn the_port_freed_longest_ago_is_taken_and_its_name_loses_it() {
        let rows = rows(&[("a", 10, Some(7)), ("b", 11, None), ("c", 12, Some(3))]);
        let range = PortRange::new(10, 12).unwrap();
        let found = assign(&rows, &name("d"), range, &BTreeSet::new()).unwrap();
        assert_eq!(found, Assignment { port: 12, displaced: Some(name("c")) });
    }

    #[test]
    fn ports_of_live_indexes_are_never_taken() {
        let rows = rows(&[("a", 10, None), ("b", 11, None), ("c", 12, None)]);
        assert_eq!(port_of(&rows, "d", &[]), None);
        assert_eq!(port_of(&rows, "a", &[10]), None);
    }
}
