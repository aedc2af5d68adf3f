//! The known word that a misspelt one probably means.

/// Longest word that is compared, in characters.
const WORD_LEN_MAX: usize = 64;

/// The word of `known` nearest to `word`, whatever the case; `None` if none is near: more than a third of it is wrong.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().take(WORD_LEN_MAX).collect();
    let near = (word.len() / 3).max(1);
    let measured = known.into_iter().map(|other| {
        let letters: Vec<char> = other.to_lowercase().chars().take(WORD_LEN_MAX).collect();
        (distance(&word, &letters), other)
    });
    measured.min_by_key(|(distance, _)| *distance).filter(|(distance, _)| *distance <= near).map(|(_, other)| other)
}

/// How many letters to add, take out or change.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut last = i + 1;
        let mut next = vec![last];
        for (y, (corner, above)) in b.iter().zip(row.iter().zip(row.iter().skip(1))) {
            last = (corner + usize::from(x != y)).min(above + 1).min(last + 1);
            next.push(last);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_or_none() {
        let known = ["login_password", "login_ident", "dest_address", "comments"];
        for (word, expected) in [
            ("login_pasword", Some("login_password")),
            ("Login_Idnet", Some("login_ident")),
            ("comment", Some("comments")),
            ("adress", None),
            ("", None),
            ("colour", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(nearest("a", []), None);
    }
}
