//! A PostgreSQL of the tests' own: scratch folder, free port, ordinary user; gone afterwards.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::run::{self, Failure, Running, Workplace, output};
use crate::setup;

/// The task `with-postgres`: runs a command with the server's address in its environment.
pub(crate) fn run(place: &Workplace, words: &[&str]) -> Result<(), Failure> {
    let [program, arguments @ ..] = words else { return Err(Failure::new("name the command to run")) };
    let postgres = Postgres::start(place)?;
    run::run(program, place.command(program).args(arguments).env(VARIABLE, &postgres.url))
}

/// Where tests find the server's address.
pub(crate) const VARIABLE: &str = "GATEHOUSE_TEST_POSTGRES";

/// A running server. It stops, and its folder goes, when this is dropped.
pub(crate) struct Postgres {
    server: Option<Running>,
    folder: PathBuf,
    /// What the tests connect to.
    pub(crate) url: String,
}

impl Postgres {
    /// Makes a database cluster and starts a server on it.
    pub(crate) fn start(place: &Workplace) -> Result<Self, Failure> {
        let programs = setup::postgres_folder().ok_or_else(|| Failure::new("no PostgreSQL: run cargo xtask setup"))?;
        let folder = std::env::temp_dir().join(format!("gatehouse-test-postgres-{}", std::process::id()));
        fs::create_dir(&folder)?;
        let mut postgres = Self { server: None, folder, url: String::new() };
        let user = if setup::is_root(place) { Some("postgres") } else { None };
        if let Some(name) = user {
            run::run("chown", place.command("chown").arg(name).arg(&postgres.folder))?;
        }
        let data = postgres.folder.join("data");
        let mut initdb = as_user(user, &programs.join("initdb"));
        initdb.args(["--username=gatehouse", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"]);
        output("initdb", initdb.arg(&data).current_dir(&postgres.folder))?;
        let port = free_port()?;
        let mut server = as_user(user, &programs.join("postgres"));
        server.arg("-D").arg(&data).arg("-k").arg(&postgres.folder).args(["-p", &port.to_string()]);
        server.args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=200"]);
        server.current_dir(&postgres.folder).stdin(Stdio::null()).stdout(Stdio::null());
        server.stderr(fs::File::create(postgres.folder.join("log"))?);
        postgres.server = Some(Running(server.spawn()?));
        postgres.url = format!("postgres://gatehouse@127.0.0.1:{port}/postgres");
        postgres.wait(&programs, port)?;
        Ok(postgres)
    }

    fn wait(&self, programs: &Path, port: u16) -> Result<(), Failure> {
        let begun = Instant::now();
        while begun.elapsed() < START_MAX {
            let mut ask = Command::new(programs.join("pg_isready"));
            ask.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]).current_dir(&self.folder);
            if ask.status().is_ok_and(|status| status.success()) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        Err(Failure::new(format!("PostgreSQL did not start within {} s:\n{log}", START_MAX.as_secs())))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.server = None;
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// `program`, as `user` if one is named: PostgreSQL refuses to run as root.
fn as_user(user: Option<&str>, program: &Path) -> Command {
    let Some(name) = user else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.args(["--reuid", name, "--regid", name, "--clear-groups", "--"]).arg(program);
    command
}

/// A port that nobody listens on now. PostgreSQL cannot choose one by itself.
fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

const START_MAX: Duration = Duration::from_secs(30);
