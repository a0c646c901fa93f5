//! What a run found, and the figures derived from it.

use serde_json::{Map, Value, json};

use super::extras::Extras;
use super::machine::Machine;
use super::measure::{CELLS, Cell, Sample, Samples};
use super::peers::Roster;

/// Everything of one run.
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) roster: Roster,
    pub(crate) samples: Samples,
    pub(crate) extras: Extras,
    pub(crate) quick: bool,
}

/// The middle of some figures; none of none.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = values.get(middle).copied()?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = values.get(middle.checked_sub(1)?).copied()?;
    Some(f64::midpoint(lower, upper))
}

/// Gateway CPU in microseconds per request.
pub(crate) fn per_request(s: &Sample) -> f64 {
    s.gateway_cpu / 1e3 / s.ok
}

/// Gateway CPU in microseconds per streamed event, each stream's start spread over its events.
pub(crate) fn per_event(s: &Sample) -> f64 {
    s.gateway_cpu / 1e3 / s.events
}

impl Results {
    fn turns(&self, id: &'static str, cell: Cell) -> &[Option<Sample>] {
        self.samples.get(&(id, cell)).map_or(&[], Vec::as_slice)
    }

    /// Median over the rounds of a figure of one turn.
    pub(crate) fn of(
        &self,
        id: &'static str,
        cell: Cell,
        f: impl Fn(&Sample) -> f64,
    ) -> Option<f64> {
        median(self.turns(id, cell).iter().flatten().map(f).collect())
    }

    /// Median over the rounds of a figure of two gateways' turns in the same round.
    pub(crate) fn between(
        &self,
        a: &'static str,
        b: &'static str,
        cell: Cell,
        f: impl Fn(&Sample, &Sample) -> f64,
    ) -> Option<f64> {
        let pairs = self.turns(a, cell).iter().zip(self.turns(b, cell));
        median(pairs.filter_map(|(a, b)| Some(f(a.as_ref()?, b.as_ref()?))).collect())
    }

    /// CPU per request as a multiple of HAProxy's.
    pub(crate) fn request_ratio(&self, id: &'static str, cell: Cell) -> Option<f64> {
        self.between(id, "haproxy", cell, |a, b| per_request(a) / per_request(b))
    }

    /// Microseconds of CPU per event and per stream's start, from streams of two lengths.
    pub(crate) fn event_and_start(&self, id: &'static str) -> Option<(f64, f64)> {
        let (short, long) = (self.turns(id, Cell::Stream(100)), self.turns(id, Cell::Stream(400)));
        let solved: Vec<(f64, f64)> = short
            .iter()
            .zip(long)
            .filter_map(|(a, b)| Some(slope(a.as_ref()?, b.as_ref()?)))
            .collect();
        let event = median(solved.iter().map(|s| s.0).collect())?;
        Some((event, median(solved.iter().map(|s| s.1).collect())?))
    }

    /// The per-event slope as a multiple of HAProxy's.
    pub(crate) fn event_ratio(&self, id: &'static str) -> Option<f64> {
        Some(self.event_and_start(id)?.0 / self.event_and_start("haproxy")?.0)
    }

    /// What holds a load back, in words.
    pub(crate) fn limit(&self, id: &'static str, cell: Cell) -> String {
        if self.turns(id, cell).iter().all(Option::is_none) {
            return "nothing: no request was answered 200".to_owned();
        }
        let gateway = self.of(id, cell, |s| s.gateway_cpu / 1e9 / s.seconds).unwrap_or(0.0);
        let side =
            self.of(id, cell, |s| (s.mock_cpu + s.load_cpu) / 1e9 / s.seconds).unwrap_or(0.0);
        let by = if gateway > 0.85 {
            "the gateway's core"
        } else if side > 0.85 {
            "mock and load"
        } else {
            match cell {
                Cell::Stream(_) => "the pace of the streams",
                Cell::Whole(_) => "waiting",
            }
        };
        format!("{by} ({:.0} % / {:.0} %)", gateway * 100.0, side * 100.0)
    }

    /// Requests of a gateway that failed, and turns of it that did not come about.
    pub(crate) fn failed(&self, label: &str) -> u64 {
        let rows = self.roster.rows.iter().filter(|row| row.label.starts_with(label));
        let turns = rows.flat_map(|row| CELLS.map(|cell| self.turns(row.id, cell))).flatten();
        turns.map(|turn| turn.as_ref().map_or(1, |s| s.failed as u64)).sum()
    }

    /// All of it, for programs.
    pub(crate) fn json(&self) -> Value {
        let mut peers = Map::new();
        for row in &self.roster.rows {
            let mut cells = Map::new();
            for cell in CELLS {
                let turns: Vec<Value> = self
                    .turns(row.id, cell)
                    .iter()
                    .map(|s| s.as_ref().map_or(Value::Null, Sample::json))
                    .collect();
                let summary = json!({
                    "turns": turns, "limit": self.limit(row.id, cell),
                    "cpu_us_per_request": self.of(row.id, cell, per_request),
                    "cpu_per_request_of_haproxy": self.request_ratio(row.id, cell),
                });
                cells.insert(cell.name(), summary);
            }
            let slope = self.event_and_start(row.id);
            peers.insert(
                row.id.to_owned(),
                json!({
                    "version": row.version, "ready_ms": row.ready_ms, "idle_kib": row.idle_kib, "peak_kib": row.peak_kib,
                    "cpu_us_per_event": slope.map(|s| s.0), "cpu_us_per_stream_start": slope.map(|s| s.1),
                    "cpu_per_event_of_haproxy": self.event_ratio(row.id), "loads": cells,
                }),
            );
        }
        json!({
            "machine": self.machine.json(), "quick": self.quick, "gateways": peers, "extras": self.extras.json(),
            "absent": self.roster.absent.iter().map(|(l, why)| json!({"name": l, "why": why})).collect::<Vec<_>>(),
        })
    }
}

/// Solves `cpu = events * e + streams * s` for both, from a short and a long kind of stream.
fn slope(short: &Sample, long: &Sample) -> (f64, f64) {
    let determinant = short.events * long.ok - long.events * short.ok;
    let event = (short.gateway_cpu * long.ok - long.gateway_cpu * short.ok) / determinant;
    let start = (short.events * long.gateway_cpu - long.events * short.gateway_cpu) / determinant;
    (event / 1e3, start / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_lengths_tell_events_from_starts() {
        // 9 us an event, 80 us a start.
        let stream = |events: f64, ok: f64| Sample {
            ok,
            events: events * ok,
            gateway_cpu: (events * 9.0 + 80.0) * ok * 1e3,
            ..Sample::default()
        };
        let (event, start) = slope(&stream(104.0, 160.0), &stream(404.0, 48.0));
        assert!((event - 9.0).abs() < 1e-6 && (start - 80.0).abs() < 1e-6, "{event} {start}");
    }

    #[test]
    fn medians() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
    }
}
