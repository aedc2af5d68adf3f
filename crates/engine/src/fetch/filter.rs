//! Which files of a folder are fetched: the filter of multiple transfers (protocol-ftp.md 2.1). Pure.

use base::{Pattern, QuestionMark, UtcMicros};

use super::Sighted;

/// Conditions that a file must all meet.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Filter(Vec<Condition>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Condition {
    /// `name = pattern`.
    Name(Pattern),
    /// `[min <] size [< max]`, in octets.
    Size { above: Option<u64>, below: Option<u64> },
    /// `[date <=] time [<= date]`.
    Time { from: Option<UtcMicros>, until: Option<UtcMicros> },
    /// `time = last N unit`, or `rounded`: from the beginning of a unit on.
    Recent { seconds: u64, rounded_to: Option<u64> },
}

/// A filter that can't be read. Nothing is fetched by one: without it the whole folder would be.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{0:?} is no condition: give name=PATTERN, MIN < size < MAX, YYYYMMDDhhmmss <= time <= YYYYMMDDhhmmss, or time = last \
     N days (hours, minutes), parted by ;"
)]
pub struct FilterError(String);

impl Filter {
    /// Reads conditions parted by `;`. An empty text is met by every file.
    ///
    /// # Errors
    /// [`FilterError`].
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let parts = text.split(';').filter(|part| !part.trim().is_empty());
        let read = |part: &str| condition(part).ok_or_else(|| FilterError(base::brief(part.trim(), 80)));
        parts.map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a file is meant. What its server does not tell meets no condition.
    #[must_use]
    pub fn takes(&self, name: &str, file: &Sighted, now: UtcMicros) -> bool {
        self.0.iter().all(|condition| match condition {
            Condition::Name(pattern) => pattern.matches(name, QuestionMark::One),
            Condition::Size { above, below } => file
                .size
                .is_some_and(|size| above.is_none_or(|above| size > above) && below.is_none_or(|below| size < below)),
            Condition::Time { from, until } => file
                .modified
                .is_some_and(|at| from.is_none_or(|from| at >= from) && until.is_none_or(|until| at <= until)),
            Condition::Recent { seconds, rounded_to } => {
                file.modified.is_some_and(|at| at >= begin(now, *seconds, *rounded_to))
            }
        })
    }
}

/// The moment `seconds` before now, or before the beginning of the present unit.
fn begin(now: UtcMicros, seconds: u64, rounded_to: Option<u64>) -> UtcMicros {
    let now = u64::try_from(now.seconds()).unwrap_or(0);
    let base = rounded_to.map_or(now, |unit| now - now % unit.max(1));
    UtcMicros(i64::try_from(base.saturating_sub(seconds).saturating_mul(1_000_000)).unwrap_or(i64::MAX))
}

fn condition(part: &str) -> Option<Condition> {
    let part = part.trim_start();
    if let Some(rest) = part.strip_prefix("name") {
        // Spaces behind the sign belong to the name.
        let pattern = rest.trim_start().strip_prefix('=')?;
        return (!pattern.is_empty()).then(|| Condition::Name(Pattern::new(pattern)));
    }
    let part = part.trim();
    if let Some(rest) = part.strip_prefix("time").and_then(|rest| rest.trim_start().strip_prefix('=')) {
        return recent(rest);
    }
    match part.contains("size") {
        true => {
            let (above, below) = around(part, "size", "<", |text| text.parse().ok())?;
            Some(Condition::Size { above, below })
        }
        false => {
            let (from, until) = around(part, "time", "<=", date)?;
            Some(Condition::Time { from, until })
        }
    }
}

/// `A sign word sign B`, of which A or B may be missing.
fn around<T>(part: &str, word: &str, sign: &str, read: impl Fn(&str) -> Option<T>) -> Option<(Option<T>, Option<T>)> {
    let (before, behind) = part.split_once(word)?;
    let before = match before.trim() {
        "" => None,
        text => Some(read(text.strip_suffix(sign)?.trim_end())?),
    };
    let behind = match behind.trim() {
        "" => None,
        text => Some(read(text.strip_prefix(sign)?.trim_start())?),
    };
    (before.is_some() || behind.is_some()).then_some((before, behind))
}

fn recent(text: &str) -> Option<Condition> {
    let mut words = text.split_whitespace();
    let (how, number, unit) = (words.next()?, words.next()?.parse::<u64>().ok()?, words.next()?);
    let unit = match unit {
        "days" | "day" => 86_400,
        "hours" | "hour" => 3_600,
        "minutes" | "minute" => 60,
        _ => return None,
    };
    let rounded_to = match how {
        "last" => None,
        "rounded" => Some(unit),
        _ => return None,
    };
    words.next().is_none().then_some(Condition::Recent { seconds: number.saturating_mul(unit), rounded_to })
}

/// `YYYYMMDDhhmmss`, in UTC.
fn date(text: &str) -> Option<UtcMicros> {
    if text.len() != 14 || !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| text.get(from..to);
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    UtcMicros::parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(size: Option<u64>, modified: Option<&str>) -> Sighted {
        let modified = modified.map(|text| UtcMicros::parse(text).unwrap());
        Sighted { name: b"n".to_vec(), size, modified }
    }

    #[test]
    fn conditions_are_all_met() {
        // FTP-20
        let now = UtcMicros::parse("2026-11-27T12:30:00Z").unwrap();
        let fresh = file(Some(100), Some("2026-11-27T12:00:00Z"));
        for (filter, name, file, expected) in [
            ("", "any", file(None, None), true),
            ("name = *.csv", " a.csv", fresh.clone(), true),
            ("name =*.csv", "a.csv", fresh.clone(), true),
            ("name = *.csv", "a.csv", fresh.clone(), false),
            ("name=a?.csv;size < 101", "ab.csv", fresh.clone(), true),
            ("name=a?.csv; size < 100", "ab.csv", fresh.clone(), false),
            ("99 < size < 101", "x", fresh.clone(), true),
            ("100 < size", "x", fresh.clone(), false),
            ("100 < size", "x", file(None, None), false),
            ("time = last 1 hours", "x", fresh.clone(), true),
            ("time = last 29 minutes", "x", fresh.clone(), false),
            ("time = rounded 0 days", "x", fresh.clone(), true),
            ("time = rounded 0 hours", "x", file(None, Some("2026-11-27T11:59:59Z")), false),
            ("time = rounded 1 hours", "x", file(None, Some("2026-11-27T11:00:00Z")), true),
            ("20261127120000 <= time <= 20261127120000", "x", fresh.clone(), true),
            ("20261127120001 <= time", "x", fresh.clone(), false),
            ("time <= 20261127120001", "x", fresh.clone(), true),
            ("time <= 20261127120001", "x", file(Some(1), None), false),
        ] {
            assert_eq!(Filter::parse(filter).unwrap().takes(name, &file, now), expected, "{filter:?} of {name:?}");
        }
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        // FTP-20: a filter that can't be read must not let everything through.
        for text in [
            "name",
            "name=",
            "colour = red",
            "size",
            "size > 3",
            "x < size",
            "1 < size 3",
            "time",
            "time = last",
            "time = last 2",
            "time = first 2 days",
            "time = last 2 weeks",
            "time = last 2 days ago",
            "2026 <= time",
            "20261399000000 <= time",
            "name=a;size",
            "é <= time",
        ] {
            let refused = Filter::parse(text);
            assert!(refused.is_err(), "{text:?}: {refused:?}");
        }
    }
}
