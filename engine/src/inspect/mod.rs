//! Looking at the store from outside the data: [`health`] of nodes, and a [`debug`] dump of the tree
//! (SPEC section 3).

pub mod debug;
pub mod health;
