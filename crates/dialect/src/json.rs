//! Small helpers over `serde_json::Value`.
