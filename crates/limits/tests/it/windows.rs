//! T-L16: windows tile the time line in every zone of the database, 2024 to 2035.

use domain::UnixMicros;
use limits::windows::{Period, Span, Zone};
use proptest::prelude::*;

use crate::{CALENDAR, at, zone};

const HOUR: i64 = 3_600_000_000;

fn span(period: Period, zone: &Zone, at: UnixMicros) -> Span {
    Span::containing(period, zone, at)
}

fn assert_tiles(period: Period, zone: &Zone, at: UnixMicros) -> Span {
    let here = span(period, zone, at);
    let seen = || format!("{period:?} {zone:?} {at} {} to {}", here.start, here.end);
    assert!(here.contains(at), "{}", seen());
    assert_eq!(span(period, zone, here.start), here, "{}", seen());
    assert_eq!(span(period, zone, here.end.plus_micros(-1)), here, "{}", seen());
    assert_eq!(span(period, zone, here.end).start, here.end, "gap or overlap after {}", seen());
    assert_eq!(span(period, zone, here.start.plus_micros(-1)).end, here.start, "before {}", seen());
    here
}

fn assert_length(period: Period, span: Span) {
    let hours = span.end.micros_since(span.start) / HOUR;
    let most = match period {
        Period::Hour => 1,
        Period::Day => 26,
        Period::Week => 7 * 24 + 2,
        Period::Month => 31 * 24 + 2,
        Period::Total => return,
    };
    assert!(hours <= most, "{period:?}: {hours} h");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]
    #[test]
    fn windows_tile_the_time_line(
        pick in any::<prop::sample::Index>(),
        micros in 1_704_067_200_000_000_i64..2_082_758_400_000_000,
        period in prop::sample::select(&CALENDAR[..]),
    ) {
        let names = Zone::names();
        let name = pick.get(&names);
        // Some entries of the database are no zones for people (`Factory`).
        if let Ok(zone) = Zone::parse(name) {
            let found = assert_tiles(period, &zone, UnixMicros::from_micros(micros));
            assert_length(period, found);
        }
    }
}

/// Around every change of every zone's clock between 2024 and 2035, window by window.
#[test]
fn no_gap_or_overlap_around_any_change_of_any_clock() {
    let mut changes = 0;
    for name in Zone::names() {
        let (Ok(zone), Ok(tz)) = (Zone::parse(&name), jiff::tz::TimeZone::get(&name)) else {
            continue;
        };
        let from: jiff::Timestamp = "2024-01-01T00:00:00Z".parse().unwrap();
        let to: jiff::Timestamp = "2036-01-01T00:00:00Z".parse().unwrap();
        // Most zones repeat their rules each year: three years show each rule, the rest is sampled above.
        for change in tz.following(from).take_while(|it| it.timestamp() < to).take(6) {
            changes += 1;
            let around = UnixMicros::from_micros(change.timestamp().as_microsecond());
            for period in CALENDAR {
                let mut cursor = around.plus_micros(-2 * HOUR);
                while cursor < around.plus_micros(2 * HOUR) {
                    cursor = assert_tiles(period, &zone, cursor).end;
                }
            }
        }
    }
    assert!(changes > 500, "{changes} changes seen: is the zone database there?");
}

#[test]
fn leap_days_and_summer_time_have_their_true_length() {
    let berlin = zone("Europe/Berlin");
    let hours = |text: &str| {
        let day = span(Period::Day, &berlin, at(text));
        day.end.micros_since(day.start) / HOUR
    };
    assert_eq!(hours("2026-03-29T12:00:00Z"), 23);
    assert_eq!(hours("2026-10-25T12:00:00Z"), 25);
    assert_eq!(hours("2024-02-29T12:00:00Z"), 24);
    let february = span(Period::Month, &berlin, at("2024-02-10T00:00:00Z"));
    assert_eq!(february.start, at("2024-01-31T23:00:00Z"));
    assert_eq!(february.end, at("2024-02-29T23:00:00Z"));
    let week = span(Period::Week, &berlin, at("2026-11-22T22:59:59Z"));
    assert_eq!(week.start, at("2026-11-15T23:00:00Z"));
    assert_eq!(week.end, at("2026-11-22T23:00:00Z"));
}

#[test]
fn a_day_whose_midnight_is_skipped_begins_after_the_gap() {
    // Cairo, Friday 2024-04-26: 00:00 +02 became 01:00 +03.
    let day = span(Period::Day, &zone("Africa/Cairo"), at("2024-04-26T12:00:00Z"));
    assert_eq!(day.start, at("2024-04-25T22:00:00Z"));
    assert_eq!(day.end, at("2024-04-26T21:00:00Z"));
}

#[test]
fn a_day_whose_midnight_comes_twice_begins_at_the_first() {
    // Havana, Sunday 2024-11-03: 01:00 -04 became 00:00 -05.
    let day = span(Period::Day, &zone("America/Havana"), at("2024-11-03T12:00:00Z"));
    assert_eq!(day.start, at("2024-11-03T04:00:00Z"));
    assert_eq!(day.end, at("2024-11-04T05:00:00Z"));
}

#[test]
fn an_hour_is_cut_where_the_offset_changes_inside_it() {
    // Lord Howe, 2024-04-07: 02:00 +11 became 01:30 +10:30.
    let island = zone("Australia/Lord_Howe");
    let before = span(Period::Hour, &island, at("2024-04-06T14:59:59Z"));
    let after = span(Period::Hour, &island, at("2024-04-06T15:00:00Z"));
    assert_eq!(
        (before.start, before.end),
        (at("2024-04-06T14:00:00Z"), at("2024-04-06T15:00:00Z"))
    );
    assert_eq!((after.start, after.end), (at("2024-04-06T15:00:00Z"), at("2024-04-06T15:30:00Z")));
    // Kathmandu is +05:45: its full hours are at :15 UTC.
    let hour = span(Period::Hour, &zone("Asia/Kathmandu"), at("2026-01-01T00:20:00Z"));
    assert_eq!(hour.start, at("2026-01-01T00:15:00Z"));
}

#[test]
fn a_total_never_ends_and_far_times_do_not_fail() {
    assert_eq!(span(Period::Total, &Zone::UTC, UnixMicros::default()), Span::EVER);
    for micros in [i64::MIN, -1, i64::MAX] {
        for period in CALENDAR {
            let _ = span(period, &zone("Europe/Berlin"), UnixMicros::from_micros(micros));
        }
    }
    let before_1970 = span(Period::Hour, &Zone::UTC, UnixMicros::from_micros(-1));
    assert_eq!(before_1970.end, UnixMicros::default());
}

#[test]
fn times_are_told_in_the_zone() {
    let berlin = zone("europe/berlin");
    assert_eq!(berlin.describe(at("2026-11-30T23:00:00Z")), "2026-12-01T00:00 Europe/Berlin");
    assert!(Zone::parse("Mars/Base").is_err());
}
