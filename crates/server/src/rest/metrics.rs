//! What Prometheus reads: the text exposition format, version 0.0.4.
//!
//! Written by hand: a page of gauges needs no library. Each metric is one row of [`GAUGES`], so name,
//! help and value cannot part.

use std::fmt::Write as _;
use std::sync::Arc;

use lodgepole_api::wire::search::SearchStateResponse;
use lodgepole_types::Index;

/// The type of the page.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A number of one index.
struct Gauge {
    name: &'static str,
    help: &'static str,
    value: fn(&SearchStateResponse) -> Value,
}

/// Whole numbers are written whole, however large.
enum Value {
    Count(u64),
    Seconds(f64),
}

const GAUGES: &[Gauge] = &[
    Gauge {
        name: "lodgepole_search_namespaces",
        help: "Namespaces whose records are in memory for search.",
        value: |state| Value::Count(state.namespaces),
    },
    Gauge {
        name: "lodgepole_search_tail_rows",
        help: "Rows that no segment holds and that queries compare one by one.",
        value: |state| Value::Count(state.tail_rows),
    },
    Gauge {
        name: "lodgepole_search_tail_bytes",
        help: "Memory for these rows.",
        value: |state| Value::Count(state.tail_bytes),
    },
    Gauge {
        name: "lodgepole_search_segments",
        help: "Segments in use.",
        value: |state| Value::Count(state.segments),
    },
    Gauge {
        name: "lodgepole_search_segment_rows",
        help: "Rows of segments, dead ones included.",
        value: |state| Value::Count(state.segment_rows),
    },
    Gauge {
        name: "lodgepole_search_dead_rows",
        help: "Rows of segments that were overwritten or deleted since.",
        value: |state| Value::Count(state.dead_rows),
    },
    Gauge {
        name: "lodgepole_search_segment_bytes",
        help: "Bytes of segments, mapped from their files.",
        value: |state| Value::Count(state.segment_bytes),
    },
    Gauge {
        name: "lodgepole_search_resident_bytes",
        help: "Bytes of segments that every query looks at.",
        value: |state| Value::Count(state.resident_bytes),
    },
    Gauge {
        name: "lodgepole_search_waiting_namespaces",
        help: "Namespaces that wait to be indexed.",
        value: |state| Value::Count(state.waiting_namespaces),
    },
    Gauge {
        name: "lodgepole_search_queue_age_seconds",
        help: "How long the first of the waiting namespaces has waited; 0 when none does.",
        value: |state| Value::Seconds(state.queue_age_seconds.unwrap_or_default()),
    },
];

/// The gauge of the certificate, which is the server's and not an index's. Absent without TLS.
const CERTIFICATE: (&str, &str) = (
    "lodgepole_certificate_days_left",
    "Days for which the certificate in use, and the authority that it is from, are still valid.",
);

/// The page. The rows of one metric stand together, as the format wants it.
pub(super) fn page(
    states: &[(Arc<Index>, SearchStateResponse)],
    certificate_days_left: Option<i64>,
) -> String {
    let named: Vec<_> =
        states.iter().map(|(index, state)| (label(index.config.name.as_str()), state)).collect();
    let mut page = String::new();
    for Gauge { name, help, value } in GAUGES {
        // Writing to a text cannot fail.
        let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (index, state) in &named {
            let _ = match value(state) {
                Value::Count(count) => writeln!(page, "{name}{{index=\"{index}\"}} {count}"),
                Value::Seconds(time) => writeln!(page, "{name}{{index=\"{index}\"}} {time}"),
            };
        }
    }
    if let Some(days) = certificate_days_left {
        let (name, help) = CERTIFICATE;
        let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {days}");
    }
    page
}

/// A text as the value of a label.
fn label(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    //! Goal: a page that Prometheus reads. Method: lines by hand; the real page is asked for over
    //! HTTP in the tests of the server.
    use super::*;

    #[test]
    fn labels_are_escaped() {
        assert_eq!(label("plain-1"), "plain-1");
        assert_eq!(label("a\\b\"c\nd"), r#"a\\b\"c\nd"#);
    }

    #[test]
    fn every_metric_is_explained_even_without_an_index() {
        let page = page(&[], None);
        assert_eq!(page.lines().count(), 2 * GAUGES.len());
        for Gauge { name, help, .. } in GAUGES {
            assert!(page.contains(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n")));
            assert!(name.starts_with("lodgepole_search_") && help.ends_with('.'), "{name}");
        }
    }

    #[test]
    fn the_certificate_is_told_when_there_is_one() {
        let page = page(&[], Some(-3));
        assert_eq!(page.lines().count(), 2 * GAUGES.len() + 3);
        assert!(page.ends_with("gauge\nlodgepole_certificate_days_left -3\n"), "{page}");
    }
}
