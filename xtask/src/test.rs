//! `test`: everything that must hold before a change lands, in the order of how soon it tells.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::faults;
use crate::interop;
use crate::licence;
use crate::postgres::{self, Postgres};
use crate::run::{self, Failure, Workplace, answers, say, tee};
use crate::setup;
use crate::tidy;

/// How many tests of a step passed and failed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Count {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
}

impl Count {
    const ONE_PASSED: Self = Self { passed: 1, failed: 0 };
    const ONE_FAILED: Self = Self { passed: 0, failed: 1 };

    /// Reads the closing line of nextest: `Summary [ 1.2s] 12 tests run: 11 passed, 1 failed, 0 skipped`.
    pub(crate) fn of_nextest(text: &str) -> Self {
        let summary = text.lines().rev().find(|line| line.contains("tests run:") || line.contains("test run:"));
        summary.map(Self::of_words).unwrap_or_default()
    }

    /// Reads every `test result: ok. 3 passed; 0 failed; ...` of cargo's own test runner.
    pub(crate) fn of_cargo_test(text: &str) -> Self {
        text.lines()
            .filter(|line| line.starts_with("test result:"))
            .map(Self::of_words)
            .fold(Self::default(), Self::and)
    }

    /// Reads the closing line of pytest: `2 failed, 10 passed, 1 error in 3.21s`.
    pub(crate) fn of_pytest(text: &str) -> Self {
        let told =
            |line: &&str| line.contains(" in ") && ["passed", "failed", "error"].iter().any(|w| line.contains(w));
        let closing = text.lines().rev().find(told);
        closing.map(Self::of_words).unwrap_or_default()
    }

    /// Reads the closing line of the fault harness: `300 runs: 299 passed, 1 failed`.
    pub(crate) fn of_faults(text: &str) -> Self {
        let closing = text.lines().rev().find(|line| line.contains(" runs: "));
        closing.map(Self::of_words).unwrap_or_default()
    }

    fn of_words(line: &str) -> Self {
        let words: Vec<&str> = line.split([' ', ',', ';', '=', ':']).filter(|word| !word.is_empty()).collect();
        let mut count = Self::default();
        for pair in words.windows(2) {
            let [number, word] = pair else { continue };
            let Ok(number) = number.parse::<u32>() else { continue };
            match *word {
                "passed" => count.passed += number,
                "failed" | "error" | "errors" | "timed" => count.failed += number,
                _ => {}
            }
        }
        count
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed }
    }
}

/// The steps run so far, for the table at the end.
#[derive(Default)]
struct Steps {
    total: Count,
    table: Vec<String>,
}

impl Steps {
    /// Runs one step and notes how it went. True if nothing of it failed.
    fn step(&mut self, name: &str, work: impl FnOnce() -> Result<Count, Failure>) -> bool {
        say(&format!("\n== {name}"));
        let begun = Instant::now();
        let count = work().unwrap_or_else(|failure| {
            say(&format!("{name}: {failure}"));
            Count::ONE_FAILED
        });
        self.total = self.total.and(count);
        let (word, seconds) = (if count.failed == 0 { "ok" } else { "FAILED" }, begun.elapsed().as_secs_f32());
        self.table
            .push(format!("{name:<28} {word:<7} {seconds:7.1} s  {} passed, {} failed", count.passed, count.failed));
        count.failed == 0
    }
}

/// The task.
pub(crate) fn run(place: &Workplace) -> Result<(), Failure> {
    let mut steps = Steps::default();
    let ready = steps.step("setup", || one(setup::run(place)));
    steps.step("format", || one(run::run("cargo fmt", place.command("cargo").args(["fmt", "--all", "--check"]))));
    steps.step("tidy", || one(tidy::run(place)));
    steps.step("licences and duplicates", || one(licence::run(place)));
    steps.step("lints", || one(lints(place)));
    steps.step("tests", || hermetic(place, ready));
    steps.step("documentation tests", || doc_tests(place));
    let built = steps.step("build of the gateway", || one(build(place)));
    if ready && built {
        steps.step("interop", || interop::run_tests(place, &[]));
        steps.step("faults", || faults::run_tests(place));
    } else {
        steps.step("interop and faults", || Err(Failure::new("not run: setup or build failed")));
    }
    say("\n== summary");
    steps.table.iter().for_each(|line| say(line));
    let Count { passed, failed } = steps.total;
    say(&format!("{passed} passed, {failed} failed"));
    if failed == 0 {
        Ok(())
    } else {
        Err(Failure::new(format!("{failed} of {} checks and tests failed", passed + failed)))
    }
}

