//! The files that tidy looks at: those under version control, or about to be.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::source::Source;
use crate::run::{Failure, output};

/// A text file that is no Rust source.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Everything to check.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) sources: Vec<Source>,
    pub(crate) texts: Vec<Text>,
}

impl Tree {
    /// Reads the workspace at `root`: what git knows or would add.
    pub(crate) fn read(root: &Path) -> Result<Self, Failure> {
        let mut git = Command::new("git");
        git.current_dir(root).args(["ls-files", "--cached", "--others", "--exclude-standard"]);
        let mut tree = Self::default();
        for path in output("git ls-files", &mut git)?.lines() {
            let file = root.join(path);
            if !file.is_file() {
                continue;
            }
            // What is not UTF-8 is a vector or a key: nothing of ours to read.
            if let Ok(text) = String::from_utf8(fs::read(&file)?) {
                tree.add(path, &text);
            }
        }
        Ok(tree)
    }

    pub(crate) fn add(&mut self, path: &str, text: &str) {
        if path.ends_with(".rs") {
            self.sources.push(Source::new(path, text));
        } else {
            self.texts.push(Text { path: path.to_owned(), text: text.to_owned() });
        }
    }

    /// The text of one file that is no Rust source.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.texts.iter().find(|text| text.path == path).map(|text| text.text.as_str())
    }

    /// One Rust source.
    pub(crate) fn source(&self, path: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.path == path)
    }

    /// Paths of all files.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().map(|s| s.path.as_str()).chain(self.texts.iter().map(|t| t.path.as_str()))
    }
}
