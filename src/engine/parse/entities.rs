//! What prose names: proper names, titles, numbers in names, years. By capitals and sentence ends alone, in any script that has
//! capitals; no list of names and no model.

use std::collections::HashSet;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::model::Mention;

/// Words that open sentences with a capital and name nothing.
const STOP: [&str; 94] = [
    "a", "about", "after", "an", "and", "are", "as", "at", "be", "been", "before", "between", "both", "but", "by",
    "can", "did", "do", "does", "during", "first", "for", "from", "get", "had", "has", "have", "he", "her", "him",
    "his", "how", "i", "if", "in", "into", "is", "it", "its", "many", "me", "much", "my", "name", "not", "of", "on",
    "one", "or", "our", "same", "she", "than", "that", "the", "their", "them", "then", "there", "these", "they",
    "this", "those", "to", "two", "use", "was", "we", "were", "what", "when", "where", "which", "who", "whom", "whose",
    "why", "will", "with", "year", "you", "your", "also", "so", "such", "no", "any", "some", "each", "other", "all",
    "more", "most", "only",
];

/// Words inside of names: Bank of England, Leonardo da Vinci.
const CONNECT: [&str; 5] = ["of", "the", "de", "la", "von"];

/// Mentions kept of one document. A page of prose has some twenty; what has more than this is a list.
pub const MENTIONS_MAX: usize = 20_000;

/// Longest key, in bytes: beyond it stands a heading in capitals, not a name.
const KEY_BYTES_MAX: usize = 120;

/// Whether a word says nothing by itself.
pub fn is_stop_word(folded: &str) -> bool {
    STOP.contains(&folded) || CONNECT.contains(&folded)
}

/// A word without accents, in lower case.
pub fn fold(word: &str) -> String {
    if word.is_ascii() {
        return word.to_ascii_lowercase();
    }
    word.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect()
}

/// A word with its place.
#[derive(Debug, Clone, Copy)]
pub struct Word<'a> {
    /// As written.
    pub text: &'a str,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// Runs of letters, digits and underscores.
pub fn words(text: &str) -> impl Iterator<Item = Word<'_>> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut rest = text.char_indices().peekable();
    std::iter::from_fn(move || {
        let start = loop {
            let (at, c) = *rest.peek()?;
            if is_word(c) {
                break at;
            }
            rest.next();
        };
        let mut end = start;
        while let Some((at, c)) = rest.peek().copied().filter(|(_, c)| is_word(*c)) {
            end = at + c.len_utf8();
            rest.next();
        }
        Some(Word { text: &text[start..end], start, end })
    })
}

/// What a title is known by: itself, itself without what stands in parentheses, and that without an article before it.
pub fn title_keys(title: &str) -> Vec<String> {
    let key = |text: &str| words(text).map(|word| fold(word.text)).collect::<Vec<_>>();
    let mut bare = String::with_capacity(title.len());
    let mut depth = 0_usize;
    for c in title.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => bare.push(c),
            _ => {}
        }
    }
    let (whole, bare) = (key(title), key(&bare));
    let mut keys: Vec<Vec<String>> = [whole, bare].into_iter().filter(|key| !key.is_empty()).collect();
    if let Some(last) = keys.last().filter(|key| key.len() > 1 && ["the", "a", "an"].contains(&key[0].as_str())) {
        keys.push(last[1..].to_vec());
    }
    let mut seen = HashSet::new();
    let keys = keys.into_iter().map(|key| key.join(" "));
    keys.filter(|key| key.len() <= KEY_BYTES_MAX && seen.insert(key.clone())).collect()
}

/// What `title` and `text` name, in the order of their places, the title first. A key comes once per stretch of `text` that
/// `stretches` (ascending ends) marks off, as strong as anywhere in it.
pub fn mentions(title: &str, text: &str, stretches: &[u64]) -> Vec<Mention> {
    let mut found: Vec<Mention> = Vec::new();
    let mut seen: HashSet<String> = HashSet::new();
    scan(title, &mut |key, _, strong| {
        if seen.insert(key.clone()) {
            found.push(Mention { key, at: None, strong });
        }
    });
    let mut places: std::collections::HashMap<(usize, String), usize> = std::collections::HashMap::new();
    scan(text, &mut |key, at, strong| {
        let stretch = stretches.partition_point(|end| *end <= at as u64);
        match places.get(&(stretch, key.clone())) {
            Some(known) => found[*known].strong |= strong,
            None if found.len() < MENTIONS_MAX => {
                places.insert((stretch, key.clone()), found.len());
                found.push(Mention { key, at: Some(at as u64), strong });
            }
            None => {}
        }
    });
    found
}

/// A word of a run.
struct Part {
    folded: String,
    start: usize,
    end: usize,
    connects: bool,
    begins_sentence: bool,
}

/// A run of capitalised words that is a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its words, folded, joined by spaces.
    pub key: String,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// Whether its capitals are no accident of where it stands in the sentence.
    pub strong: bool,
    /// Its last word with its place, if it has more than one and that can stand for it: people are named by it after their
    /// first mention.
    last: Option<(String, usize)>,
}