fn one(result: Result<(), Failure>) -> Result<Count, Failure> {
    result.map(|()| Count::ONE_PASSED)
}

/// Cargo with everything that is built for tests. In CI clippy stands in for the compiler, of which it is one: what it lints is
/// what the tests run then. Else all dependencies would be read twice, which takes five minutes of a machine without a cache.
/// At a desk clippy comes first, alone, since it tells soonest.
fn cargo(place: &Workplace) -> Command {
    let mut command = place.command("cargo");
    if clippy_compiles() {
        command.env("RUSTC_WORKSPACE_WRAPPER", "clippy-driver").env("CLIPPY_ARGS", DENY_WARNINGS);
    }
    command
}

/// `-D warnings`, as `cargo clippy` hands it on.
const DENY_WARNINGS: &str = "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__";

/// Whether clippy can stand in for the compiler here, and is to.
fn clippy_compiles() -> bool {
    run::in_ci() && answers(Path::new("clippy-driver"), "--version")
}

fn lints(place: &Workplace) -> Result<(), Failure> {
    if clippy_compiles() {
        return build(place);
    }
    let arguments = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    run::run("cargo clippy", place.command("cargo").args(arguments))
}

/// The program for interop. All targets of the workspace, since then it is what the tests have built already: a package
/// alone gets its dependencies with other features, and so once more.
fn build(place: &Workplace) -> Result<(), Failure> {
    run::run("cargo build", cargo(place).args(["build", "--workspace", "--all-targets", "--locked"]))
}

/// The tests of all crates, with PostgreSQL beside them. In CI they do not go without.
fn hermetic(place: &Workplace, ready: bool) -> Result<Count, Failure> {
    let postgres = match Postgres::start(place) {
        Ok(postgres) => Some(postgres),
        Err(failure) if ready || run::in_ci() => return Err(failure),
        Err(failure) => {
            say(&format!("without PostgreSQL: {failure}"));
            None
        }
    };
    let mut command = cargo(place);
    if let Some(postgres) = &postgres {
        command.env(postgres::VARIABLE, &postgres.url);
    }
    let nextest = answers(Path::new("cargo-nextest"), "--version");
    if nextest {
        let config = "--config-file=xtask/nextest.toml";
        command.args(["nextest", "run", config, "--workspace", "--locked", "--no-fail-fast", "--status-level=slow"]);
    } else {
        command.args(["test", "--workspace", "--locked", "--lib", "--bins", "--tests", "--no-fail-fast"]);
    }
    let (good, text) = tee("tests", &mut command)?;
    let count = if nextest { Count::of_nextest(&text) } else { Count::of_cargo_test(&text) };
    Ok(believe(good, count))
}

fn doc_tests(place: &Workplace) -> Result<Count, Failure> {
    let (good, text) = tee("tests", cargo(place).args(["test", "--workspace", "--locked", "--doc"]))?;
    Ok(believe(good, Count::of_cargo_test(&text)))
}

/// A count that agrees with the exit code: a run that failed without a count has one failure.
const fn believe(good: bool, count: Count) -> Count {
    if good || count.failed > 0 { count } else { Count { passed: count.passed, failed: 1 } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_counted() {
        let nextest = "     Summary [   3.205s] 12 tests run: 10 passed (1 slow), 1 failed, 1 timed out, 0 skipped";
        assert_eq!(Count::of_nextest(nextest), Count { passed: 10, failed: 2 });
        let cargo =
            "test result: ok. 3 passed; 0 failed; 0 ignored\ntest result: FAILED. 1 passed; 2 failed; 0 ignored";
        assert_eq!(Count::of_cargo_test(cargo), Count { passed: 4, failed: 2 });
        let faults = "300 runs: 299 passed, 1 failed\n";
        assert_eq!(Count::of_faults(faults), Count { passed: 299, failed: 1 });
        for (line, passed, failed) in [
            ("===== 2 failed, 10 passed, 1 error in 3.21s =====", 10, 3),
            ("10 passed, 2 skipped in 75.21s (0:01:15)", 10, 0),
            ("nothing here", 0, 0),
        ] {
            assert_eq!(Count::of_pytest(line), Count { passed, failed }, "{line}");
        }
    }

    #[test]
    fn a_run_that_broke_off_counts_as_failed() {
        assert_eq!(believe(false, Count::default()), Count { passed: 0, failed: 1 });
        assert_eq!(believe(true, Count { passed: 3, failed: 0 }), Count { passed: 3, failed: 0 });
    }
}
