//! `faults`: the real program among partners, lines, disks and databases that fail (`tests/faults`).

use crate::run::{self, Failure, Workplace, say, tee};
use crate::setup;
use crate::test::Count;

/// Runs in `cargo xtask test`: a few minutes on two cores.
const TEST_RUNS: &str = "300";

/// The task: builds the gateway, then plays as many runs as asked for.
pub(crate) fn run_alone(place: &Workplace, arguments: &[&str]) -> Result<(), Failure> {
    setup::run(place)?;
    run::run("cargo build", place.command("cargo").args(["build", "--package", "gatehouse"]))?;
    let count = play(place, arguments)?;
    if count.failed == 0 { Ok(()) } else { Err(Failure::new("a fault had consequences: see the report")) }
}

/// What `cargo xtask test` plays.
pub(crate) fn run_tests(place: &Workplace) -> Result<Count, Failure> {
    play(place, &["--runs", TEST_RUNS])
}

/// Plays with the gateway already built.
fn play(place: &Workplace, arguments: &[&str]) -> Result<Count, Failure> {
    let mut pytest = place.command(&place.python().to_string_lossy());
    pytest.args(["-m", "pytest", "-c", "tests/faults/pytest.ini", "--rootdir", "tests/faults", "tests/faults"]);
    pytest.env("PYTHONDONTWRITEBYTECODE", "1");
    let (sound, text) = tee("pytest", &mut pytest)?;
    let own = Count::of_pytest(&text);
    if !sound || own.passed == 0 {
        return Err(Failure::new("the harness itself is not sound: mend it first"));
    }
    let report = place.target.join("faults");
    let mut python = place.command(&place.python().to_string_lossy());
    python.env("GATEHOUSE_PROGRAM", place.target.join("debug/gatehouse"));
    python.arg("tests/faults/run.py").arg("--report").arg(&report).args(arguments);
    let (good, text) = tee("faults", &mut python)?;
    say(&format!("report: {}", report.join("report.txt").display()));
    let count = own.and(Count::of_faults(&text));
    Ok(if good == (count.failed == 0) { count } else { Count { passed: count.passed, failed: count.failed.max(1) } })
}
