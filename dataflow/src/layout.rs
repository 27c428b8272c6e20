//! Columns of encoded rows, moved without decoding.
