//! The daemon around the engine: executors, sockets, HTTP, raw TCP, configuration.
//!
//! [`boot`] starts it: settings, one [`core`] per CPU on the [`runtime`], listeners that feed it ([`listen`]) and
//! answer ([`api`]). [`access`] says who may call. It holds no rule of the domain; those are in the engine.

pub mod access;
pub mod api;
pub mod backend;
pub mod boot;
pub mod cleanup;
pub mod command_line;
pub mod core;
pub mod durable;
mod early;
pub mod front;
pub mod listen;
pub mod locks;
pub mod metrics;
mod ports;
pub mod privileges;
pub mod progress;
pub mod recover;
pub mod runtime;
pub mod settings;
pub mod sizing;
mod start;
pub mod systemd;
pub mod telemetry;
pub mod ui;
