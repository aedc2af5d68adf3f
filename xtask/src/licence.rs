//! `licence`: licences, duplicates and sources of all dependencies, against `deny.toml`.
//!
//! `cargo deny` does it where it is installed. The check here reads the same file, so that none goes unchecked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::run::{self, Failure, Workplace, answers, output, say};

/// The task.
pub(crate) fn run(place: &Workplace) -> Result<(), Failure> {
    let rules = Rules::parse(&fs::read_to_string(place.root.join("deny.toml"))?)?;
    let arguments = ["metadata", "--format-version=1", "--locked", "--all-features", "--filter-platform", TARGET];
    let metadata = output("cargo metadata", place.command("cargo").args(arguments))?;
    let mut metadata: Metadata =
        serde_json::from_str(&metadata).map_err(|e| Failure::new(format!("cargo metadata: {e}")))?;
    // Metadata name also what a feature mentions without asking for it (`ring?/std`); the tree is what is built.
    let arguments = ["tree", "--workspace", "--locked", "--all-features", "--prefix=none", "--format={p}"];
    let built = built(&output("cargo tree", place.command("cargo").args(arguments).args(["--target", TARGET]))?);
    metadata.packages.retain(|one| built.contains(&(one.name.clone(), one.version.clone())));
    let problems = rules.problems(&metadata.packages);
    problems.iter().for_each(|problem| say(problem));
    if !problems.is_empty() {
        return Err(Failure::new(format!("{} problems with dependencies", problems.len())));
    }
    say(&format!("licence: {} packages keep to deny.toml", metadata.packages.len()));
    if answers(Path::new("cargo-deny"), "--version") {
        let arguments = ["deny", "--offline", "check", "bans", "licenses", "sources"];
        run::run("cargo deny", place.command("cargo").args(arguments))?;
    }
    Ok(())
}

/// Names and versions of a tree's lines: `name v1.2.3 (what else)`.
fn built(tree: &str) -> BTreeSet<(String, String)> {
    let package = |line: &str| {
        let mut words = line.split(' ');
        Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
    };
    tree.lines().filter_map(package).collect()
}

/// The part of `deny.toml` that is checked here; its other keys are cargo-deny's alone.
#[derive(Deserialize)]
struct Rules {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Named>,
    skip: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(rename = "crate")]
    name: String,
    /// Packages of others that may use it; none of ours may.
    #[serde(default)]
    wrappers: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
    #[serde(default)]
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
}

impl Package {
    /// Whether it is one of ours and names `other` as its own dependency.
    fn is_ours_and_uses(&self, other: &str) -> bool {
        self.source.is_none() && self.dependencies.iter().any(|dependency| dependency.name == other)
    }
}

impl Rules {
    fn parse(text: &str) -> Result<Self, Failure> {
        toml::from_str(text).map_err(|e| Failure::new(format!("deny.toml: {e}")))
    }

    fn problems(&self, packages: &[Package]) -> Vec<String> {
        let mut problems = Vec::new();
        let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for Package { name, version, license, source, .. } in packages {
            versions.entry(name).or_default().push(version);
            let expression = license.as_deref().unwrap_or("");
            if !allowed(expression, &self.licenses.allow) {
                problems.push(format!("{name} {version}: licence {expression:?} is not in the list of deny.toml"));
            }
            if source.as_deref().is_some_and(|source| !source.starts_with(REGISTRY)) {
                problems.push(format!("{name} {version}: does not come from the package registry"));
            }
            let banned = self.bans.deny.iter().find(|banned| banned.name == *name);
            let ours = || packages.iter().any(|package| package.is_ours_and_uses(name));
            if banned.is_some_and(|banned| banned.wrappers.is_empty() || ours()) {
                problems.push(format!("{name} {version}: banned by deny.toml"));
            }
        }
        let skipped: BTreeSet<String> = self.bans.skip.iter().map(Named::spelled).collect();
        for (name, found) in &versions {
            let counted: Vec<&&str> = found.iter().filter(|v| !skipped.contains(&format!("{name}@{v}"))).collect();
            if counted.len() > 1 {
                problems
                    .push(format!("{name}: versions {counted:?} together: unify them, or skip one with its reason"));
            }
        }
        for skip in &skipped {
            let (name, version) = skip.split_once('@').unwrap_or((skip, ""));
            if versions.get(name).is_none_or(|found| found.len() < 2 || !found.contains(&version)) {
                problems.push(format!("deny.toml skips {skip}, which is no duplicate any more: remove the line"));
            }
        }
        problems
    }
}

impl Named {
    /// `name@version`; deny.toml may write the version as `=1.2.3`.
    fn spelled(&self) -> String {
        self.name.replace(['=', ' '], "").replace(':', "@")
    }
}

/// True if the licence expression (SPDX: names, AND, OR, brackets, WITH) can be met by allowed licences alone.
fn allowed(expression: &str, allow: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (met, rest) = any_of(&words, allow);
    met && rest.is_empty()
}

