//! `bench`: the gateway and its peers in one run, with ratios.

use crate::run::{self, Failure, Workplace};
use crate::setup;

/// Builds the release program and runs `bench/` with it.
pub(crate) fn run(place: &Workplace, arguments: &[&str]) -> Result<(), Failure> {
    setup::run(place)?;
    run::run("cargo build", place.command("cargo").args(["build", "--release", "--package", "gatehouse"]))?;
    let mut bench = place.command(&place.python().to_string_lossy());
    bench.env("GATEHOUSE_PROGRAM", place.target.join("release/gatehouse"));
    bench.env("PYTHONDONTWRITEBYTECODE", "1");
    run::run("bench", bench.arg("bench/bench.py").args(arguments))
}
