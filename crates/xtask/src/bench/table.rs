//! The results as tables: for the terminal and as Markdown.

use std::fmt::Write as _;

use super::extras::Idle;
use super::measure::{Cell, STREAMS};
use super::results::{Results, median, per_event, per_request};

/// A table: its heading row and the rows below.
struct Table {
    title: &'static str,
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

fn figure(value: Option<f64>, decimals: usize) -> String {
    value.filter(|v| v.is_finite()).map_or_else(|| "-".to_owned(), |v| format!("{v:.decimals$}"))
}

fn mib(kib: u64) -> String {
    format!("{:.1}", kib as f64 / 1024.0)
}

fn tables(r: &Results) -> Vec<Table> {
    vec![headlines(r), whole(r), streams(r), processes(r), idle(r)]
}

/// The figures that have an aim.
fn headlines(r: &Results) -> Table {
    let translated =
        |id| r.between(id, "outrigger", Cell::Whole(64), |a, b| per_request(a) / per_request(b));
    let stream = |id| match (r.event_and_start(id), r.event_and_start("outrigger")) {
        (Some(a), Some(b)) => Some(a.0 / b.0),
        _ => None,
    };
    let (usual, slowest) = ("outrigger-translated", "outrigger-slowest");
    let ready = r.extras.ready_ms.as_ref().ok().and_then(|times| median(times.clone()));
    let held = r.extras.idle.iter().filter(|(id, _)| *id == "outrigger");
    let held = held.filter_map(|(_, i)| i.as_ref().ok()).map(|i| i.held_kib as f64 / 1024.0).next();
    let idle = r.roster.rows.iter().find(|row| row.id == "outrigger");
    let idle = idle.map(|row| row.idle_kib as f64 / 1024.0);
    let row = |what: &str, value: Option<f64>, unit: &str, gate: &str, aim: &str| {
        vec![
            what.to_owned(),
            format!("{}{unit}", figure(value, 2)),
            gate.to_owned(),
            aim.to_owned(),
        ]
    };
    let ratio = |connections| r.request_ratio("outrigger", Cell::Whole(connections));
    Table {
        title: "Outrigger beside HAProxy in this run",
        head: vec!["figure", "measured", "at most", "aim"],
        rows: vec![
            row("CPU per request, 64 connections, of HAProxy's", ratio(64), "", "2.5", "1.5"),
            row("the same at 16 connections", ratio(16), "", "", ""),
            row("the same at 1 connection", ratio(1), "", "", ""),
            row("CPU per streamed event, of HAProxy's", r.event_ratio("outrigger"), "", "1.5", ""),
            row(
                "translated over passed through, CPU per request",
                translated(usual),
                "",
                "1.5",
                "",
            ),
            row("translated over passed through, CPU per event", stream(usual), "", "1.5", ""),
            row("the slowest translation, CPU per request", translated(slowest), "", "1.5", ""),
            row("the slowest translation, CPU per event", stream(slowest), "", "1.5", ""),
            row("idle memory", idle, " MiB", "20 MiB", ""),
            row("memory with the idle streams of the last table", held, " MiB", "400 MiB", ""),
            row("exec to the first answered chat", ready, " ms", "50 ms", ""),
        ],
    }
}

fn whole(r: &Results) -> Table {
    let mut rows = Vec::new();
    for row in &r.roster.rows {
        for connections in [1, 16, 64] {
            let cell = Cell::Whole(connections);
            let alone = row.id == "mock";
            let added = |f: fn(&super::measure::Sample) -> f64| {
                r.between(row.id, "mock", cell, |a, b| f(a) - f(b)).filter(|_| !alone)
            };
            let cpu = r.of(row.id, cell, per_request).filter(|_| !alone);
            let ratio = r.request_ratio(row.id, cell).filter(|_| !alone);
            rows.push(vec![
                row.label.to_owned(),
                connections.to_string(),
                figure(r.of(row.id, cell, |s| s.ok / s.seconds), 0),
                // A microsecond per request is a millisecond per thousand.
                figure(cpu.map(|us| us / 1e3), 4),
                figure(ratio, 2),
                figure(added(|s| s.p50), 0),
                figure(added(|s| s.p99), 0),
                r.limit(row.id, cell),
            ]);
        }
    }
    Table {
        title: "Whole answers: 1 KB chat bodies both ways",
        head: vec![
            "gateway",
            "connections",
            "requests/s",
            "CPU s per 1,000 requests",
            "of HAProxy's",
            "added p50 us",
            "added p99 us",
            "held back by (gateway / mock and load busy)",
        ],
        rows,
    }
}

fn streams(r: &Results) -> Table {
    let cell = Cell::Stream(100);
    let rows = r.roster.rows.iter().map(|row| {
        let alone = row.id == "mock";
        let solved = r.event_and_start(row.id).filter(|_| !alone);
        let first = r.between(row.id, "mock", cell, |a, b| a.first_p50 - b.first_p50);
        vec![
            row.label.to_owned(),
            figure(r.of(row.id, cell, |s| s.events / s.seconds), 0),
            figure(solved.map(|s| s.0), 2),
            figure(r.event_ratio(row.id).filter(|_| !alone), 2),
            figure(solved.map(|s| s.1), 0),
            figure(r.of(row.id, cell, per_event).filter(|_| !alone), 2),
            figure(first.filter(|_| !alone), 0),
            figure(r.of(row.id, cell, |s| s.pause_p50), 0),
            figure(r.of(row.id, cell, |s| s.pause_p99), 0),
            r.limit(row.id, cell),
        ]
    });
    Table {
        title: "Streams: 16 at a time, an event every 2 ms on each",
        head: vec![
            "gateway",
            "events/s",
            "CPU us per event",
            "of HAProxy's",
            "CPU us per stream's start",
            "CPU us per event, starts spread over 100",
            "added first event p50 us",
            "longest pause in a stream p50 us",
            "p99 us",
            "held back by (gateway / mock and load busy)",
        ],
        rows: rows.collect(),
    }
}

fn processes(r: &Results) -> Table {
    let rows = r.roster.rows.iter().filter(|row| row.id != "mock");
    Table {
        title: "Processes",
        head: vec![
            "gateway",
            "version",
            "first answer after ms",
            "idle MiB",
            "peak MiB under these loads",
        ],
        rows: rows
            .map(|row| {
                vec![
                    row.label.to_owned(),
                    row.version.clone(),
                    format!("{:.0}", row.ready_ms),
                    mib(row.idle_kib),
                    mib(row.peak_kib),
                ]
            })
            .collect(),
    }
}

fn idle(r: &Results) -> Table {
    let shown = |i: &Idle| {
        let each = i.held_kib.saturating_sub(i.before_kib) as f64 / i.streams as f64;
        vec![
            i.label.to_owned(),
            i.streams.to_string(),
            mib(i.before_kib),
            mib(i.held_kib),
            format!("{each:.1}"),
        ]
    };
    let rows = r.extras.idle.iter().map(|(id, idle)| match idle {
        Ok(idle) => shown(idle),
        Err(why) => {
            vec![(*id).to_owned(), format!("not measured: {}", one_line(&format!("{why:#}")))]
        }
    });
    Table {
        title: "Idle streams: begun, then silent",
        head: vec!["gateway", "streams", "MiB before", "MiB with them", "KiB each"],
        rows: rows.collect(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A line for each gateway that did not answer everything.
fn failures(r: &Results) -> Vec<String> {
    let counted = r.roster.rows.iter().map(|row| (row.label, r.failed(row.label)));
    counted
        .filter(|(_, failed)| *failed > 0)
        .map(|(label, failed)| format!("{label}: {failed} requests or turns failed"))
        .collect()
}

/// Columns padded to their widest cell.
pub(crate) fn terminal(r: &Results) -> String {
    let mut out = String::new();
    for table in tables(r) {
        let columns = table.head.len();
        let width = |column: usize| {
            let cells = table.rows.iter().filter_map(|row| row.get(column)).map(String::len);
            cells.chain(table.head.get(column).map(|h| h.len())).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        push(&mut out, format_args!("\n{}\n", table.title));
        let head: Vec<String> = table.head.iter().map(|h| (*h).to_owned()).collect();
        for row in std::iter::once(&head).chain(&table.rows) {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            let line: Vec<String> = cells.collect();
            push(&mut out, format_args!("  {}\n", line.join("  ").trim_end()));
        }
    }
    for (label, why) in &r.roster.absent {
        push(&mut out, format_args!("not measured: {label}: {}\n", one_line(why)));
    }
    for failure in failures(r) {
        push(&mut out, format_args!("{failure}\n"));
    }
    out
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ok = out.write_fmt(text).is_ok();
}

/// The page `bench/RESULTS.md`.
pub(crate) fn markdown(r: &Results) -> String {
    let m = &r.machine;
    let mut out = String::from("# Benchmark results\n\n");
    push(
        &mut out,
        format_args!(
            "Written by `cargo xtask bench --write`{}; run it to get your own. {}: {} cores of {}, {}; a 4 KiB append \
             and fsync takes {} us (median) on the disk of the ledger; load average {} before the run.\n\n",
            if r.quick { " in its quick form, whose figures mean little" } else { "" },
            m.date,
            m.cores,
            m.cpu,
            m.kernel,
            m.fsync_p50_us,
            m.load_before,
        ),
    );
    out.push_str(HOW);
    for table in tables(r) {
        push(&mut out, format_args!("\n## {}\n\n", table.title));
        push(&mut out, format_args!("| {} |\n", table.head.join(" | ")));
        push(&mut out, format_args!("|{}\n", " --- |".repeat(table.head.len())));
        for row in &table.rows {
            let mut cells = row.clone();
            cells.resize(table.head.len(), String::new());
            push(&mut out, format_args!("| {} |\n", cells.join(" | ")));
        }
    }
    if !r.roster.absent.is_empty() {
        out.push_str("\n## Not measured\n\n");
        for (label, why) in &r.roster.absent {
            push(&mut out, format_args!("- {label}: {}\n", one_line(why)));
        }
    }
    for failure in failures(r) {
        push(&mut out, format_args!("\n{failure}.\n"));
    }
    push(&mut out, format_args!("\n{}", notes()));
    out
}

const HOW: &str = "\
The gateway under test has core 0 to itself; the mock provider and the load generator, one thread each, share core 1.
All gateways run during the whole of the run and take turns within each round (A B C, A B C, five rounds of two seconds
for each load); figures are medians of the rounds, ratios and added latencies medians of the differences within a round,
so that a machine that drifts does so for all. CPU is the scheduler's run time of the gateway's threads and children,
background work included. nginx and HAProxy are plain proxies with one worker, kept connections, no access log, no
buffering. Portkey and LiteLLM run as installed, one process, without keys of their own in a database, budgets or ledger
(LiteLLM has a master key and a price). Outrigger has everything on: keys required, a virtual key with budgets in money
and tokens, three more budgets on its path, prices, and the ledger strict (each request's intent is on the disk before
anything is sent) unless its row says relaxed. Translated means Anthropic messages in, OpenAI chat out; the slowest of
the thirty translations, by what the dialects alone take for a whole answer, is Responses in, OpenAI chat out.
";

fn notes() -> String {
    format!(
        "## How to read it

- This is a small machine whose cores are shared with others; figures move by a tenth and more between runs. The ratios
  within a run are steadier. No test depends on any of them.
- Where mock and load are what holds a row back (their core is busy), requests/s is a lower bound of what the gateway
  can do, and the CPU per request is the figure to look at.
- A gateway that waits for the disk at few connections (the strict ledger does: one fsync for each batch of intents,
  and at 1 connection a batch is one request) shows it as added latency and as `waiting`, not as CPU.
- The CPU of an event and of a stream's start are told apart by two lengths of stream, 100 and 400 events, {STREAMS} at a
  time. Events that pile up while a gateway is busy travel together, which makes them cheaper for whoever is late.
- Pauses: the provider makes an event every 2,000 us; what the load generator, on the same core as the provider, adds
  by itself is in the row of the mock.
- CPU spent in the kernel on behalf of a gateway (its part of loopback TCP, its part of an fsync) counts as the
  gateway's.
"
    )
}
