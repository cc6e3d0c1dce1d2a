//! Stored metadata written by hand, so that it can also be what no checked request brings.

fn framed(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let mut framed = vec![tag];
    let mut len = bytes.len();
    while len >= 0x80 {
        framed.push(u8::try_from(len & 0x7f).unwrap() | 0x80);
        len >>= 7;
    }
    framed.push(u8::try_from(len).unwrap());
    framed.extend_from_slice(bytes);
    framed
}

pub(super) fn entry(name: &str, value: &[u8]) -> Vec<u8> {
    framed(0x0a, &[framed(0x0a, name.as_bytes()), framed(0x12, value)].concat())
}

pub(super) fn text(text: &str) -> Vec<u8> {
    framed(0x1a, text.as_bytes())
}

pub(super) fn number(number: f64) -> Vec<u8> {
    [&[0x11][..], &number.to_le_bytes()].concat()
}

pub(super) fn flag(flag: bool) -> Vec<u8> {
    vec![0x20, u8::from(flag)]
}

pub(super) fn null() -> Vec<u8> {
    vec![0x08, 0]
}

pub(super) fn list(values: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let values: Vec<u8> = values.into_iter().flat_map(|value| framed(0x0a, &value)).collect();
    framed(0x32, &values)
}

/// A text where a number should be.
pub(super) fn damaged() -> Vec<u8> {
    framed(0x12, b"damage")
}
