//! Tool call ids in the shape a provider takes.
