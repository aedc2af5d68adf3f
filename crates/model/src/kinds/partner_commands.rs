//! Commands that a partner's FTP server wants beside those of a transfer (protocol-ftp.md section 2).

/// Most commands of one text.
const COMMANDS_MAX: usize = 16;

/// When a command is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CommandTime {
    /// Before a file, which does not go if it is refused.
    Before,
    /// Behind a file, whatever comes of it (`AE_`).
    After,
    /// Behind a file, and its refusal is one of the transfer (`AC_`).
    AfterOrFail,
}

/// A command for a partner's server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PartnerCommand {
    /// When it is sent.
    pub time: CommandTime,
    /// It stands behind SITE; else it is sent as it is (QUOTE).
    pub is_site: bool,
    /// The command.
    pub text: String,
}

impl PartnerCommand {
    /// What people may read of it: its words may hold what is nobody's business.
    #[must_use]
    pub fn shown(&self) -> String {
        let word = self.text.split_whitespace().next().unwrap_or_default();
        let word = base::brief(word, 20);
        if self.is_site { format!("SITE {word}") } else { word }
    }
}

/// Reads commands, parted by `;` or ends of lines: `SITE text` or `QUOTE text`, with `AE_` or `AC_` before those that
/// follow the file.
///
/// # Errors
/// What is wrong, as a sentence.
pub fn partner_commands(text: &str) -> Result<Vec<PartnerCommand>, String> {
    let parts = text.split([';', '\n']).map(str::trim).filter(|part| !part.is_empty());
    let commands: Vec<PartnerCommand> = parts.map(command).collect::<Result<_, _>>()?;
    if commands.len() > COMMANDS_MAX {
        return Err(format!("it has more than {COMMANDS_MAX} commands"));
    }
    Ok(commands)
}

fn command(part: &str) -> Result<PartnerCommand, String> {
    let wrong = || {
        let shown = base::brief(part.split_whitespace().next().unwrap_or_default(), 20);
        format!(
            "{shown:?} begins no command: write SITE text or QUOTE text, with AE_ or AC_ before it for those behind the file"
        )
    };
    if part.chars().any(char::is_control) {
        return Err("a command has a control character".to_owned());
    }
    let (word, text) = part.split_once(' ').ok_or_else(wrong)?;
    let word = word.to_ascii_uppercase();
    let (time, word) = match (word.strip_prefix("AE_"), word.strip_prefix("AC_")) {
        (Some(word), _) => (CommandTime::After, word),
        (_, Some(word)) => (CommandTime::AfterOrFail, word),
        _ => (CommandTime::Before, word.as_str()),
    };
    let is_site = match word {
        "SITE" => true,
        "QUOTE" => false,
        _ => return Err(wrong()),
    };
    Ok(PartnerCommand { time, is_site, text: text.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // FTP-18
    fn commands_are_read_in_their_order() {
        let read = partner_commands("SITE LRECL=80; quote CWD /in\nAE_QUOTE NOOP;;AC_SITE DONE x ").unwrap();
        let shown: Vec<_> = read.iter().map(|c| (c.time, c.is_site, c.text.as_str())).collect();
        assert_eq!(
            shown,
            [
                (CommandTime::Before, true, "LRECL=80"),
                (CommandTime::Before, false, "CWD /in"),
                (CommandTime::After, false, "NOOP"),
                (CommandTime::AfterOrFail, true, "DONE x"),
            ]
        );
        assert_eq!(read[3].shown(), "SITE DONE");
        assert_eq!(partner_commands("  "), Ok(Vec::new()));
    }

    #[test] // FTP-25
    fn what_is_no_command_is_refused() {
        for text in ["CWD /in", "SITE", "AX_SITE x", "QUOTE a\rDELE b", "SITE a\tb", &"SITE x;".repeat(17)] {
            assert!(partner_commands(text).is_err(), "{text:?}");
        }
    }
}
