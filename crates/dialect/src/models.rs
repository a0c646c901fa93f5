//! `/v1/models` in both shapes.
