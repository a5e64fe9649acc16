//! How a goal falls into parts that may each need a tool of their own. Pure.
//!
//! Sentences are parts, and so are clauses of a sentence that ask for something by themselves: "show me the weather and suggest
//! some music" is two, "compare New York and Los Angeles" one. What asks is told by how a clause opens; that is English, as the
//! stop words are, and goals in other languages fall into sentences.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::texts;

/// Terms that a part has at least; less is "Can you help me?".
const TERMS_MIN: usize = 2;

/// Parts that a goal is read in. Each costs an embedding.
const PARTS_MAX: usize = 8;

/// What may stand between two clauses.
const LINKS: [&str; 9] =
    [", ", " and ", " or ", " but ", " then ", " while ", " plus ", " as well as ", " along with "];

/// Words that clauses are linked with; they say nothing of what a clause asks.
const LINKING: &str =
    "additionally also along and as but finally maybe or please plus possibly then to well while with";

/// Words that requests open with: verbs that tools are told, and how people begin to ask.
const OPENING: &str = "add analyze analyse answer arrange ask book build buy calculate call cancel change check compare compose \
    compute convert count create define delete describe design determine display download draw edit email estimate evaluate \
    explain extract fetch find generate get give help identify let list look make measure message modify notify open order \
    organize pay plan play post predict prepare print provide read recommend record remind remove rent reserve retrieve schedule \
    search select sell send share show solve sort start stop suggest summarize tell track transfer translate turn update \
    upload verify view write are can could how i is know see what when where whether which who why will would";

static LINKING_WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| LINKING.split_whitespace().collect());
static OPENING_WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| OPENING.split_whitespace().collect());

/// The parts of a goal that say something; none for a goal that is one part.
pub fn parts(goal: &str) -> Vec<&str> {
    let clauses = sentences(goal).into_iter().flat_map(clauses);
    let parts: Vec<&str> =
        clauses.filter(|part| texts::carrying(part) >= TERMS_MIN).map(str::trim).take(PARTS_MAX).collect();
    if parts.len() > 1 { parts } else { Vec::new() }
}

/// Cuts after what ends a sentence.
fn sentences(goal: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let mut rest = goal;
    while !rest.is_empty() {
        let ends = |at: usize, c: char| {
            let after = &rest[at + c.len_utf8()..];
            c == '\n' || (matches!(c, '.' | '?' | '!' | ';') && after.starts_with(char::is_whitespace))
        };
        let end = rest.char_indices().find(|(at, c)| ends(*at, *c)).map_or(rest.len(), |(at, c)| at + c.len_utf8());
        let (sentence, after) = rest.split_at(end);
        sentences.push(sentence);
        rest = after;
    }
    sentences
}

/// Cuts before what links a clause to the one before it, where that clause opens a request.
fn clauses(sentence: &str) -> Vec<&str> {
    let mut cuts: Vec<usize> =
        LINKS.iter().flat_map(|link| sentence.match_indices(link).map(|(at, _)| at + 1)).collect();
    cuts.sort_unstable();
    cuts.dedup();
    let mut clauses = Vec::new();
    let mut start = 0;
    for cut in cuts {
        if opens(&sentence[cut..]) && texts::carrying(&sentence[start..cut]) > 0 {
            clauses.push(&sentence[start..cut]);
            start = cut;
        }
    }
    clauses.push(&sentence[start..]);
    clauses
}

/// Whether a clause begins by asking for something.
fn opens(clause: &str) -> bool {
    let mut words = clause.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase);
    words.find(|word| !LINKING_WORDS.contains(word.as_str())).is_some_and(|word| OPENING_WORDS.contains(word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_fall_into_the_sentences_that_say_something() {
        let goal = "Can you help me? Convert 10 dollars to euros. Then book a hotel in Rome; thanks!";
        assert_eq!(parts(goal), ["Convert 10 dollars to euros.", "Then book a hotel in Rome;"]);
        for whole in ["Convert 10.5 dollars to euros, please.", "", "Übersetze das Buch und drucke es aus"] {
            assert!(parts(whole).is_empty(), "{whole}: {:?}", parts(whole));
        }
    }

    #[test]
    fn a_sentence_falls_into_the_clauses_that_ask() {
        for (goal, expected) in [
            (
                "Show me the weather in Rome and also suggest some calm music",
                &["Show me the weather in Rome", "and also suggest some calm music"][..],
            ),
            (
                "find flights to Oslo, book the cheapest seat, and email me the ticket",
                &["find flights to Oslo,", "book the cheapest seat,", "and email me the ticket"],
            ),
            (
                "Recommend courses on public speaking, as well as tell me which sights are near",
                &["Recommend courses on public speaking,", "as well as tell me which sights are near"],
            ),
            ("compare the rents of New York, Los Angeles and Chicago", &[]),
            ("read and write files", &[]),
        ] {
            assert_eq!(parts(goal), expected, "{goal}");
        }
    }
}
