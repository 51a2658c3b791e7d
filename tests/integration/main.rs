//! The integration tests, one binary: linking mistralrs is not cheap.

mod workers;
