//! Patterns of rule conditions: `*`, `?`, bracket sets, `\` before a character that stands for itself.

/// One step of a pattern.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Step {
    Any,
    One,
    Char(char),
    Set { not: bool, ranges: Vec<(char, char)> },
}

/// Whether `text` fits `pattern`. Work is bounded by the product of both lengths.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let mut reach = vec![true];
    let text: Vec<char> = text.chars().collect();
    reach.resize(text.len() + 1, false);
    for step in steps(pattern) {
        let mut next = Vec::with_capacity(reach.len());
        let (mut before, mut eaten) = (false, false);
        for (i, here) in reach.iter().enumerate() {
            let last = i.checked_sub(1).and_then(|i| text.get(i)).copied();
            let here_fits = match &step {
                Step::Any => *here || before,
                step => eaten && last.is_some_and(|c| step.takes(c)),
            };
            next.push(here_fits);
            before = here_fits;
            eaten = *here;
        }
        reach = next;
    }
    reach.last().copied().unwrap_or(false)
}

/// `text` so that it stands for itself in a pattern.
pub(crate) fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut done, c| {
        if matches!(c, '*' | '?' | '[' | '\\') {
            done.push('\\');
        }
        done.push(c);
        done
    })
}

impl Step {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Any | Self::One => true,
            Self::Char(own) => *own == c,
            Self::Set { not, ranges } => ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *not,
        }
    }
}

fn steps(pattern: &str) -> Vec<Step> {
    let mut found = Vec::new();
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        found.push(match c {
            '*' => Step::Any,
            '?' => Step::One,
            '\\' => Step::Char(rest.next().unwrap_or('\\')),
            '[' => match rest.as_str().split_once(']').filter(|(inner, _)| !inner.is_empty()) {
                Some((inner, behind)) => {
                    rest = behind.chars();
                    set(inner)
                }
                None => Step::Char('['),
            },
            c => Step::Char(c),
        });
    }
    found
}

fn set(inner: &str) -> Step {
    let (not, inner) = inner.strip_prefix('!').map_or((false, inner), |inner| (true, inner));
    let characters: Vec<char> = inner.chars().collect();
    let mut ranges = Vec::new();
    let mut rest = characters.as_slice();
    while let Some((first, behind)) = rest.split_first() {
        rest = match behind {
            ['-', last, behind @ ..] => {
                ranges.push((*first, *last));
                behind
            }
            _ => {
                ranges.push((*first, *first));
                behind
            }
        };
    }
    Step::Set { not, ranges }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_of_conditions() {
        // OBJ-28
        for (pattern, text, expected) in [
            ("*.xml", "a.xml", true),
            ("*.xml", "a.xml.part", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]*", "beta", true),
            ("[!a-c]*", "beta", false),
            ("[!a-c]*", "zeta", true),
            ("[ab", "[ab", true),
            (r"\*", "*", true),
            (r"\*", "x", false),
            ("", "", true),
            ("[-x]", "-", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} against {text}");
        }
    }

    proptest! {
        #[test]
        fn an_escaped_text_fits_itself_only(text in any::<String>(), other in any::<String>()) {
            prop_assert!(fits(&escape(&text), &text));
            prop_assert_eq!(fits(&escape(&text), &other), text == other);
        }
    }
}
