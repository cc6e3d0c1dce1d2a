//! Sets of files and of segments as bits, so that a state is small and is copied and hashed fast.
//!
//! Invariant: an object is named by the database that made it and a number that counts up there;
//! a name is never used twice.

/// Databases at most.
pub const MAX_DATABASES: usize = 3;
/// Backups at most.
pub const MAX_BACKUPS: usize = 2;
/// Objects that one database can make.
pub const GENERATIONS: usize = 4;

const _: () = assert!(MAX_DATABASES * GENERATIONS <= 16, "a set has 16 bits");

/// A set of objects, each named by its maker and its generation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Set(u16);

impl Set {
    /// Nothing.
    pub const EMPTY: Self = Self(0);

    /// The one object `generation` of `maker`.
    #[must_use]
    pub fn one(maker: usize, generation: usize) -> Self {
        assert!(maker < MAX_DATABASES && generation < GENERATIONS);
        Self(1 << (maker * GENERATIONS + generation))
    }

    /// Everything that `maker` can ever make.
    #[must_use]
    pub fn made_by(maker: usize) -> Self {
        (0..GENERATIONS).fold(Self::EMPTY, |all, generation| all.with(Self::one(maker, generation)))
    }

    /// Everything that any of them can ever make.
    #[must_use]
    pub fn everything() -> Self {
        (0..MAX_DATABASES).fold(Self::EMPTY, |all, maker| all.with(Self::made_by(maker)))
    }

    /// Both together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This without the other.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// What both have.
    #[must_use]
    pub fn shared(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of `other` is in it.
    #[must_use]
    pub fn holds(self, other: Self) -> bool {
        other.without(self).is_empty()
    }
}

impl std::fmt::Debug for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = (0..MAX_DATABASES)
            .flat_map(|maker| (0..GENERATIONS).map(move |generation| (maker, generation)))
            .filter(|&(maker, generation)| self.holds(Self::one(maker, generation)))
            .map(|(maker, generation)| format!("{maker}.{generation}"));
        f.debug_set().entries(names).finish()
    }
}
