//! Listeners: from accepted connections to requests and streams of lines.

pub mod connections;
pub mod deadline;
pub mod http;
pub mod nats;
pub mod newcomer;
pub mod path;
pub mod placement;
pub mod tcp;
pub mod tls;
pub mod transport;
