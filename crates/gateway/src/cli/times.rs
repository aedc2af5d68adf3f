//! Times as people read and write them: in the zone of whoever calls (`TZ`, else that of the system), or in UTC with
//! `--utc`. What programs get, and what is stored, is always UTC.

use admin::Cell;
use base::UtcMicros;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ZonedDateTime};

/// Length of a time as [`UtcMicros`] shows it.
const SHOWN_OCTETS: usize = 27;

/// The zone of this command.
#[derive(Clone, Debug)]
pub(crate) struct Zone(TimeZone);

impl Zone {
    /// UTC if asked for, else the zone of `TZ` or of the system; UTC where that is none.
    pub(crate) fn new(utc: bool) -> Self {
        Self(if utc { TimeZone::UTC } else { TimeZone::try_system().unwrap_or(TimeZone::UTC) })
    }

    /// A time with its offset, so that an hour that comes twice in a year is told apart; UTC as it is stored.
    pub(crate) fn show(&self, at: UtcMicros) -> String {
        let local = Timestamp::from_microsecond(at.0).ok().map(|t| t.to_zoned_datetime(self.0.clone()));
        match local.filter(|local| local.offset() != Offset::UTC) {
            Some(local) => local.strftime("%Y-%m-%dT%H:%M:%S%.6f%:z").to_string(),
            None => at.to_string(),
        }
    }

    /// A value of a table or record.
    pub(crate) fn cell(&self, cell: &Cell) -> String {
        match cell {
            Cell::Time(at) => self.show(*at),
            other => other.to_string(),
        }
    }

    /// A line of a story: the time it begins or ends with.
    pub(crate) fn line(&self, line: &str) -> String {
        let text = line.trim_start();
        let (before, first) = (line.len() - text.len(), text.split(' ').next().unwrap_or_default());
        if let Some(at) = stored(first) {
            let (indent, rest) = (line.get(..before).unwrap_or_default(), text.get(first.len()..).unwrap_or_default());
            return format!("{indent}{}{rest}", self.show(at));
        }
        match line.rsplit_once(' ').and_then(|(rest, last)| stored(last).map(|at| (rest, at))) {
            Some((rest, at)) => format!("{rest} {}", self.show(at)),
            None => line.to_owned(),
        }
    }

    /// What somebody wrote, as UTC: RFC 3339 with an offset, a local time with or without a zone in brackets
    /// (`2026-11-23T14:05[Europe/Berlin]`), a date, or `+hhmmss` from now, which the gateway reads.
    ///
    /// # Errors
    /// A sentence, also for a local time that does not exist or comes twice on that day.
    pub(crate) fn read(&self, text: &str) -> Result<String, String> {
        let utc = |at: Timestamp| UtcMicros(at.as_microsecond()).to_string();
        if text.starts_with('+') {
            return Ok(text.to_owned());
        }
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(utc(at));
        }
        let (local, zone) = match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
            Some((local, name)) => {
                (local, TimeZone::get(name).map_err(|_| format!("{name:?} is no time zone that is known"))?)
            }
            None => (text, self.0.clone()),
        };
        let wrong = || {
            format!(
                "{text:?} is no time: give it as 2026-11-23T14:05:00+01:00, as 2026-11-23T14:05 in your zone, or as +hhmmss"
            )
        };
        let local: DateTime = local.trim().parse().map_err(|_| wrong())?;
        let found = zone.to_ambiguous_zoned_datetime(local);
        match found.is_ambiguous() {
            false => found.compatible().map(|at: ZonedDateTime| utc(at.timestamp())).map_err(|_| wrong()),
            true => Err(format!(
                "{text:?}: the clock is changed then, so that there is no such time or there are two: give it with its \
                 offset, as 2026-11-23T14:05:00+01:00"
            )),
        }
    }
}

/// The time that a word is, exactly as it is stored.
fn stored(word: &str) -> Option<UtcMicros> {
    let canonical = word.len() == SHOWN_OCTETS && word.ends_with('Z');
    let at = if canonical { UtcMicros::parse(word).ok() } else { None };
    at.filter(|at| at.to_string() == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> Zone {
        Zone(TimeZone::get("Europe/Berlin").unwrap())
    }

    fn at(text: &str) -> UtcMicros {
        UtcMicros::parse(text).unwrap()
    }

    #[test]
    fn times_are_shown_with_their_offset_so_that_none_is_twice() {
        // The clock goes back at 01:00 UTC.
        assert_eq!(berlin().show(at("2026-10-25T00:30:00Z")), "2026-10-25T02:30:00.000000+02:00");
        assert_eq!(berlin().show(at("2026-10-25T01:30:00Z")), "2026-10-25T02:30:00.000000+01:00");
        assert_eq!(Zone::new(true).show(at("2026-10-25T01:30:00Z")), "2026-10-25T01:30:00.000000Z");
        // What is shown can be read again, anywhere.
        let shown = berlin().show(at("2026-10-25T01:30:00.000007Z"));
        assert_eq!(Zone::new(true).read(&shown).unwrap(), "2026-10-25T01:30:00.000007Z");
    }

    #[test]
    fn times_are_read_in_the_zone_of_who_writes_them() {
        for (text, utc) in [
            ("2026-11-23T14:05:00Z", "2026-11-23T14:05:00.000000Z"),
            ("2026-11-23T14:05:00-05:00", "2026-11-23T19:05:00.000000Z"),
            ("2026-11-23T14:05", "2026-11-23T13:05:00.000000Z"),
            ("2026-11-23 14:05:06", "2026-11-23T13:05:06.000000Z"),
            ("2026-07-01", "2026-06-30T22:00:00.000000Z"),
            ("2026-11-23T14:05[America/New_York]", "2026-11-23T19:05:00.000000Z"),
        ] {
            assert_eq!(berlin().read(text).as_deref(), Ok(utc), "{text}");
        }
        assert_eq!(berlin().read("+013000").as_deref(), Ok("+013000"));
        for text in ["2026-03-29T02:30", "2026-10-25T02:30", "2026-10-25T02:30[Europe/Berlin]"] {
            assert!(berlin().read(text).is_err_and(|e| e.contains("the clock is changed then")), "{text}");
        }
        assert_eq!(berlin().read("2026-10-25T02:30:00+02:00").as_deref(), Ok("2026-10-25T00:30:00.000000Z"));
        for text in ["yesterday", "2026-13-01", "2026-11-23T14:05[Nowhere/City]", ""] {
            assert!(berlin().read(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn stories_have_their_times_in_the_zone_and_names_stay() {
        let line = |text: &str| berlin().line(text);
        assert_eq!(line("  2026-11-23T13:05:00.000000Z  ended: x"), "  2026-11-23T14:05:00.000000+01:00  ended: x");
        assert_eq!(line("next try: 2026-11-23T13:05:00.000000Z"), "next try: 2026-11-23T14:05:00.000000+01:00");
        for text in ["file 2026-11-23T13:05:00.000000Z.xml of 3 octets", "", "  ", "made 2026-11-23T13:05:00Z"] {
            assert_eq!(line(text), text);
        }
    }
}
