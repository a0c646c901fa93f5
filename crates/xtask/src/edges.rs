//! Which crate may use which: the shape of the house, held by a test.

/// (crate, the crates of ours that it may depend on).
pub(crate) const EDGES: &[(&str, &[&str])] = &[
    // Words.
    ("domain", &[]),
    // Pure: no clock, no environment, no file, no network, no thread, no random source.
    ("catalog", &["domain"]),
    ("dialect", &["domain"]),
    ("limits", &["domain"]),
    ("ledger", &["domain"]),
    ("policy", &["domain", "catalog", "limits"]),
    ("flow", &["domain", "catalog", "dialect", "limits", "policy", "ledger"]),
    ("config", &["domain", "catalog", "limits"]),
    // Adapters: one heavy dependency each.
    ("store", &["domain", "ledger", "limits"]),
    ("upstream", &["domain"]),
    ("telemetry", &["domain"]),
    // The oracle shares nothing with what it judges.
    ("fake-provider", &[]),
    // Composition.
    (
        "server",
        &[
            "domain",
            "catalog",
            "dialect",
            "limits",
            "ledger",
            "policy",
            "flow",
            "config",
            "store",
            "upstream",
            "telemetry",
            "fake-provider",
        ],
    ),
    (
        "cli",
        &[
            "domain",
            "catalog",
            "dialect",
            "limits",
            "ledger",
            "policy",
            "flow",
            "config",
            "store",
            "upstream",
            "telemetry",
            "fake-provider",
            "server",
        ],
    ),
    // Development.
    (
        "fuzz-targets",
        &[
            "domain", "catalog", "dialect", "limits", "ledger", "policy", "flow", "config",
            "store", "upstream", "server",
        ],
    ),
    ("bench", &["fake-provider"]),
    ("xtask", &[]),
];

/// Crates that must not reach out of the process.
pub(crate) const PURE: &[&str] =
    &["domain", "catalog", "dialect", "limits", "ledger", "policy", "flow", "config"];

/// What a pure crate may not depend on, other than for its tests.
pub(crate) const IMPURE: &[&str] = &[
    "tokio",
    "hyper",
    "hyper-util",
    "axum",
    "rusqlite",
    "rustls",
    "tokio-rustls",
    "socket2",
    "rustix",
    "tracing",
    "rand",
];

/// Banned anywhere in the tree.
pub(crate) const BANNED: &[&str] = &["openssl", "openssl-sys", "native-tls", "ring", "serde_yaml"];

/// Banned as direct dependencies; some come in through others.
pub(crate) const BANNED_DIRECT: &[&str] =
    &["chrono", "lazy_static", "once_cell", "async-trait", "log", "reqwest"];

/// Test-only edges beside [`EDGES`].
pub(crate) const TEST_EDGES: &[(&str, &str)] = &[
    ("upstream", "fake-provider"),
    ("server", "fake-provider"),
    ("cli", "fake-provider"),
    ("store", "limits"),
    ("store", "catalog"),
];
