//! One run of a program: started alone, watched, and ended with all that it started.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use model::{Hook, RouteFacts, hook_variables};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use crate::vfd::octets_of;

/// Octets of what a program prints that are kept: the last.
const TAIL_OCTETS_MAX: usize = 4096;
/// How long what a program has printed may still come when it is over.
const REST_MAX: Duration = Duration::from_millis(500);

/// How a run ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Exit {
    /// By itself.
    Code(i32),
    /// By a signal.
    Signal(i32),
    /// It was killed at the end of its time.
    TimedOut,
    /// It was not started.
    NotStarted(String),
}

impl Exit {
    /// In words.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Code(code) => format!("exit code {code}"),
            Self::Signal(signal) => format!("killed by signal {signal}"),
            Self::TimedOut => "killed at the end of its time".to_owned(),
            Self::NotStarted(why) => format!("not started: {why}"),
        }
    }
}

/// A run to be made.
pub(super) struct Run<'a> {
    pub(super) hook: &'a Hook,
    pub(super) event: &'a str,
    pub(super) facts: &'a RouteFacts,
    /// Further variables, by their whole names.
    pub(super) more: Vec<(&'static str, String)>,
}

impl Run<'_> {
    /// Runs it to its end. Gives how it ended, and the last that it printed.
    pub(super) async fn run(&self) -> (Exit, String) {
        let mut command = match self.command() {
            Ok(command) => command,
            Err(why) => return (Exit::NotStarted(why), String::new()),
        };
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => return (Exit::NotStarted(error.to_string()), String::new()),
        };
        let group = Group::of(&child);
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let mut tail = Tail::default();
        let ended =
            tokio::time::timeout(self.hook.time_limit, watch((&mut child, &group), (out, err), &mut tail)).await;
        group.kill();
        let exit = match ended {
            Ok(Ok(status)) => match (status.code(), status.signal()) {
                (Some(code), _) => Exit::Code(code),
                (None, signal) => Exit::Signal(signal.unwrap_or(0)),
            },
            Ok(Err(error)) => Exit::NotStarted(error.to_string()),
            Err(_) => {
                drop(child.wait().await);
                Exit::TimedOut
            }
        };
        (exit, tail.text())
    }

    fn command(&self) -> Result<Command, String> {
        use std::os::unix::ffi::OsStringExt;
        let os = |text: &str| std::ffi::OsString::from_vec(octets_of(text).into_iter().filter(|b| *b != 0).collect());
        let hook = self.hook;
        let mut command = Command::new(&hook.program);
        command.args(hook.arguments(self.facts)?.iter().map(|text| os(text)));
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C.UTF-8").env("HOME", "/");
        command.envs(hook.environment.iter().map(|(name, value)| (name, value)));
        command.env("GATEHOUSE_HOOK", &hook.name).env("GATEHOUSE_EVENT", self.event);
        command.envs(hook_variables(self.facts).iter().map(|(name, value)| (name, os(value))));
        command.envs(self.more.iter().map(|(name, value)| (name, os(value))));
        command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        if let Some((user, group)) = hook.run_as {
            command.uid(user).gid(group);
        }
        Ok(command)
    }
}

/// Until the program itself is over; then what it printed, but not what its children go on to print.
async fn watch(
    (child, group): (&mut Child, &Group),
    (out, err): (Option<impl AsyncRead + Unpin>, Option<impl AsyncRead + Unpin>),
    tail: &mut Tail,
) -> std::io::Result<std::process::ExitStatus> {
    let (mut out, mut err) = (out, err);
    let (mut from_out, mut from_err) = (vec![0; 8192], vec![0; 8192]);
    let mut status = None;
    let mut last = tokio::time::Instant::now();
    while status.is_none() || out.is_some() || err.is_some() {
        tokio::select! {
            ended = child.wait(), if status.is_none() => {
                status = Some(ended?);
                last = tokio::time::Instant::now() + REST_MAX;
                // Whatever it has started ends with it, and with that the pipes.
                group.kill();
            }
            count = piece(&mut out, &mut from_out) => tail.add(from_out.get(..count).unwrap_or_default()),
            count = piece(&mut err, &mut from_err) => tail.add(from_err.get(..count).unwrap_or_default()),
            () = tokio::time::sleep_until(last), if status.is_some() => break,
        }
    }
    status.ok_or_else(|| std::io::Error::other("it went away"))
}

