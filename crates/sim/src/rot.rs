//! Rot: one object of a store is damaged, and the service is started over what is left.
//!
//! An estate of indexes, clones and backups is made once ([`Estate`]), with the books of what each of
//! them holds. A seed then decides which object is damaged and how ([`Case`]), and a fresh service
//! over a copy of the damaged estate is asked for everything ([`examine`]). Law: no answer is wrong.
//! Each is that of the books or an error that names the file; what does not hang on the damaged file
//! goes on; `verify --deep` finds what hurts; a segment is built anew; a backup is never made into
//! an index that holds something else.
//!
//! Two losses leave no trace to be found by: the newest object of a log, and the newest manifest,
//! each gone as a whole. Then the state may be an earlier one, but it must be one that was: they are
//! counted apart ([`Outcome::Earlier`]).
//!
//! * [`Case`]: what is damaged, from a seed. A seed names the same case in every run.
//! * [`run`]: many seeds on some threads, with figures by kind of file and of damage.
//! * [`Blindness`]: checksums that match although the bytes were damaged, as if nobody looked at
//!   them: the suite must find wrong answers then, or it could not find any.

mod case;
mod damage;
mod estate;
mod examine;
mod forge;
mod hook;
mod model;
mod reading;
mod server;
mod tally;

#[cfg(test)]
mod tests;

/// What fixtures are made of, and read with.
pub(crate) mod fixture_parts {
    pub(crate) use super::estate::Image;
    pub(crate) use super::model::{Contents, Holding};
    pub(crate) use super::reading::{Read, read};
    pub(crate) use super::server::{Server, context};
}

pub use case::{Case, FileKind};
pub use damage::Damage;
pub use estate::{Estate, Image};
pub use examine::{Failure, Outcome, examine};
pub use forge::Blindness;
pub use tally::{Tally, run};
