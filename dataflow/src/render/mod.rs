//! Plans as dataflows.
