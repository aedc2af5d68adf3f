//! `interop`: the real program against real peers, each test in its own scratch folder on free ports.

use crate::run::{self, Failure, Workplace, say, tee};
use crate::setup;
use crate::test::Count;

/// The task: builds the gateway, then runs all peers, or those of one folder or test.
pub(crate) fn run_alone(place: &Workplace, arguments: &[&str]) -> Result<(), Failure> {
    setup::run(place)?;
    run::run("cargo build", place.command("cargo").args(["build", "--package", "gatehouse"]))?;
    let count = run_tests(place, arguments)?;
    say(&format!("{} passed, {} failed", count.passed, count.failed));
    if count.failed == 0 { Ok(()) } else { Err(Failure::new("a peer and the gateway did not agree")) }
}

/// Runs the peers' tests with the gateway already built. `arguments`: folders of `tests/interop`, then pytest's own.
pub(crate) fn run_tests(place: &Workplace, arguments: &[&str]) -> Result<Count, Failure> {
    let mut pytest = place.command(&place.python().to_string_lossy());
    pytest.args(["-m", "pytest", "-c", "tests/interop/pytest.ini", "--rootdir", "tests/interop"]);
    pytest.env("GATEHOUSE_PROGRAM", place.target.join("debug/gatehouse"));
    pytest.env("GATEHOUSE_PEERS", setup::unpacked_folder(place));
    pytest.env("PYTHONDONTWRITEBYTECODE", "1");
    // Tests of the package build it. This very program may have been replaced by the build of the workspace.
    pytest.env("GATEHOUSE_XTASK", place.target.join("debug/xtask"));
    let (names, options): (Vec<&str>, Vec<&str>) = arguments.iter().partition(|word| !word.starts_with('-'));
    if names.is_empty() {
        // Most of them wait for peers most of the time: two at once, the tests of one file one after the other.
        pytest.args(["tests/interop", "-n", "2", "--dist", "loadfile"]);
    }
    pytest.args(names.iter().map(|name| format!("tests/interop/{name}"))).args(options);
    let (good, text) = tee("pytest", &mut pytest)?;
    let count = Count::of_pytest(&text);
    if good == (count.failed == 0) && (count.passed > 0 || count.failed > 0) {
        return Ok(count);
    }
    Ok(Count { passed: count.passed, failed: count.failed.max(1) })
}
