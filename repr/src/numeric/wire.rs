//! Postgres' binary format of numeric.
