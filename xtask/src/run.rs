//! Running other programs: with a step's name, its time, its output shown and kept.

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Why a task did not succeed: a sentence for a person.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// Where the sources are and where built things go.
#[derive(Debug)]
pub(crate) struct Workplace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
}

impl Workplace {
    /// Finds the workspace from the folder of this program's sources: as cargo tells it now, since a target folder that is
    /// used again may hold a program that was built from other sources.
    pub(crate) fn find() -> Result<Self, Failure> {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let manifest = PathBuf::from(manifest);
        let root = manifest.parent().ok_or_else(|| Failure::new("xtask stands outside a workspace"))?.to_owned();
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        Ok(Self { target: root.join(target), root })
    }

    /// A program with its working folder at the workspace root.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).stdin(Stdio::null());
        command
    }

    /// The Python of the tests' own environment.
    pub(crate) fn python(&self) -> PathBuf {
        self.target.join("venv/bin/python")
    }
}

/// Writes one line to standard output; a closed pipe is no error worth telling.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// True where no person is waiting: a missing peer is then a failure, not a skip.
pub(crate) fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "0" && value != "false")
}

/// Runs `command`; an exit code other than 0 is a failure that names `what`.
pub(crate) fn run(what: &str, command: &mut Command) -> Result<(), Failure> {
    let status = command.status().map_err(|e| Failure::new(format!("{what}: {e}")))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("{what}: {status}"))) }
}

/// Runs `command`, shows its output as it comes, and gives it back with whether it succeeded.
pub(crate) fn tee(what: &str, command: &mut Command) -> Result<(bool, String), Failure> {
    let started = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = started.map_err(|e| Failure::new(format!("{what}: {e}")))?;
    let errors = child.stderr.take().map(|pipe| thread::spawn(move || copy_lines(pipe)));
    let mut text = child.stdout.take().map(copy_lines).unwrap_or_default();
    if let Some(Ok(lines)) = errors.map(thread::JoinHandle::join) {
        text.push_str(&lines);
    }
    Ok((child.wait()?.success(), text))
}

/// Runs `command` silently and gives its standard output.
pub(crate) fn output(what: &str, command: &mut Command) -> Result<String, Failure> {
    let done = command.output().map_err(|e| Failure::new(format!("{what}: {e}")))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    Err(Failure::new(format!("{what}: {}\n{}", done.status, String::from_utf8_lossy(&done.stderr).trim_end())))
}

/// True if `program --version` (or the like) can be started.
pub(crate) fn answers(program: &Path, argument: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(argument).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A child that is ended when this value is dropped.
#[derive(Debug)]
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status();
        let patience = Instant::now();
        while patience.elapsed() < STOP_MAX {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn copy_lines(pipe: impl Read) -> String {
    let mut text = String::new();
    for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        say(&line);
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// How long a child may take to stop before it is killed.
const STOP_MAX: Duration = Duration::from_secs(10);
