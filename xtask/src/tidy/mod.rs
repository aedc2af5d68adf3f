//! `tidy`: the house rules that a machine can check. Reviewers have the rest.
//!
//! Each check gives findings; `xtask/tidy.toml` excuses some of them with a reason. That list may only shrink: an
//! excuse that nothing needs is a finding itself, and the number of excuses is fixed here.

mod files;
mod manifests;
mod purity;
mod shape;
mod source;
mod texts;

use std::fmt;
use std::fs;

use serde::Deserialize;

use crate::run::{Failure, Workplace, say};
use files::Tree;

/// Something that breaks a rule.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Finding {
    pub(crate) check: &'static str,
    pub(crate) file: String,
    pub(crate) line: usize,
    /// What was found: a word, a number, a dependency. Excuses name it.
    pub(crate) found: String,
    pub(crate) rule: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: [{}] {}: {}", self.file, self.line, self.check, self.found, self.rule)
    }
}

/// An entry of `xtask/tidy.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Excuse {
    check: String,
    /// A file, or a folder if it ends in `/`.
    file: String,
    found: String,
    reason: String,
}

impl Excuse {
    fn covers(&self, finding: &Finding) -> bool {
        let place =
            if self.file.ends_with('/') { finding.file.starts_with(&self.file) } else { finding.file == self.file };
        place && self.check == finding.check && self.found == finding.found
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Excuses {
    /// How many excuses there are. It is lowered with each one that goes, and never raised without a review.
    count: usize,
    #[serde(default)]
    excuse: Vec<Excuse>,
}

/// The task.
pub(crate) fn run(place: &Workplace) -> Result<(), Failure> {
    let tree = Tree::read(&place.root)?;
    let text = fs::read_to_string(place.root.join("xtask/tidy.toml"))?;
    let excuses: Excuses = toml::from_str(&text).map_err(|e| Failure::new(format!("xtask/tidy.toml: {e}")))?;
    let left = judge(all_findings(&tree), &excuses);
    left.iter().for_each(|line| say(line));
    say(&format!("tidy: {} sources, {} findings, {} excused", tree.sources.len(), left.len(), excuses.excuse.len()));
    if left.is_empty() { Ok(()) } else { Err(Failure::new(format!("{} findings of tidy", left.len()))) }
}

fn all_findings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(manifests::check(tree));
    findings.extend(purity::check(tree));
    findings.extend(shape::check(tree));
    findings.extend(texts::check(tree));
    findings.sort();
    findings.dedup();
    findings
}

/// What is left after the excuses, and what is wrong with the excuses.
fn judge(findings: Vec<Finding>, excuses: &Excuses) -> Vec<String> {
    let mut left: Vec<String> = Vec::new();
    for excuse in &excuses.excuse {
        let used = findings.iter().any(|finding| excuse.covers(finding));
        if !used {
            left.push(format!(
                "xtask/tidy.toml: excuse of {} for {:?} is not needed: remove it",
                excuse.file, excuse.found
            ));
        }
        if excuse.reason.trim().is_empty() {
            left.push(format!("xtask/tidy.toml: excuse of {} for {:?} has no reason", excuse.file, excuse.found));
        }
    }
    if excuses.count != excuses.excuse.len() {
        left.push(format!("xtask/tidy.toml: count is {}, excuses are {}", excuses.count, excuses.excuse.len()));
    }
    let open = findings.iter().filter(|finding| !excuses.excuse.iter().any(|excuse| excuse.covers(finding)));
    left.extend(open.map(Finding::to_string));
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(file: &str) -> Finding {
        Finding { check: "purity", file: file.into(), line: 3, found: "tokio".into(), rule: "model is pure".into() }
    }

    fn excuses(text: &str) -> Excuses {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn an_excuse_covers_its_finding_only() {
        let one = excuses("count = 1\n[[excuse]]\ncheck = 'purity'\nfile = 'a/b.rs'\nfound = 'tokio'\nreason = 'x'");
        assert_eq!(judge(vec![finding("a/b.rs")], &one), Vec::<String>::new());
        assert_eq!(judge(vec![finding("a/b.rs"), finding("a/c.rs")], &one).len(), 1);
    }

    #[test]
    fn the_list_only_shrinks() {
        let one = "[[excuse]]\ncheck = 'purity'\nfile = 'a/'\nfound = 'tokio'\nreason = ''";
        let told = judge(vec![], &excuses(&format!("count = 0\n{one}")));
        assert_eq!(told.len(), 3, "not needed, no reason, wrong count: {told:?}");
        let told = judge(vec![finding("a/b.rs")], &excuses(&format!("count = 1\n{one}")));
        assert_eq!(told.len(), 1, "no reason: {told:?}");
    }
}
