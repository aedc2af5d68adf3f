//! `bench`: the gateway and its peers in one run, with ratios.

use crate::run::{self, Failure, Workplace};
use crate::setup;

/// Measurements that stand beside the jobs of `bench.py`: a script each, with arguments of its own.
const ALONE: &[&str] = &["records", "certificates", "durable", "soak", "huge"];

/// Builds the release program and runs `bench/` with it.
pub(crate) fn run(place: &Workplace, arguments: &[&str]) -> Result<(), Failure> {
    let (script, arguments) = match arguments {
        [name, rest @ ..] if ALONE.contains(name) => (*name, rest),
        all => ("bench", all),
    };
    setup::run(place)?;
    run::run("cargo build", place.command("cargo").args(["build", "--release", "--package", "gatehouse"]))?;
    let mut bench = place.command(&place.python().to_string_lossy());
    bench.env("GATEHOUSE_PROGRAM", place.target.join("release/gatehouse"));
    bench.env("PYTHONDONTWRITEBYTECODE", "1");
    run::run("bench", bench.arg(format!("bench/{script}.py")).args(arguments))
}