/// `a OR b OR ...`
fn any_of<'a, 'w>(words: &'a [&'w str], allow: &BTreeSet<String>) -> (bool, &'a [&'w str]) {
    let (mut met, mut rest) = all_of(words, allow);
    while let ["OR", more @ ..] = rest {
        let (also, left) = all_of(more, allow);
        met |= also;
        rest = left;
    }
    (met, rest)
}

/// `a AND b AND ...`
fn all_of<'a, 'w>(words: &'a [&'w str], allow: &BTreeSet<String>) -> (bool, &'a [&'w str]) {
    let (mut met, mut rest) = one_of(words, allow);
    while let ["AND", more @ ..] = rest {
        let (also, left) = one_of(more, allow);
        met &= also;
        rest = left;
    }
    (met, rest)
}

/// A licence, a licence with an exception, or brackets.
fn one_of<'a, 'w>(words: &'a [&'w str], allow: &BTreeSet<String>) -> (bool, &'a [&'w str]) {
    match words {
        ["(", inner @ ..] => match any_of(inner, allow) {
            (met, [")", rest @ ..]) => (met, rest),
            (_, rest) => (false, rest),
        },
        [name, "WITH", exception, rest @ ..] => (allow.contains(&format!("{name} WITH {exception}")), rest),
        [name, rest @ ..] => (allow.contains(*name), rest),
        [] => (false, words),
    }
}

/// What is built for other systems only is not looked at.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// How a package of the registry, and not of a repository or a folder, gives its source.
const REGISTRY: &str = "registry+";

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules::parse(
            "[licenses]\nallow = ['MIT', 'Apache-2.0', 'Apache-2.0 WITH LLVM-exception']\n\
             [bans]\ndeny = [{ crate = 'openssl', reason = 'x' }]\nskip = [{ crate = 'rand@0.8.5', reason = 'x' }]",
        )
        .unwrap()
    }

    fn package(name: &str, version: &str, license: &str) -> Package {
        let text = |s: &str| Some(s.to_owned());
        let (name, version, dependencies) = (name.into(), version.into(), Vec::new());
        Package { name, version, license: text(license), source: text(REGISTRY), dependencies }
    }

    #[test]
    fn a_tree_names_what_is_built() {
        let tree = "gatehouse v0.1.0 (/x)\n\nring v0.17.14\nserde v1.0.1 (*)\nserde_derive v1.0.1 (proc-macro)\n";
        let names: Vec<String> = built(tree).into_iter().map(|(name, version)| format!("{name}@{version}")).collect();
        assert_eq!(names, ["gatehouse@0.1.0", "ring@0.17.14", "serde@1.0.1", "serde_derive@1.0.1"]);
    }

    #[test]
    fn licence_expressions() {
        let allow = rules().licenses.allow;
        for (expression, expected) in [
            ("MIT", true),
            ("GPL-3.0 OR MIT", true),
            ("GPL-3.0 AND MIT", false),
            ("MIT/Apache-2.0", true),
            ("(GPL-3.0 OR MIT) AND Apache-2.0", true),
            ("MIT OR GPL-3.0 AND GPL-2.0", true),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("MIT WITH Other-exception", false),
            ("(MIT", false),
            ("", false),
        ] {
            assert_eq!(allowed(expression, &allow), expected, "{expression}");
        }
    }

    #[test]
    fn duplicates_bans_and_strange_sources_are_told() {
        let two = [package("rand", "0.8.5", "MIT"), package("rand", "0.9.0", "MIT")];
        assert_eq!(rules().problems(&two), Vec::<String>::new());
        let mut strange = package("openssl", "1.0.0", "MIT");
        strange.source = Some("git+ssh://example.com/x".into());
        let [a, b] = two;
        let told = rules().problems(&[a, b, package("rand", "0.10.0", "MIT"), strange]);
        assert_eq!(told.len(), 3, "{told:?}");
        let mut rules_with_wrapper = rules();
        rules_with_wrapper.bans.deny[0].wrappers = vec!["curl".to_owned()];
        let mut ours = package("ours", "1.0.0", "MIT");
        ours.source = None;
        let wrapped = [
            package("openssl", "1.0.0", "MIT"),
            package("rand", "0.8.5", "MIT"),
            package("rand", "0.9.0", "MIT"),
            ours,
        ];
        assert_eq!(rules_with_wrapper.problems(&wrapped), Vec::<String>::new(), "a wrapper may use it");
        let [a, b, c, mut ours] = wrapped;
        ours.dependencies.push(Dependency { name: "openssl".to_owned() });
        assert_eq!(rules_with_wrapper.problems(&[a, b, c, ours]).len(), 1, "we may not");
        let gone = rules().problems(&[package("rand", "0.9.0", "MIT")]);
        assert!(gone.iter().any(|line| line.contains("no duplicate any more")), "{gone:?}");
    }
}
