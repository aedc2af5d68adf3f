//! Manual pages in the form of man(7): the few requests that all viewers know, with everything else escaped.

/// How the line of a heading ends; a paragraph behind it would be one too many.
const HEADING_END: &str = "\"\n";

/// A page that is being written.
pub(crate) struct Page {
    text: String,
}

impl Page {
    /// The head: name, section, date, and what stands at the foot.
    pub(crate) fn new(name: &str, section: u8, date: &str) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let name = name.to_uppercase();
        Self { text: format!(".TH \"{name}\" \"{section}\" \"{date}\" \"Gatehouse {version}\" \"Gatehouse manual\"\n") }
    }

    /// A heading.
    pub(crate) fn section(&mut self, title: &str) {
        self.line(&format!(".SH \"{}\"", escaped(title)));
    }

    /// A heading below another.
    pub(crate) fn part(&mut self, title: &str) {
        self.line(&format!(".SS \"{}\"", escaped(title)));
    }

    /// A paragraph of its own.
    pub(crate) fn paragraph(&mut self, text: &str) {
        self.line(".PP");
        self.words(text);
    }

    /// Words as they follow.
    pub(crate) fn words(&mut self, text: &str) {
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let line = escaped(line);
            // A dot or quote at the beginning would be a request.
            let guard = if line.starts_with(['.', '\'']) { "\\&" } else { "" };
            self.line(&format!("{guard}{line}"));
        }
    }

    /// A term, made of bold words and an italic value, and what it means.
    pub(crate) fn term(&mut self, names: &[String], value: Option<&str>, meaning: &str) {
        let names: Vec<String> = names.iter().map(|name| bold(name)).collect();
        let value = value.map(|value| format!(" {}", italic(value))).unwrap_or_default();
        self.line(".TP");
        self.line(&format!("{}{value}", names.join(", ")));
        self.words(meaning);
    }

    /// A command in bold, and what may follow it.
    pub(crate) fn command(&mut self, name: &str, rest: &str) {
        if !self.text.ends_with(HEADING_END) {
            self.line(".PP");
        }
        self.line(format!("{} {}", bold(name), escaped(rest)).trim_end());
    }

    /// The page.
    pub(crate) fn text(self) -> String {
        self.text
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }
}

fn bold(text: &str) -> String {
    format!("\\fB{}\\fR", escaped(text))
}

fn italic(text: &str) -> String {
    format!("\\fI{}\\fR", escaped(text))
}

/// Characters that roff would take for its own, and hyphens that are typed.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => safe.push_str("\\e"),
            '-' => safe.push_str("\\-"),
            '"' => safe.push_str("\\(dq"),
            '\'' => safe.push_str("\\(aq"),
            '`' => safe.push_str("\\(ga"),
            '^' => safe.push_str("\\(ha"),
            '~' => safe.push_str("\\(ti"),
            '…' => safe.push_str("..."),
            '–' => safe.push_str("\\(en"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // man(7), groff_char(7)
    fn what_roff_would_understand_is_escaped() {
        let mut page = Page::new("x", 1, "2026-11-23");
        page.words(".dot\n'quote' \\n - end");
        page.term(&["-a".to_owned(), "-b".to_owned()], Some("TEXT"), "it is");
        let text = page.text();
        assert!(text.starts_with(".TH \"X\" \"1\" \"2026-11-23\""), "{text}");
        assert!(text.contains("\n\\&.dot\n\\(aqquote\\(aq \\en \\- end\n"), "{text}");
        assert!(text.contains(".TP\n\\fB\\-a\\fR, \\fB\\-b\\fR \\fITEXT\\fR\nit is\n"), "{text}");
    }
}
