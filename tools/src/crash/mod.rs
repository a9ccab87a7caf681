//! Kills the real daemon under load, again and again, and looks for samples that it lost or invented (SPEC section 9,
//! fault 1).
//!
//! [`rounds`] is the procedure, [`ledger`] what must, may and must not be there, [`process`] the daemon.

pub mod ledger;
pub mod process;
pub mod rounds;
