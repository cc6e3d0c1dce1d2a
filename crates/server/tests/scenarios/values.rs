//! Comparing an answer with what is expected.
//!
//! Everything must be as written, except: an object with the key `"..."` may have more keys than
//! are named; the texts `<any>`, `<string>`, `<number>`, `<int>`, `<time>`, `<uuid>` stand for what
//! they say, `<0.5±0.001>` for a number near to another, `<~part>` for a text that holds a part,
//! `<=name>` for a value that is kept under that name. `${name}` is replaced by what was kept.

use std::collections::BTreeMap;

use serde_json::Value;

/// Values that were kept.
pub(crate) type Kept = BTreeMap<String, Value>;

/// Puts what was kept into a text.
pub(crate) fn fill(text: &str, kept: &Kept) -> String {
    kept.iter().fold(text.to_owned(), |text, (name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text.replace(&format!("${{{name}}}"), &value)
    })
}

/// Where and how `found` differs from `wanted`.
pub(crate) fn compare(
    at: &str,
    wanted: &Value,
    found: &Value,
    kept: &mut Kept,
) -> Result<(), String> {
    match (wanted, found) {
        (Value::String(text), _) => compare_text(at, text, found, kept),
        (Value::Object(wanted), Value::Object(found)) => {
            for (key, wanted) in wanted.iter().filter(|(key, _)| *key != "...") {
                let found = found.get(key).ok_or_else(|| format!("{at}.{key} is missing"))?;
                compare(&format!("{at}.{key}"), wanted, found, kept)?;
            }
            let more = found.keys().find(|key| !wanted.contains_key(*key));
            match more {
                Some(key) if !wanted.contains_key("...") => {
                    Err(format!("{at}.{key} was not expected: {}", found[key]))
                }
                _ => Ok(()),
            }
        }
        (Value::Array(wanted), Value::Array(found)) => {
            if wanted.len() != found.len() {
                return Err(format!(
                    "{at} has {} entries, expected {}: {found:?}",
                    found.len(),
                    wanted.len()
                ));
            }
            for (place, (wanted, found)) in wanted.iter().zip(found).enumerate() {
                compare(&format!("{at}[{place}]"), wanted, found, kept)?;
            }
            Ok(())
        }
        (Value::Number(_), Value::Number(_)) if wanted.as_f64() == found.as_f64() => Ok(()),
        _ if wanted == found => Ok(()),
        _ => Err(format!("{at} is {found}, expected {wanted}")),
    }
}

fn compare_text(at: &str, wanted: &str, found: &Value, kept: &mut Kept) -> Result<(), String> {
    let wanted = fill(wanted, kept);
    let fits = match wanted.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')) {
        None => found.as_str() == Some(&wanted),
        Some("any") => true,
        Some("string") => found.is_string(),
        Some("number") => found.is_number(),
        Some("int") => {
            let text = found.as_str().map(str::to_owned).unwrap_or_else(|| found.to_string());
            text.parse::<u64>().is_ok()
        }
        Some("time") => found.as_str().is_some_and(is_time),
        Some("uuid") => found.as_str().is_some_and(is_uuid),
        Some(inner) => {
            if let Some(name) = inner.strip_prefix('=') {
                kept.insert(name.to_owned(), found.clone());
                true
            } else if let Some(part) = inner.strip_prefix('~') {
                found.as_str().is_some_and(|found| found.contains(part))
            } else if let Some((value, tolerance)) = inner.split_once('±') {
                let parsed = (value.parse::<f64>(), tolerance.parse::<f64>());
                let (Ok(value), Ok(tolerance)) = parsed else {
                    return Err(format!("{at}: {wanted} is not understood"));
                };
                found.as_f64().is_some_and(|found| (found - value).abs() <= tolerance)
            } else {
                found.as_str() == Some(&wanted)
            }
        }
    };
    if fits { Ok(()) } else { Err(format!("{at} is {found}, expected \"{wanted}\"")) }
}

/// `2026-01-02T03:04:05Z`, with or without a fraction.
fn is_time(text: &str) -> bool {
    let shape: String =
        text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).take(19).collect();
    shape == "0000-00-00T00:00:00" && text.ends_with('Z')
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}
