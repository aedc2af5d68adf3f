//! The program as its users call it: exit codes, forms of arguments, with and without a running gateway.

// What keeps panics out of the program is no rule for tests: here a panic is how a test fails.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_gatehouse");

fn gatehouse(data: &Path, words: &[&str]) -> Output {
    Command::new(PROGRAM).args(words).env("GATEHOUSE_DATA", data).stdin(Stdio::null()).output().unwrap()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// A running gateway; killed when dropped.
struct Serving(Child);

impl Serving {
    fn start(data: &Path) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(["serve", "--metrics", "127.0.0.1:0"])
            .env("GATEHOUSE_DATA", data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.by_ref().map(Result::unwrap).any(|line| line.contains("gateway is ready"));
        assert!(ready, "the gateway ended before it was ready");
        // Its log must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self(child)
    }

    fn stop(mut self) -> i32 {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.0.wait().unwrap().code().unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn the_demo_plays_to_its_end() {
    let played = Command::new(PROGRAM).arg("demo").stdin(Stdio::null()).output().unwrap();
    let shown = text(&played.stdout);
    assert!(played.status.success(), "{shown}\n{}", text(&played.stderr));
    for line in ["the same at both ends", "A's login with the new key is refused", "A logs in with the new key"] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
}

#[test]
fn commands_work_with_and_without_a_running_gateway() {
    let scratch = tempfile::tempdir().unwrap();
    let data = scratch.path().join("data");
    let absent = gatehouse(&data, &["check"]);
    assert_eq!(absent.status.code(), Some(1));
    assert!(text(&absent.stderr).contains("start the gateway once"), "{}", text(&absent.stderr));

    let serving = Serving::start(&data);
    let second = gatehouse(&data, &["serve", "--metrics", "127.0.0.1:0"]);
    assert!(text(&second.stderr).contains("in use by process"), "{}", text(&second.stderr));
    let added = gatehouse(&data, &["vfdadm", "create_dir", "-dn", "/in"]);
    assert!(added.status.success(), "{}", text(&added.stderr));
    assert_eq!(serving.stop(), 0, "SIGTERM drains and ends well");

    let shown = gatehouse(&data, &["vfddsp", "display_dir", "/in", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(json["dir_name"], "/in", "what the running gateway stored is there when it is down");
    let down = gatehouse(&data, &["vfdadm", "create_dir", "-dir_name", "/out"]);
    assert!(down.status.success(), "{}", text(&down.stderr));
    let serving = Serving::start(&data);
    assert!(text(&gatehouse(&data, &["vfddsp", "select_dir"]).stdout).contains("/out"));
    assert!(gatehouse(&data, &["audit", "verify"]).status.success());
    assert_eq!(serving.stop(), 0);
}

#[test]
fn exit_codes_and_forms_are_the_documented_ones() {
    // OBJ-2, GUI-28, CERT-2 alike for keys; objects.md section 14
    let scratch = tempfile::tempdir().unwrap();
    let data = scratch.path().join("data");
    drop(Serving::start(&data));
    let long = "n".repeat(32);
    for (words, code, said) in [
        (vec!["secadm", "create_sshprof"], 2, "mandatory parameter -sshprof_name is absent"),
        (vec!["secadm", "create_sshprof", "-shpn", &long, "-shpt", "SERVER"], 2, "at most 31 allowed"),
        (vec!["secadm", "create_sshprof", "-shpn", "X", "-shpt", "BOTH"], 2, "give one of CLIENT, SERVER"),
        (vec!["secadm", "create_sshprof", "-shpn", "X", "-nosuch", "1"], 2, "-nosuch"),
        (vec!["secadm", "no_such_command"], 2, "no_such_command"),
        (vec!["listener", "add", "L", "-port", "many"], 2, "not numeric"),
        (vec!["listener", "add", "L", "-port", "65536"], 2, "at most 65535 allowed"),
        (vec!["secdsp", "display_sshprof", "NONE"], 1, "does not exist"),
        (vec!["why", "7"], 1, "7"),
        (vec!["secdsp", "display_sshprof", "-sshprof_name", "SFTP_OUT"], 0, ""),
        (vec!["secdsp", "display_sshprof", "-shpn=SFTP_OUT", "--json"], 0, ""),
    ] {
        let done = gatehouse(&data, &words);
        let told = text(&done.stderr);
        assert_eq!(done.status.code(), Some(code), "{words:?}\n{told}");
        assert!(told.contains(said), "{words:?}\n{told}");
    }
}

#[test]
fn help_comes_short_and_long_and_links_answer() {
    let scratch = tempfile::tempdir().unwrap();
    let short = gatehouse(scratch.path(), &["secadm", "create_sshprof", "?"]);
    let long = gatehouse(scratch.path(), &["secadm", "create_sshprof", "??"]);
    for help in [&short, &long] {
        assert!(help.status.success() && text(&help.stdout).contains("--sshprof_name"), "{}", text(&help.stdout));
    }
    assert!(long.stdout.len() > short.stdout.len());
    let folder = scratch.path().to_str().unwrap();
    assert!(gatehouse(scratch.path(), &["links", folder]).status.success());
    let linked = Command::new(scratch.path().join("secadm")).args(["create_sshprof", "?"]).output().unwrap();
    assert_eq!(linked.stdout, short.stdout);
}
