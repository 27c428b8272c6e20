//! A plan as text and as JSON.
