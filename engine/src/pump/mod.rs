//! What a core does, on any platform (DESIGN decisions 1 and 10): the daemon runs this very code, and so does the
//! [simulator](crate::testing::simulation).
//!
//! The [`turn`] of a pump takes [`event`]s from the [`mesh`], stores samples, and does [`work`] in steps. Tasks of a
//! core, which are connections or its [`upkeep`], talk to the pumps with [`call`]s. [`retention`] and the [memory
//! cap](cap) are tasks of the first core; [`stop`] is how all cores end together. What surrounds the engine adds what is
//! its own through [`core::Additions`] and [`turn::Pace`].

pub mod acknowledge;
pub mod call;
pub mod calls;
pub mod cap;
pub mod checkpoint;
pub mod core;
pub mod event;
pub mod mesh;
pub mod retention;
pub mod stop;
pub mod turn;
pub mod upkeep;
pub mod work;
