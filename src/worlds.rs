//! Seeded generators of the embedded worlds.
