//! What can happen to the bytes of an object.

use std::fmt;

use bytes::Bytes;
use lodgepole_types::{Rng, SeededRng};

use super::forge::{Blindness, opened, sealed};

/// What a disk writes at once.
const PAGE: usize = 4_096;

/// A kind of damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    /// One bit is the other one.
    FlippedBit,
    /// One byte is another one.
    FlippedByte,
    /// A page is zeros, or all of a shorter object.
    ZeroedPage,
    /// The end is missing, from anywhere.
    Truncated,
    /// Everything is missing but the name.
    Emptied,
    /// The last few bytes are missing.
    TailCut,
    /// Something follows that does not belong there.
    Lengthened,
    /// Two stretches are in each other's place.
    SwappedBlocks,
    /// Another object of the same kind is in its place, and it in that one's.
    Exchanged,
    /// It is gone.
    Deleted,
}

impl Damage {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::FlippedBit,
        Self::FlippedByte,
        Self::ZeroedPage,
        Self::Truncated,
        Self::Emptied,
        Self::TailCut,
        Self::Lengthened,
        Self::SwappedBlocks,
        Self::Exchanged,
        Self::Deleted,
    ];

    /// The objects afterwards. With `blindness`, as if checksums were not looked at.
    pub(super) fn apply(
        self,
        rng: &SeededRng,
        (path, bytes): (&str, Bytes),
        (other, others): (&str, Bytes),
        blindness: Option<Blindness>,
    ) -> Vec<(String, Option<Bytes>)> {
        let close = |path: &str, content: Vec<u8>| match blindness {
            Some(blindness) => sealed(path, content, blindness),
            None => Bytes::from(content),
        };
        let open = |bytes: Bytes| if blindness.is_some() { opened(&bytes) } else { bytes.to_vec() };
        if self == Self::Deleted {
            return vec![(path.to_owned(), None)];
        }
        if self == Self::Exchanged {
            let (mine, theirs) = (open(bytes), open(others));
            return vec![
                (path.to_owned(), Some(close(path, theirs))),
                (other.to_owned(), Some(close(other, mine))),
            ];
        }
        let content = self.damaged(rng, open(bytes));
        vec![(path.to_owned(), Some(close(path, content)))]
    }

    fn damaged(self, rng: &SeededRng, mut bytes: Vec<u8>) -> Vec<u8> {
        let length = bytes.len();
        if length == 0 {
            return bytes;
        }
        let at = below(rng, length);
        match self {
            Self::FlippedBit => bytes[at] ^= 1 << below(rng, 8),
            Self::FlippedByte => bytes[at] = bytes[at].wrapping_add(1 + below(rng, 255) as u8),
            Self::ZeroedPage => {
                let start = at / PAGE * PAGE;
                let end = length.min(start + PAGE);
                bytes[start..end].fill(0);
            }
            Self::Truncated => bytes.truncate(at),
            Self::Emptied => bytes.clear(),
            Self::TailCut => bytes.truncate(length - 1 - below(rng, length.min(64))),
            Self::Lengthened => {
                let more = 1 + below(rng, PAGE);
                bytes.extend((0..more).map(|_| rng.next_u64() as u8));
            }
            Self::SwappedBlocks => swap_blocks(rng, &mut bytes),
            Self::Exchanged | Self::Deleted => {}
        }
        bytes
    }
}

fn swap_blocks(rng: &SeededRng, bytes: &mut [u8]) {
    let half = bytes.len() / 2;
    if half == 0 {
        return;
    }
    let size = (1 + below(rng, half)).min([16, 512, PAGE][below(rng, 3)]);
    let first = below(rng, half - size + 1);
    let second = half + below(rng, bytes.len() - half - size + 1);
    let (left, right) = bytes.split_at_mut(second);
    left[first..first + size].swap_with_slice(&mut right[..size]);
}

/// A number below `limit`, which is not 0.
fn below(rng: &SeededRng, limit: usize) -> usize {
    let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
    usize::try_from(rng.next_u64() % limit).unwrap_or(0)
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::FlippedBit => "flipped bit",
            Self::FlippedByte => "flipped byte",
            Self::ZeroedPage => "zeroed page",
            Self::Truncated => "truncated",
            Self::Emptied => "emptied",
            Self::TailCut => "tail cut",
            Self::Lengthened => "lengthened",
            Self::SwappedBlocks => "swapped blocks",
            Self::Exchanged => "exchanged",
            Self::Deleted => "deleted",
        })
    }
}
