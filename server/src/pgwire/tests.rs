//! The wire against raw bytes.
