//! Which texts a route has, and how they are cut into terms. Pure.

use std::collections::{BTreeSet, HashSet};
use std::sync::LazyLock;

use serde_json::Value;

use crate::engine::lexical::analyzer;
use crate::model::NodeSpec;
use crate::rank::routing::lexicon::{hash, hash_pair};

/// Function words, and the words that goals are wrapped in: what is asked for is in the others.
const STOP_WORDS: &str = "a about above after again against all also am an and any are as at be because been before being \
    below between both but by can cannot could did do does doing don down during each few finally find first firstly for \
    from further get give had has have having he hello help her here hers hey hi him his how i if in into is it its itself \
    just know last lastly let like look looking me more most my myself need next no nor not now of off on once only or \
    other our ours out over own please same second secondly she should show so some such tell than thank thanks that the \
    their theirs them then there these they third this those through to too try trying under until up us very want was we \
    were what when where which while who whom why will with would you your yours yourself";

static STOPS: LazyLock<HashSet<u64>> =
    LazyLock::new(|| analyzer::terms(STOP_WORDS).iter().map(|term| hash(term)).collect());

/// Names of the parts that documentation of functions has: what stands before them says what the thing is for.
const SECTIONS: [&str; 10] = [
    "Parameters:",
    "Args:",
    "Arguments:",
    "Params:",
    "Returns:",
    "Raises:",
    "Input:",
    "Inputs:",
    "Output:",
    "Examples:",
];

/// Longest label that a description may open with, as in `banking: account blocked`.
const LABEL_BYTES_MAX: usize = 60;

/// Texts of a route that are embedded, beside its examples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts {
    /// Everything: description and what the schema says of arguments.
    pub full: String,
    /// What it is for, alone: no label in front, no sections about arguments.
    pub body: String,
    /// Its name in words.
    pub name: String,
}

impl Texts {
    /// Of a node. None of them is empty.
    pub fn of(spec: &NodeSpec) -> Self {
        let name = spelled(&spec.name);
        let name = if name.is_empty() { spec.name.clone() } else { name };
        let arguments = arguments(&spec.arguments);
        let described = spec.description.trim();
        let full = match (described.is_empty(), arguments.is_empty()) {
            (true, _) => format!("{name} {arguments}").trim().to_owned(),
            (false, true) => described.to_owned(),
            (false, false) => format!("{described} Parameters: {arguments}"),
        };
        let body = Some(unlabelled(head(described))).filter(|body| !body.is_empty()).unwrap_or(&name).to_owned();
        Self { full, body, name }
    }
}

/// A name in words: `getUserById`, `get_user_by_id` and `get-user-by-id` give "get user by id".
fn spelled(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 8);
    let characters: Vec<char> = name.chars().collect();
    for (at, &c) in characters.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| characters[before]);
        let after = characters.get(at + 1);
        let hump = c.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase() || (before.is_uppercase() && after.is_some_and(|after| after.is_lowercase()))
            });
        let digits = before.is_some_and(|before| before.is_alphanumeric() && before.is_numeric() != c.is_numeric());
        if !c.is_alphanumeric() {
            words.push(' ');
            continue;
        }
        if hump || digits {
            words.push(' ');
        }
        words.extend(c.to_lowercase());
    }
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What stands before the first section about arguments.
fn head(description: &str) -> &str {
    let opens = |at: usize| at == 0 || description[..at].ends_with(char::is_whitespace);
    let starts = SECTIONS.iter().flat_map(|section| description.match_indices(section).map(|(at, _)| at));
    let cut = starts.filter(|at| opens(*at)).min().unwrap_or(description.len());
    description[..cut].trim()
}

/// Without the label that a description may open with.
fn unlabelled(description: &str) -> &str {
    match description.split_once(": ") {
        Some((label, rest))
            if label.len() <= LABEL_BYTES_MAX && !label.contains(['.', ':']) && !rest.trim().is_empty() =>
        {
            rest.trim()
        }
        _ => description,
    }
}

/// What a JSON Schema says of its arguments, as documentation would: `name: description; …`.
fn arguments(schema: &str) -> String {
    let Ok(schema) = serde_json::from_str::<Value>(schema) else { return String::new() };
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return String::new() };
    let one = |(name, about): (&String, &Value)| match about.get("description").and_then(Value::as_str) {
        Some(description) => format!("{name}: {description}"),
        None => name.clone(),
    };
    properties.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// Terms that say what a text is about, stop words left out.
pub fn words(text: &str) -> Vec<u64> {
    analyzer::terms(text).iter().map(|term| hash(term)).filter(|term| !STOPS.contains(term)).collect()
}

/// The words that say what a text is about, as they are spelled but in lower case.
pub fn plain_words(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 2 && !words(word).is_empty());
    words.map(str::to_lowercase).collect()
}

/// Terms and pairs of them, with all the small words: how a text speaks.
pub fn speech(text: &str) -> Vec<u64> {
    let terms = analyzer::terms(text);
    let pairs = terms.windows(2).map(|pair| hash_pair(hash(&pair[0]), &pair[1]));
    terms.iter().map(|term| hash(term)).chain(pairs).collect()
}

/// The words of `text` that are in `held`, as they are spelled, without repeats.
pub fn shared(text: &str, held: impl Fn(u64) -> bool) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let matched = words(word).into_iter().any(&held);
        if matched && !found.iter().any(|known| known.eq_ignore_ascii_case(word)) {
            found.push(word.to_owned());
        }
    }
    found
}

/// How many terms of a text say something: no stop words, no numbers.
pub fn carrying(text: &str) -> usize {
    let says = |term: &&String| !STOPS.contains(&hash(term)) && !term.chars().all(|c| c.is_ascii_digit());
    analyzer::terms(text).iter().filter(says).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_words() {
        for (name, expected) in [
            ("getUserById", "get user by id"),
            ("get_user-by.id", "get user by id"),
            ("HTTPServer2", "http server 2"),
            ("ABCmouse", "ab cmouse"),
            ("Überweisung", "überweisung"),
        ] {
            assert_eq!(spelled(name), expected, "{name}");
        }
    }

    #[test]
    fn a_route_is_read_whole_without_its_frame_and_by_name() {
        let spec = NodeSpec {
            name: "convert_currency".into(),
            description: "Finance: Converts money. Returns: a number".into(),
            arguments: r#"{"type":"object","properties":{"amount":{"description":"How much"},"to":{}}}"#.into(),
            ..NodeSpec::default()
        };
        let texts = Texts::of(&spec);
        assert_eq!(texts.full, "Finance: Converts money. Returns: a number Parameters: amount: How much; to");
        assert_eq!((texts.body.as_str(), texts.name.as_str()), ("Converts money.", "convert currency"));
        let bare = Texts::of(&NodeSpec { name: "x".into(), ..NodeSpec::default() });
        assert_eq!((bare.full.as_str(), bare.body.as_str(), bare.name.as_str()), ("x", "x", "x"));
    }

    #[test]
    fn stop_words_are_left_out_of_what_is_meant_and_kept_in_how_it_is_said() {
        assert_eq!(words("how do I book it"), words("book"));
        assert_eq!(speech("how do").len(), 3);
        let held = words("booking flights");
        assert_eq!(shared("Book me a flight, book it", |term| held.contains(&term)), ["Book", "flight"]);
    }
}
