//! What else speaks for or against a chunk, beyond what the channels found: names it defines, where its file lies, what
//! part the file plays, and how much else of the file was found.
//!
//! Every signal is an addend relative to the fused score of 0…1, so that `explain` can show a sum. A chunk without
//! path or symbols (a memory, a passage) gets none of them and keeps its fused score.

use std::collections::{BTreeSet, HashMap};

use super::fusion::Fused;
use crate::base::DocumentId;
use crate::model::{Document, DocumentKind, Hydrated, Role, ScorePart};

/// Words of a text as the lexical analyser sees them: lower case, stemmed, identifiers split.
pub type Analyse<'a> = &'a dyn Fn(&str) -> Vec<String>;

/// What ranking knows of a query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryView {
    /// Distinct analysed words.
    pub terms: BTreeSet<String>,
    /// Names that it spells out, lower case: `read_to_end`, `ClientSession`.
    pub identifiers: Vec<String>,
    /// Whether it asks for tests, examples and the like.
    pub wants: BTreeSet<Role>,
    /// Versions that it names, such as 3 in `v3`.
    pub versions: BTreeSet<u32>,
}

impl QueryView {
    /// Looks at `text`.
    pub fn new(text: &str, identifiers: Vec<String>, analyse: Analyse<'_>) -> Self {
        let terms: BTreeSet<String> = analyse(text).into_iter().filter(|term| !is_stop_word(term)).collect();
        let asks = |words: &[&str]| words.iter().any(|word| terms.contains(*word));
        let mut wants = BTreeSet::new();
        for (role, words) in ROLE_WORDS {
            if asks(words) {
                wants.insert(*role);
            }
        }
        let versions = text.split(|c: char| !c.is_alphanumeric()).filter_map(version).collect();
        let identifiers = identifiers.iter().map(|name| name.to_lowercase()).collect();
        Self { terms, identifiers, wants, versions }
    }
}

/// The number of a version folder: `v3` is 3.
fn version(part: &str) -> Option<u32> {
    part.strip_prefix(['v', 'V']).filter(|digits| digits.len() <= 3).and_then(|digits| digits.parse().ok())
}

/// The newest version folder below each parent: trees that keep `v3/` beside `v4/` mean the newer one.
#[derive(Debug, Default)]
struct NewestVersions {
    newest: HashMap<String, u32>,
}

impl NewestVersions {
    fn among<'a>(paths: impl Iterator<Item = &'a str>) -> Self {
        let mut newest: HashMap<String, u32> = HashMap::new();
        for (parent, version) in paths.flat_map(version_folders) {
            let known = newest.entry(parent.to_owned()).or_default();
            *known = version.max(*known);
        }
        Self { newest }
    }

    /// Whether `path` lies in another version than is meant: the named ones, or else the newest found beside it.
    fn supersede(&self, path: &str, named: &BTreeSet<u32>) -> bool {
        let newest = |parent: &str| self.newest.get(parent).copied().unwrap_or_default();
        version_folders(path).any(
            |(parent, version)| {
                if named.is_empty() { version < newest(parent) } else { !named.contains(&version) }
            },
        )
    }
}

/// Each version folder in `path` with what stands before it.
fn version_folders(path: &str) -> impl Iterator<Item = (&str, u32)> {
    path.match_indices('/').filter_map(move |(end, _)| {
        let start = path[..end].rfind('/').map_or(0, |slash| slash + 1);
        version(&path[start..end]).map(|version| (&path[..start], version))
    })
}

/// Stems by which a query asks for a role.
const ROLE_WORDS: &[(Role, &[&str])] = &[
    (Role::Test, &["test", "fixtur", "mock", "bench", "benchmark"]),
    (Role::Example, &["exampl", "demo", "sampl", "tutori"]),
    (Role::Legacy, &["legaci", "deprec", "compat", "old"]),
    (Role::Generated, &["generat", "declar"]),
];

