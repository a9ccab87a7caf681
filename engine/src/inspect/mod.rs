//! Looking at the store from outside the data: [`health`] of nodes, a [`debug`] dump of the tree
//! (SPEC section 3), and a [`listing`] of what a host has.

pub mod debug;
pub mod health;
pub mod listing;
