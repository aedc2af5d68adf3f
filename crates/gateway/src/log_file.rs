//! A log file that does not grow without end: when it is full, or a day is over, it gets a number and a new one begins.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tracing_subscriber::fmt::MakeWriter;

const DAY_S: u64 = 24 * 3600;

/// When a new file begins, and how many old ones are kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Rotation {
    /// Octets after which a new one begins; 0 for any number.
    pub(crate) octets_max: u64,
    /// Whether a new one begins with each day (UTC).
    pub(crate) daily: bool,
    /// Old ones that are kept: `NAME.1` is the newest of them.
    pub(crate) keep: u32,
}

/// The file that log lines go to.
pub(crate) struct LogFile(Mutex<Open>);

struct Open {
    path: PathBuf,
    rotation: Rotation,
    file: File,
    octets: u64,
    day: u64,
    clock: fn() -> u64,
}

impl LogFile {
    /// Opens the file, which goes on if it is there.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn open(path: &Path, rotation: Rotation) -> io::Result<Self> {
        Self::with_clock(path, rotation, seconds)
    }

    fn with_clock(path: &Path, rotation: Rotation, clock: fn() -> u64) -> io::Result<Self> {
        let file = append(path)?;
        let about = file.metadata()?;
        // One of yesterday is put aside with the first line of today.
        let day = match about.len() {
            0 => clock() / DAY_S,
            _ => about.modified()?.duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs()) / DAY_S,
        };
        let open = Open { path: path.to_owned(), rotation, file, octets: about.len(), day, clock };
        Ok(Self(Mutex::new(open)))
    }
}

impl Open {
    fn line(&mut self, octets: &[u8]) -> io::Result<()> {
        let (len, day) = (u64::try_from(octets.len()).unwrap_or(u64::MAX), (self.clock)() / DAY_S);
        let full = self.rotation.octets_max > 0 && self.octets.saturating_add(len) > self.rotation.octets_max;
        if self.octets > 0 && (full || self.rotation.daily && day != self.day) {
            // A folder that can't be written to must not stop the log: it goes on in the same file.
            drop(self.rotate());
        }
        self.day = day;
        self.octets = self.octets.saturating_add(len);
        self.file.write_all(octets)
    }

    fn rotate(&mut self) -> io::Result<()> {
        let numbered = |n: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{n}"));
            PathBuf::from(name)
        };
        for n in (1..self.rotation.keep).rev() {
            match std::fs::rename(numbered(n), numbered(n.saturating_add(1))) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        match self.rotation.keep {
            0 => std::fs::remove_file(&self.path)?,
            _ => std::fs::rename(&self.path, numbered(1))?,
        }
        self.file = append(&self.path)?;
        self.octets = 0;
        Ok(())
    }
}

/// What a log line is written to.
pub(crate) struct Line<'a>(&'a LogFile);

impl Write for Line<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).line(octets)?;
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self)
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    static NOW: AtomicU64 = AtomicU64::new(0);

    fn write(log: &LogFile, line: &str) {
        log.make_writer().write_all(line.as_bytes()).unwrap();
    }

    fn read(folder: &Path, name: &str) -> Option<String> {
        std::fs::read_to_string(folder.join(name)).ok()
    }

    // Log files end by size, lines stay whole, and the oldest goes.
    #[test]
    fn a_full_file_gets_a_number_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("g.log");
        let rotation = Rotation { octets_max: 10, daily: false, keep: 2 };
        let log = LogFile::open(&path, rotation).unwrap();
        for line in ["one one\n", "two\n", "three three three\n", "four\n"] {
            write(&log, line);
        }
        let names = ["g.log", "g.log.1", "g.log.2", "g.log.3"].map(|name| read(folder.path(), name));
        let expected = [Some("four\n"), Some("three three three\n"), Some("two\n"), None];
        assert_eq!(names.each_ref().map(Option::as_deref), expected);
        // It goes on in a file that is there.
        drop(log);
        write(&LogFile::open(&path, rotation).unwrap(), "5\n");
        assert_eq!(read(folder.path(), "g.log").unwrap(), "four\n5\n");
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap()) & 0o777, 0o600);
    }

    #[test]
    fn a_new_day_begins_a_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let rotation = Rotation { octets_max: 0, daily: true, keep: 1 };
        let clock = || NOW.load(Ordering::Relaxed);
        let log = LogFile::with_clock(&folder.path().join("g.log"), rotation, clock).unwrap();
        write(&log, "monday\n");
        write(&log, "monday again\n");
        NOW.store(DAY_S, Ordering::Relaxed);
        write(&log, "tuesday\n");
        assert_eq!(read(folder.path(), "g.log").unwrap(), "tuesday\n");
        assert_eq!(read(folder.path(), "g.log.1").unwrap(), "monday\nmonday again\n");
    }
}