/// Words that say nothing about which file is meant.
fn is_stop_word(term: &str) -> bool {
    const STOP: &[&str] = &[
        "a", "an", "and", "are", "as", "at", "be", "by", "can", "do", "doe", "for", "from", "get", "has", "have",
        "how", "i", "if", "in", "into", "is", "it", "of", "on", "or", "that", "the", "their", "this", "to", "use",
        "what", "when", "where", "which", "who", "why", "will", "with", "work",
    ];
    term.len() < 2 || STOP.contains(&term)
}

/// A candidate on its way to a hit.
#[derive(Debug, Clone)]
pub struct Scored {
    /// What the channels said.
    pub fused: Fused,
    /// The chunk.
    pub found: Hydrated,
    /// Sum of the addends.
    pub score: f32,
    /// The addends.
    pub parts: Vec<ScorePart>,
}

/// Strength of the signals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// All query words found in the file's name.
    pub file_name: f32,
    /// All query words found in its folders.
    pub folders: f32,
    /// The query spells out a name that the chunk defines.
    pub definition: f32,
    /// All query words found in names that the chunk defines.
    pub symbol_words: f32,
    /// Share taken from files that play a side part.
    pub side_role: f32,
    /// Share taken from a version folder (`v3/`) where a later one (`v4/`) was found beside it.
    pub superseded: f32,
    /// Shares of the next best chunks of the same source file.
    pub siblings: [f32; 3],
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            file_name: 0.7,
            folders: 0.15,
            definition: 0.4,
            symbol_words: 0.3,
            side_role: 0.5,
            superseded: 0.5,
            siblings: [0.5, 0.3, 0.2],
        }
    }
}

/// Scores the candidates by fused score and signals, best first; ties by chunk id.
pub fn score(
    query: &QueryView,
    candidates: Vec<(Fused, Hydrated)>,
    weights: &Weights,
    analyse: Analyse<'_>,
) -> Vec<Scored> {
    let newest = NewestVersions::among(candidates.iter().map(|(_, found)| found.document.path.as_str()));
    let mut paths: HashMap<DocumentId, (f32, f32)> = HashMap::new();
    let mut scored: Vec<Scored> = candidates
        .into_iter()
        .map(|(fused, found)| {
            let mut parts: Vec<ScorePart> =
                fused.channels.iter().map(|&(said, value)| ScorePart { name: said.channel.as_str(), value }).collect();
            let document = &found.document;
            let (name, folders) =
                *paths.entry(document.id).or_insert_with(|| path_match(query, &document.path, analyse));
            add(&mut parts, "file name", weights.file_name * name);
            add(&mut parts, "folders", weights.folders * folders);
            if in_a_tree(document) {
                add(&mut parts, "definition", weights.definition * definition(query, &found));
                add(&mut parts, "symbol words", weights.symbol_words * symbol_match(query, &found, analyse));
            }
            let so_far: f32 = parts.iter().map(|part| part.value).sum();
            if document.role != Role::Main && !query.wants.contains(&document.role) {
                add(&mut parts, document.role.as_str(), -weights.side_role * so_far);
            } else if !query.wants.contains(&Role::Legacy) && newest.supersede(&document.path, &query.versions) {
                add(&mut parts, "superseded", -weights.superseded * so_far);
            }
            let score = parts.iter().map(|part| part.value).sum();
            Scored { fused, found, score, parts }
        })
        .collect();
    sort(&mut scored);
    add_siblings(&mut scored, weights);
    sort(&mut scored);
    scored
}

/// Whether this is a source file with a path. Names and files are how people find their way in a tree of code; a bare
/// snippet has neither, and its first name says less than the rest of it.
fn in_a_tree(document: &Document) -> bool {
    document.kind == DocumentKind::Code && !document.path.is_empty()
}

fn sort(scored: &mut [Scored]) {
    scored.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.fused.chunk.cmp(&b.fused.chunk)));
}

fn add(parts: &mut Vec<ScorePart>, name: &'static str, value: f32) {
    if value != 0.0 {
        parts.push(ScorePart { name, value });
    }
}

