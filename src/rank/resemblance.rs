//! How much two texts repeat each other, by the word sequences that they share.
//!
//! Resemblance and containment as in Broder 1997, "On the resemblance and containment of documents": texts become sets of
//! shingles (runs of [`SHINGLE_WORDS`] words); resemblance is the share of common ones among all, containment the share
//! of one text's that the other has. Exact sets instead of sketches: memories are short.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Words of a shingle. Three tell word order without asking for long stretches to be the same.
const SHINGLE_WORDS: usize = 3;

/// The shingles of a text, as hashes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shingles {
    hashes: HashSet<u64>,
    words: usize,
    /// Words with a digit in them: versions, ports, amounts, dates.
    figures: HashSet<u64>,
}

impl Shingles {
    /// Of the words of `text`: its letters and digits, in lower case.
    pub fn of(text: &str) -> Self {
        let lower = text.to_lowercase();
        let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let size = SHINGLE_WORDS.min(words.len().max(1));
        Self {
            hashes: words.windows(size).map(|shingle| hash(&shingle)).collect(),
            words: words.len(),
            figures: words.iter().filter(|word| word.bytes().any(|b| b.is_ascii_digit())).map(hash).collect(),
        }
    }

    /// How many words the text has.
    pub fn words(&self) -> usize {
        self.words
    }

    /// Adds those of another text. Runs across the seam are not in the union.
    pub fn extend(&mut self, other: &Self) {
        self.hashes.extend(&other.hashes);
        self.figures.extend(&other.figures);
        self.words += other.words;
    }

    /// Common shingles over all shingles of both, 0…1. Texts with different figures do not resemble each other at all: "port
    /// 8080" does not repeat "port 8081", it contradicts it.
    pub fn resemblance(&self, other: &Self) -> f32 {
        if self.figures != other.figures {
            return 0.0;
        }
        let common = self.hashes.intersection(&other.hashes).count();
        share(common, self.hashes.len() + other.hashes.len() - common)
    }

    /// Share of these shingles that `other` has, 0…1.
    pub fn containment(&self, other: &Self) -> f32 {
        share(self.hashes.intersection(&other.hashes).count(), self.hashes.len())
    }
}

fn share(part: usize, whole: usize) -> f32 {
    if whole == 0 { 0.0 } else { part as f32 / whole as f32 }
}

fn hash(value: &(impl Hash + ?Sized)) -> u64 {
    // Seeded with constants: the same text has the same shingles in every process.
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resemblance(a: &str, b: &str) -> f32 {
        Shingles::of(a).resemblance(&Shingles::of(b))
    }

    #[test]
    fn spelling_and_punctuation_do_not_make_a_text_another() {
        let text = "The retry queue is drained by the scheduler, once a minute.";
        assert_eq!(resemblance(text, "the retry queue is drained by the scheduler once a minute"), 1.0);
        let longer = "The retry queue is drained by the scheduler once a minute, says Ana.";
        assert!((0.6..1.0).contains(&resemblance(text, longer)));
        assert_eq!(resemblance(text, "Nothing of that kind at all."), 0.0);
    }

    #[test]
    fn other_figures_make_another_statement() {
        let text = |port| format!("The gateway of the staging cluster listens for plain HTTP requests on port {port}");
        assert_eq!(resemblance(&text(8080), &text(8080)), 1.0);
        assert_eq!(resemblance(&text(8080), &text(8081)), 0.0);
    }

    #[test]
    fn a_part_is_contained_in_the_whole_but_not_the_other_way_round() {
        let whole = Shingles::of("alpha beta gamma delta epsilon zeta eta theta");
        let part = Shingles::of("gamma delta epsilon zeta");
        assert_eq!(part.containment(&whole), 1.0);
        assert!(whole.containment(&part) < 0.5);
        assert_eq!(Shingles::of("").containment(&whole), 0.0);
        assert_eq!(Shingles::of("one").resemblance(&Shingles::of("One!")), 1.0);
    }
}
