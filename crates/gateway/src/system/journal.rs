//! Log lines for the journal: each with its priority in front (`sd-daemon(3)`), without a time of its own.

use std::io::{self, Write};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// Whether standard output goes to the journal: `JOURNAL_STREAM` names the device and inode of that stream, and a program
/// whose output was redirected by somebody in between still has the variable.
pub(crate) fn is_journal() -> bool {
    let named = std::env::var("JOURNAL_STREAM").ok();
    named.is_some_and(|named| {
        rustix::fs::fstat(io::stdout()).is_ok_and(|about| fits(&named, about.st_dev, about.st_ino))
    })
}

fn fits(named: &str, device: u64, inode: u64) -> bool {
    let numbers = named.split_once(':').and_then(|(d, i)| Some((d.parse::<u64>().ok()?, i.parse::<u64>().ok()?)));
    numbers == Some((device, inode))
}

/// Standard output as the journal reads it.
pub(crate) struct JournalWriter;

/// One event on its way.
pub(crate) struct Line {
    priority: u8,
}

impl Write for Line {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        io::stdout().lock().write_all(&prefixed(self.priority, octets))?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().lock().flush()
    }
}

/// Each line with its priority: an event of several lines stays an event of one priority.
fn prefixed(priority: u8, octets: &[u8]) -> Vec<u8> {
    let mut all = Vec::with_capacity(octets.len().saturating_add(8));
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        all.extend_from_slice(format!("<{priority}>").as_bytes());
        all.extend_from_slice(line);
    }
    all
}

/// RFC 5424 section 6.2.1.
const fn priority(level: &Level) -> u8 {
    match *level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

impl<'a> MakeWriter<'a> for JournalWriter {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { priority: priority(&Level::INFO) }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Line {
        Line { priority: priority(meta.level()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // sd-daemon(3)
    fn every_line_of_an_event_has_its_priority() {
        assert_eq!(prefixed(4, b"one\ntwo\n"), b"<4>one\n<4>two\n");
        assert_eq!([Level::ERROR, Level::WARN, Level::INFO, Level::TRACE].map(|l| priority(&l)), [3, 4, 6, 7]);
    }

    #[test] // systemd.exec(5), JOURNAL_STREAM
    fn only_the_stream_that_is_named_is_the_journal() {
        assert!(fits("8:42", 8, 42));
        assert!(!fits("8:43", 8, 42) && !fits("", 8, 42) && !fits("8", 8, 42));
    }
}
