//! Queries: from the JSON request to the bytes of the answer (SPEC section 4).
//!
//! In order: [`request`] reads the JSON, [`scatter`] splits it by owning core, and there [`scan`] finds the
//! series a query means, [`aggregate`] reads and combines them, [`resample`] thins them out, [`statistics`]
//! and [`number`] make the answer's row in [`answer`]. [`gather`] joins the parts of all cores.

pub mod aggregate;
pub mod answer;
pub mod gather;
pub mod number;
pub mod request;
pub mod resample;
pub mod scan;
pub mod scatter;
pub mod statistics;
pub mod text;