/// The next piece of a pipe; one that is at its end is never asked again.
async fn piece(pipe: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> usize {
    let Some(open) = pipe else { return std::future::pending().await };
    let count = open.read(buffer).await.unwrap_or(0);
    if count == 0 {
        *pipe = None;
    }
    count
}

/// The group of a program, killed once: later its number may be another's. 0: it is dead.
struct Group(AtomicI32);

impl Group {
    fn of(child: &Child) -> Self {
        Self(AtomicI32::new(child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or(0)))
    }

    fn kill(&self) {
        if let Some(group) = Pid::from_raw(self.0.swap(0, Ordering::Relaxed)) {
            let _nobody_was_left = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Group {
    /// Also if the future of the run is dropped.
    fn drop(&mut self) {
        self.kill();
    }
}

/// The last octets of what was printed.
#[derive(Default)]
struct Tail {
    octets: Vec<u8>,
    cut: bool,
}

impl Tail {
    fn add(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
        if self.octets.len() > TAIL_OCTETS_MAX {
            self.cut = true;
            self.octets.drain(..self.octets.len() - TAIL_OCTETS_MAX);
        }
    }

    /// As text that is safe to show: lines stay, other control characters do not.
    fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.octets);
        let text: String = text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect();
        let start = if self.cut { "… " } else { "" };
        format!("{start}{}", text.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use model::{Body, Kind, Value};

    use super::*;

    fn hook(script: &str, seconds: &str) -> Hook {
        let fields = [("program", "/bin/sh"), ("events", "RECEIVED"), ("time_limit_s", seconds)];
        let mut body: Body = fields.iter().map(|(f, v)| ((*f).to_owned(), Value::from(*v))).collect();
        body.insert("arguments".to_owned(), Value::List(vec!["-c".into(), script.into(), "&(file_name)".into()]));
        let object = model::Object {
            id: base::ObjectId(1),
            kind: Kind::Hook,
            name: "H".to_owned(),
            group: model::DEFAULT_GROUP.to_owned(),
            state: model::ObjectState::Enabled,
            revision: 1,
            created_at: base::UtcMicros(0),
            updated_at: base::UtcMicros(0),
            body: model::check_body(Kind::Hook, &body).unwrap(),
            secrets: std::collections::BTreeSet::new(),
        };
        Hook::clone(model::Snapshot::build(vec![object], vec![], 1).0.hook("H").unwrap())
    }

    async fn run(script: &str, seconds: &str, file: &str) -> (Exit, String) {
        let hook = hook(script, seconds);
        let facts = RouteFacts { file_name: file.to_owned(), ..RouteFacts::default() };
        Run { hook: &hook, event: "RECEIVED", facts: &facts, more: vec![("GATEHOUSE_RUN", "7".to_owned())] }.run().await
    }

    #[tokio::test] // CON-13, CON-20
    async fn values_come_by_the_environment_and_nothing_else_does() {
        let name = "a b;$(touch /tmp/no)'\"";
        let (exit, text) = run(
            "echo \"$x_file_name|$GATEHOUSE_EVENT|$GATEHOUSE_RUN|$0\"; env | cut -d= -f1 | sort | tr '\\n' ' '",
            "10",
            name,
        )
        .await;
        assert_eq!(exit, Exit::Code(0), "{text}");
        let (first, names) = text.split_once('\n').unwrap();
        assert_eq!(first, format!("{name}|RECEIVED|7|{name}"));
        let strange: Vec<&str> = names
            .split_whitespace()
            .filter(|n| !n.starts_with("x_") && !n.starts_with("GATEHOUSE_"))
            .filter(|n| !["PATH", "LC_ALL", "HOME", "PWD", "_", "SHLVL", "OLDPWD"].contains(n))
            .collect();
        assert_eq!(strange, [""; 0]);
    }

    #[tokio::test] // CON-9, CON-10
    async fn ends_of_all_kinds() {
        assert_eq!(run("echo no; exit 3", "10", "f").await, (Exit::Code(3), "no".to_owned()));
        assert_eq!(run("kill -9 $$", "10", "f").await.0, Exit::Signal(9));
        assert_eq!(run("sleep 600", "1", "f").await.0, Exit::TimedOut);
        let (exit, text) = run("yes 0123456789", "1", "f").await;
        assert_eq!(exit, Exit::TimedOut);
        assert!(text.len() <= TAIL_OCTETS_MAX + 8 && text.starts_with('…'), "{}", text.len());
    }

    #[tokio::test]
    async fn what_it_leaves_behind_dies_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; exit 0", file.display());
        assert_eq!(run(&script, "10", "f").await.0, Exit::Code(0));
        let pid = std::fs::read_to_string(&file).unwrap();
        let status = format!("/proc/{}/status", pid.trim());
        let gone = || std::fs::read_to_string(&status).map_or(true, |s| s.contains("State:\tZ"));
        tokio::time::timeout(Duration::from_secs(10), async {
            while !gone() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
    }
}
