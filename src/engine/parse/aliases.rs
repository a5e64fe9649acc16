//! Other names that prose gives: abbreviations with what they stand for, and names that are said to be the same.
//!
//! Abbreviations are found as by Schwartz and Hearst (2003), *A simple algorithm for identifying abbreviation definitions in
//! biomedical text*: one stands in parentheses behind its long form or the other way round, and its letters are found in the
//! long form from right to left, the first one at the beginning of a word. Everything else is said in words, of which the
//! English ones are known.

use super::entities::{self, Run, Word, fold, words};
use crate::model::Alias;

/// Letters and digits of an abbreviation.
const SHORT_CHARS: std::ops::RangeInclusive<usize> = 2..=10;

/// Words of a long form: at most this many more than the abbreviation has letters, and at most twice as many (the paper's figures).
const LONG_WORDS_MORE: usize = 5;

/// Names kept of one document; what has more is a list of abbreviations that somebody made.
const ALIASES_MAX: usize = 1_000;

/// Bytes before and within parentheses that are looked at.
const REACH: usize = 200;

/// What stands between two names of the same thing, in lower case. Longer ones first.
const SAYINGS: [&str; 9] = [
    "also known simply as",
    "better known by the stage name",
    "better known as",
    "formerly known as",
    "known professionally as",
    "also known as",
    "also called",
    "a.k.a.",
    "aka",
];

/// The other names in `text`, by place; each pair once.
pub fn aliases(text: &str) -> Vec<Alias> {
    let mut found = Vec::new();
    for (open, _) in text.match_indices('(') {
        let rest = &text[open + 1..text.floor_char_boundary(open + 1 + REACH)];
        let Some(inside) = rest.split(')').next().filter(|inside| inside.len() < rest.len()) else { continue };
        if !inside.contains('(') && found.len() < ALIASES_MAX {
            found.extend(abbreviation(text, open, inside));
        }
    }
    if has_saying(text) {
        said(text, &mut found);
    }
    found.retain(|alias| alias.name != alias.of);
    found.sort_by(|a, b| (&a.name, &a.of, a.at).cmp(&(&b.name, &b.of, b.at)));
    found.dedup_by(|a, b| (&a.name, &a.of) == (&b.name, &b.of));
    found.sort_by_key(|alias| alias.at);
    found.truncate(ALIASES_MAX);
    found
}

/// What the parenthesis that opens at `open` abbreviates, or what it writes out.
fn abbreviation(text: &str, open: usize, inside: &str) -> Option<Alias> {
    let before = &text[sentence_start(text, open)..open];
    // "(NASA, founded in 1958)": what follows the first comma is no part of it.
    let first = inside.split([',', ';']).next().unwrap_or_default().trim();
    if is_short(first) {
        let long = long_form(first, before)?;
        return Some(alias(first, long, open));
    }
    let last = before.trim_end().rsplit(char::is_whitespace).next()?;
    let last = last.trim_matches(|c: char| !c.is_alphanumeric());
    (is_short(last) && long_form(last, first)?.len() == first.len()).then(|| alias(last, first, open))
}

fn alias(name: &str, of: &str, at: usize) -> Alias {
    let key = |text: &str| words(text).map(|word| fold(word.text)).collect::<Vec<_>>().join(" ");
    Alias { name: key(name), of: key(of), at: at as u64 }
}

/// Where the sentence around `at` begins, no further back than a long form reaches.
fn sentence_start(text: &str, at: usize) -> usize {
    let far = text.ceil_char_boundary(at.saturating_sub(REACH));
    let stop = text[far..at].rfind(['(', ')', '\n', ';', '!', '?']).map_or(far, |stop| far + stop + 1);
    text[stop..at].rfind(". ").map_or(stop, |end| stop + end + 2)
}

/// Whether a text can be an abbreviation: one or two words, capitals and digits for the most part. Two names with a capital each
/// are no abbreviation of a longer list of names.
fn is_short(text: &str) -> bool {
    let letters = || text.chars().filter(|c| c.is_alphanumeric());
    SHORT_CHARS.contains(&letters().count())
        && text.split_whitespace().count() <= 2
        && text.chars().next().is_some_and(char::is_alphanumeric)
        && letters().filter(|c| c.is_uppercase()).count() >= 2
        && 2 * letters().filter(|c| c.is_uppercase() || c.is_numeric()).count() >= letters().count()
}

