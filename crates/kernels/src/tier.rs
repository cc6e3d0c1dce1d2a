//! The instruction sets that the kernels are written for.
//!
//! The list is the same on every processor, so that a setting or a log line means one thing
//! everywhere; whether a tier can run here is asked of `Kernels::with_tier`.

use std::fmt;

/// An instruction set with kernels of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tier {
    /// Plain Rust, on every processor.
    Scalar,
    /// 128-bit registers of 64-bit Arm.
    Neon,
    /// 256-bit registers of x86-64, with fused multiply-add.
    Avx2,
    /// 512-bit registers of x86-64: the foundation subset and that of bytes and words.
    Avx512,
}

impl Tier {
    /// Every tier, the preferred ones last.
    pub const ALL: [Self; 4] = [Self::Scalar, Self::Neon, Self::Avx2, Self::Avx512];

    /// The name in settings and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// Reads the name in settings; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.as_str() == text)
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
