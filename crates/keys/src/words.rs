//! The words in which people compare fingerprints by telephone.

/// One word for each octet, in alphabetical order. Once released, the list never changes: both ends must say the same.
///
/// No two words begin with the same three letters or differ by one letter only.
#[rustfmt::skip]
pub(crate) const WORDS: [&str; 256] = [
    "acorn", "actor", "adult", "agent", "album", "amber", "anchor", "ankle", "anthem", "apple", "april", "arch",
    "arena", "armor", "arrow", "atlas", "autumn", "axis", "bacon", "badge", "baker", "bamboo", "banana", "basket",
    "beach", "beetle", "bell", "bicycle", "bird", "bishop", "blanket", "bonus", "book", "border", "bottle", "bread",
    "bridge", "brush", "bubble", "bucket", "butter", "cabin", "cactus", "camel", "candle", "carpet", "castle", "cedar",
    "chair", "cherry", "chimney", "circle", "cliff", "cloud", "coffee", "comet", "copper", "cotton", "cousin", "crab",
    "crown", "cube", "curtain", "daisy", "dancer", "december", "desert", "diamond", "dinner", "doctor", "dolphin",
    "domino", "door", "dragon", "drum", "duck", "eagle", "earth", "echo", "edge", "eight", "elbow", "elephant",
    "engine", "envelope", "evening", "eye", "fabric", "falcon", "farmer", "feather", "fence", "ferry", "fiddle", "fish",
    "flag", "flower", "flute", "forest", "fossil", "fox", "frog", "fruit", "galaxy", "garden", "gate", "ghost", "giant",
    "glass", "glove", "glue", "goat", "gold", "grape", "guitar", "hammer", "harbor", "hat", "hawk", "helmet", "hill",
    "hockey", "honey", "horse", "hotel", "hundred", "ice", "igloo", "ink", "insect", "iron", "island", "ivory",
    "jacket", "january", "jelly", "jewel", "judge", "jungle", "kangaroo", "kettle", "king", "kitchen", "kiwi", "koala",
    "ladder", "lake", "lamp", "lantern", "leaf", "lemon", "letter", "lion", "lizard", "lobster", "lucky", "machine",
    "magnet", "mango", "maple", "marble", "mayor", "meadow", "melon", "metal", "milk", "mirror", "monkey", "moon",
    "mountain", "muffin", "museum", "napkin", "needle", "nest", "ninety", "north", "nurse", "oak", "ocean", "office",
    "olive", "onion", "opera", "orange", "orbit", "otter", "oven", "owl", "oxygen", "paint", "palace", "panda", "paper",
    "parrot", "pencil", "pepper", "piano", "pigeon", "pillow", "pirate", "planet", "plum", "poem", "polar", "potato",
    "prince", "puppet", "pyramid", "queen", "quilt", "rabbit", "radio", "raft", "ranch", "raven", "ribbon", "river",
    "robin", "rocket", "rose", "ruby", "sailor", "salad", "sand", "saturn", "school", "season", "seven", "shadow",
    "shell", "silver", "singer", "skate", "sleep", "smile", "snow", "soap", "sofa", "spider", "spoon", "square", "star",
    "stone", "summer", "sunday", "swan", "table", "teacher", "temple", "thumb", "tiger", "tomato", "tower", "train",
    "tulip",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn words_are_told_apart() {
        assert!(WORDS.is_sorted());
        let beginnings: BTreeSet<&str> = WORDS.iter().map(|word| &word[..3]).collect();
        assert_eq!(beginnings.len(), 256);
        for word in WORDS {
            assert!((3..=8).contains(&word.len()) && word.bytes().all(|o| o.is_ascii_lowercase()), "{word}");
        }
        for (i, a) in WORDS.iter().enumerate() {
            for b in WORDS.iter().skip(i + 1).filter(|b| b.len() == a.len()) {
                assert!(a.bytes().zip(b.bytes()).filter(|(x, y)| x != y).count() > 1, "{a} and {b} differ by a letter");
            }
        }
    }
}