/// The end of `before` whose letters `short` is made of.
fn long_form<'t>(short: &str, before: &'t str) -> Option<&'t str> {
    let letters: Vec<char> = short.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let words: Vec<Word<'_>> = words(before).collect();
    let most = (letters.len() + LONG_WORDS_MORE).min(2 * letters.len());
    let reach = words.len().saturating_sub(most);
    let from = words.get(reach)?.start;
    let mut chars = before[from..].char_indices().rev();
    for (place, letter) in letters.iter().enumerate().rev() {
        loop {
            let (at, c) = chars.next()?;
            let opens = || !before[..from + at].chars().next_back().is_some_and(char::is_alphanumeric);
            if c.to_lowercase().next() == Some(*letter) && (place > 0 || opens()) {
                if place == 0 {
                    let long = before[from + at..].trim_end();
                    return sound(&letters, long).then_some(long);
                }
                break;
            }
        }
    }
    None
}

/// Whether a long form is one: longer than its abbreviation, which is not one of its words, and more than a single word, whose
/// letters any short word shares by chance.
fn sound(letters: &[char], long: &str) -> bool {
    let short: String = letters.iter().collect();
    let parts: Vec<String> = words(long).map(|word| fold(word.text)).collect();
    parts.len() > 1 && !parts.contains(&short) && long.chars().filter(|c| c.is_alphanumeric()).count() > letters.len()
}

fn has_saying(text: &str) -> bool {
    ["known", "called", "a.k.a.", "aka"].iter().any(|word| text.contains(word))
}

/// Names on both sides of a saying: "Reginald Dwight, better known as Elton John".
fn said(text: &str, found: &mut Vec<Alias>) {
    let mut last: Option<Run> = None;
    entities::runs(text, &mut |run| {
        if let Some(before) = last.take() {
            let between = text.get(before.end..run.start).unwrap_or_default();
            let between = between.trim_matches(|c: char| c.is_whitespace() || ",(“\"'‘*_".contains(c));
            if between.len() <= 40 && SAYINGS.contains(&between.to_lowercase().as_str()) {
                found.push(Alias { name: run.key.clone(), of: before.key, at: before.start as u64 });
            }
        }
        last = Some(run);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<String> {
        aliases(text).into_iter().map(|alias| format!("{} = {}", alias.name, alias.of)).collect()
    }

    #[test]
    fn abbreviations_stand_behind_what_they_stand_for_or_before() {
        assert_eq!(
            pairs("It was the National Aeronautics and Space Administration (NASA) that flew."),
            ["nasa = national aeronautics and space administration"]
        );
        assert_eq!(
            pairs("Magnetic resonance imaging (MRI, since 1977) is used."),
            ["mri = magnetic resonance imaging"]
        );
        assert_eq!(pairs("cars by BMW (Bayerische Motoren Werke) of Munich"), ["bmw = bayerische motoren werke"]);
        assert_eq!(pairs("the heat shock protein 90 (HSP90) family"), ["hsp90 = heat shock protein 90"]);
    }

    #[test]
    fn what_is_in_parentheses_is_mostly_no_abbreviation() {
        for text in [
            "Paris (France) is a city",
            "a film by Lang (1927)",
            "as seen below (Figure 3)",
            "the parser (see the README) reads",
            "Acme Corporation (USA) sold it",
            "thanks to Evan Lucas (Evan Lucas to the release team)",
            "an airport at Penticton Regional Airport (Penticton Airport) opened",
            "it rose (IBM fell) and",
            "open ( and never closed",
            "()",
            "(NASA)",
        ] {
            assert_eq!(pairs(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn a_sentence_before_is_no_long_form() {
        assert_eq!(pairs("National affairs. Some agency (NASA) flew."), [""; 0]);
    }

    #[test]
    fn names_are_said_to_be_the_same() {
        assert_eq!(pairs("Reginald Dwight, better known as Elton John, sings."), ["elton john = reginald dwight"]);
        assert_eq!(pairs("Istanbul (formerly known as “Constantinople”)"), ["constantinople = istanbul"]);
        assert_eq!(pairs("The Prince is known as kind. Elton John sings."), [""; 0]);
    }

    #[test]
    fn any_text_is_read_without_a_fault() {
        let deep = "(".repeat(300_000);
        assert_eq!(pairs(&format!("{deep})")), [""; 0], "in no time");
        for text in ["ÄÖ (ÄÖ)", "é(É(", "a.k.a.", "😀 (😀😀)", "İstanbul Büyükşehir (İB)"] {
            aliases(text);
        }
    }
}
