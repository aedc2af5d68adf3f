//! Moments as MDTM, MFMT and facts write them (RFC 3659 section 2.3).

use base::UtcMicros;

/// `YYYYMMDDHHMMSS` in UTC.
#[must_use]
pub fn time_text(at: UtcMicros) -> String {
    // RFC 3339 has the same digits with marks between, and a fraction behind.
    at.to_string().chars().take_while(|c| *c != '.').filter(char::is_ascii_digit).collect()
}

/// Reads `YYYYMMDDHHMMSS[.fraction]`; none if it is none.
#[must_use]
pub fn parse_time(text: &str) -> Option<UtcMicros> {
    const DIGITS: usize = 14;
    const FRACTION_DIGITS_MAX: usize = 9;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.len() != DIGITS || !digits(whole) || !digits(fraction) || fraction.len() > FRACTION_DIGITS_MAX {
        return None;
    }
    let part = |from: usize, to: usize| whole.get(from..to).unwrap_or_default();
    let (date, time) = ([part(0, 4), part(4, 6), part(6, 8)], [part(8, 10), part(10, 12), part(12, 14)]);
    UtcMicros::parse(&format!("{}T{}.{fraction}Z", date.join("-"), time.join(":"))).ok()
}
