//! Unwraps `{"input": "..."}` while it streams.
