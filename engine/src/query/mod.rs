//! Queries: from the JSON request to the bytes of the answer (SPEC section 4).