/// A source file of which several chunks were found is more likely the one that is meant: its best chunk gets shares of
/// the next ones. Prose is left alone, where the passage is the answer and not the file. Expects `scored` best first.
fn add_siblings(scored: &mut [Scored], weights: &Weights) {
    let mut seen: HashMap<DocumentId, Vec<usize>> = HashMap::new();
    for (index, candidate) in scored.iter().enumerate().filter(|(_, scored)| in_a_tree(&scored.found.document)) {
        seen.entry(candidate.found.document.id).or_default().push(index);
    }
    for indexes in seen.into_values() {
        let shares =
            indexes.iter().skip(1).zip(weights.siblings).map(|(&index, share)| scored[index].score.max(0.0) * share);
        let bonus: f32 = shares.sum();
        let best = &mut scored[indexes[0]];
        add(&mut best.parts, "rest of file", bonus);
        best.score += bonus;
    }
}

/// Shares of the query's words that are in the file's name and in its folders.
fn path_match(query: &QueryView, path: &str, analyse: Analyse<'_>) -> (f32, f32) {
    if query.terms.is_empty() || path.is_empty() {
        return (0.0, 0.0);
    }
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = name.split('.').find(|part| !part.is_empty()).unwrap_or(name);
    (coverage(query, &analyse(stem)), coverage(query, &analyse(folders)))
}

/// How well `words` and the query's words cover each other: the geometric mean of both shares, so that a long name that
/// happens to hold one of the words counts less than a name that is the word.
fn coverage(query: &QueryView, words: &[String]) -> f32 {
    let words: BTreeSet<&str> = words.iter().map(String::as_str).filter(|word| !is_stop_word(word)).collect();
    if words.is_empty() || query.terms.is_empty() {
        return 0.0;
    }
    let common = words.iter().filter(|word| query.terms.contains(**word)).count() as f32;
    (common / words.len() as f32 * common / query.terms.len() as f32).sqrt()
}

/// 1 if the query spells out a name that the chunk defines.
fn definition(query: &QueryView, found: &Hydrated) -> f32 {
    let defines = |name: &String| {
        let last = name.rsplit(['.', ':']).next().unwrap_or(name);
        found.chunk.symbols.iter().any(|symbol| symbol.eq_ignore_ascii_case(name) || symbol.eq_ignore_ascii_case(last))
    };
    if query.identifiers.iter().any(defines) { 1.0 } else { 0.0 }
}

/// Best coverage among the names that the chunk defines.
fn symbol_match(query: &QueryView, found: &Hydrated, analyse: Analyse<'_>) -> f32 {
    found.chunk.symbols.iter().map(|symbol| coverage(query, &analyse(symbol))).fold(0.0, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_folder_supersedes_its_siblings_only() {
        let paths = ["src/v3/types.ts", "src/v4/core/types.ts", "lib/v1/a.rs", "vendor/v2x/a.rs"];
        let newest = NewestVersions::among(paths.into_iter());
        let superseded = |named: &[u32]| -> Vec<bool> {
            let named = named.iter().copied().collect();
            paths.iter().map(|path| newest.supersede(path, &named)).collect()
        };
        assert_eq!(superseded(&[]), [true, false, false, false]);
        assert_eq!(superseded(&[3]), [false, true, true, false], "a version that is named is the one that is meant");
    }

    #[test]
    fn names_that_are_the_words_cover_better_than_names_that_hold_them() {
        let words = |text: &str| text.split('_').map(str::to_owned).collect::<Vec<_>>();
        let view = QueryView { terms: ["connection".to_owned(), "pool".to_owned()].into(), ..QueryView::default() };
        let exact = coverage(&view, &words("connection_pool"));
        let longer = coverage(&view, &words("connection_pool_test_helper_util"));
        let part = coverage(&view, &words("pool"));
        assert!((exact - 1.0).abs() < 1e-6 && exact > longer && exact > part && part > 0.0);
        assert_eq!(coverage(&view, &words("retry")), 0.0);
    }
}