/// Calls `found` with key, place and strength of every name, and of the last word of longer ones.
fn scan(text: &str, found: &mut dyn FnMut(String, usize, bool)) {
    runs(text, &mut |run| {
        found(run.key, run.start, run.strong);
        if let Some((last, start)) = run.last {
            found(last, start, true);
        }
    });
}

/// Calls `found` with every name, from left to right.
pub fn runs(text: &str, found: &mut dyn FnMut(Run)) {
    let mut run: Vec<Part> = Vec::new();
    let mut last_end = None;
    for word in words(text) {
        let gap = last_end.map_or("\n", |end: usize| &text[end..word.start]);
        let begins_sentence = last_end.is_none() || ends_sentence(gap);
        last_end = Some(word.end);
        if !run.is_empty() && matches!(gap, "'" | "’") && matches!(word.text, "s" | "S") {
            continue;
        }
        let initials = || run.last().is_some_and(|part| part.folded.chars().count() <= 2);
        let joins = matches!(gap, " " | "-" | " - " | ".") || (gap == ". " && initials());
        let first = word.text.chars().next().unwrap_or('_');
        let numeric = first.is_ascii_digit() && (!run.is_empty() || word.text.len() == 4);
        if first.is_uppercase() || numeric {
            if !joins {
                flush(&mut run, found);
            }
            let (start, end) = (word.start, word.end);
            run.push(Part { folded: fold(word.text), start, end, connects: false, begins_sentence });
        } else if !run.is_empty() && joins && CONNECT.contains(&word.text) {
            let (start, end) = (word.start, word.end);
            run.push(Part { folded: word.text.to_owned(), start, end, connects: true, begins_sentence: false });
        } else {
            flush(&mut run, found);
        }
    }
    flush(&mut run, found);
}

fn ends_sentence(gap: &str) -> bool {
    gap != "-"
        && gap.contains(['.', '!', '?', ':', ';', '\n', '"', '“', '”', '(', ')', '[', ']', '-', '–', '—', '*', '•'])
}

fn flush(run: &mut Vec<Part>, found: &mut dyn FnMut(Run)) {
    let parts = std::mem::take(run);
    let end = parts.iter().rposition(|part| !part.connects).map_or(0, |last| last + 1);
    let opens = |part: &Part| part.connects || STOP.contains(&part.folded.as_str());
    let begin = parts[..end].iter().position(|part| !opens(part)).unwrap_or(end);
    let name = &parts[begin..end];
    let Some(first) = name.first() else { return };
    let strong = begin > 0 || !first.begins_sentence || name.len() > 1;
    if name.len() == 1 && first.folded.chars().count() < 2 {
        return;
    }
    let key = name.iter().map(|part| part.folded.as_str()).collect::<Vec<_>>().join(" ");
    if key.len() > KEY_BYTES_MAX {
        return;
    }
    let last = match name {
        [_, .., last] if stands_alone(&last.folded) => Some((last.folded.clone(), last.start)),
        _ => None,
    };
    found(Run { key, start: first.start, end: parts[end - 1].end, strong, last });
}

fn stands_alone(last: &str) -> bool {
    last.chars().count() > 2 && !STOP.contains(&last) && !last.chars().all(char::is_numeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<(String, bool)> {
        mentions("", text, &[]).into_iter().map(|mention| (mention.key, mention.strong)).collect()
    }

    fn strong(names: &[&str]) -> Vec<(String, bool)> {
        names.iter().map(|name| ((*name).to_owned(), true)).collect()
    }

    #[test]
    fn names_are_runs_of_capitals_and_their_last_words() {
        assert_eq!(keys("we met J. R. Tolkien there"), strong(&["j r tolkien", "tolkien"]));
        assert_eq!(keys("and the Bank of England said"), strong(&["bank of england", "england"]));
        assert_eq!(keys("by Émile Zola's hand in 1898"), strong(&["emile zola", "zola", "1898"]));
        assert_eq!(keys("on 8 May 2023, in St. Louis"), strong(&["may 2023", "st louis", "louis"]));
    }

    #[test]
    fn a_capital_that_only_opens_a_sentence_is_weak() {
        assert_eq!(keys("Cats sleep. Dogs bark."), [("cats".to_owned(), false), ("dogs".to_owned(), false)]);
        assert_eq!(keys("The Hague lies west"), strong(&["hague"]), "a stop word was cut off before it");
        assert_eq!(keys("She was. They were. What?"), []);
        let again = mentions("", "Rain fell. It was Rain again.", &[]);
        assert_eq!(again.len(), 1);
        assert!(again[0].strong, "as strong as anywhere");
    }

    #[test]
    fn a_stretch_names_a_key_once() {
        let text = "in Paris and Paris, then Paris";
        let places = |stretches: &[u64]| mentions("", text, stretches).iter().map(|one| one.at).collect::<Vec<_>>();
        assert_eq!(places(&[]), [Some(3)]);
        assert_eq!(places(&[19]), [Some(3), Some(25)]);
        assert_eq!(mentions("Paris", "no name", &[])[0].at, None);
    }

    #[test]
    fn titles_are_known_without_parentheses_and_articles() {
        assert_eq!(title_keys("The Ring (1927 film)"), ["the ring 1927 film", "the ring", "ring"]);
        assert_eq!(title_keys("Hello Love"), ["hello love"]);
        assert!(title_keys("…").is_empty());
    }
}
