//! Tasks of the project: `cargo xtask tidy|test|interop|faults|deb|bench|setup`.
//!
//! `test` is what CI runs and calls the others in order; each also stands alone.

mod bench;
mod deb;
mod faults;
mod interop;
mod licence;
mod postgres;
mod run;
mod setup;
mod test;
mod tidy;

use std::process::ExitCode;

use run::{Failure, Workplace, say};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&format!("xtask: {failure}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<(), Failure> {
    let mut words = arguments.iter().map(String::as_str);
    let task = words.next();
    let rest: Vec<&str> = words.collect();
    match task {
        Some("tidy") => tidy::run(&Workplace::find()?),
        Some("test") => test::run(&Workplace::find()?),
        Some("setup") => setup::run(&Workplace::find()?),
        Some("deb") => deb::run(&Workplace::find()?, &rest),
        Some("licence") => licence::run(&Workplace::find()?),
        Some("interop") => interop::run_alone(&Workplace::find()?, &rest),
        Some("faults") => faults::run_alone(&Workplace::find()?, &rest),
        Some("bench") => bench::run(&Workplace::find()?, &rest),
        Some("with-postgres") => postgres::run(&Workplace::find()?, &rest),
        _ => {
            say(HELP);
            Err(Failure::new("no such task: name one of the list above"))
        }
    }
}

const HELP: &str = "\
cargo xtask test             everything CI checks: format, lints, tidy, licences, hermetic tests, interop, faults
cargo xtask tidy             the house rules: imports, purity, sizes, shapes, words
cargo xtask licence          licences, duplicates and sources of all dependencies, against deny.toml
cargo xtask interop [NAME]   the gateway against real peers (all, or one folder of tests/interop)
cargo xtask faults [--runs N] [--seed S]   the gateway while lines, disks and databases fail and it is killed
cargo xtask deb [--output DIR]   the Debian package, from a release build (or --program FILE)
cargo xtask bench [--quick]  the gateway beside its peers, with ratios
cargo xtask with-postgres COMMAND ...   a command with a PostgreSQL beside it, in GATEHOUSE_TEST_POSTGRES
cargo xtask setup            installs what the tests need, or says what to install";
