//! Attributes for serde where JSON and protobuf differ.
//!
//! In protobuf's JSON form null means "absent" for every field, and a number that JSON cannot write
//! must still be written somehow.

use serde::{Deserialize, Deserializer, Serializer};

/// Reads null as the default value.
pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Writes a number that overflowed as the largest one, and one that is undefined as zero: JSON has
/// neither, and a null in its place stops every client.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
pub(super) fn finite<S: Serializer>(score: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    let score = if score.is_nan() { 0.0 } else { score.clamp(f32::MIN, f32::MAX) };
    serializer.serialize_f32(score)
}
