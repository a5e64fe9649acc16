//! Chooses and lays out evidence within an exact token budget.
//!
//! Best first, each candidate is taken in full if it still fits, else as an outline, else left out while the search goes
//! on (skip and continue: one oversize chunk does not end the pack). Chosen chunks of one file are put in file order and
//! neighbours are joined. The text is then counted as a whole, since tokens merge across seams, and the weakest item is
//! dropped until it is within the budget: never one token over.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::base::tokens::{TokenCounter, TokenMap};
use crate::base::{ChunkId, ContentHash, DocumentId, EmbedKey};
use crate::model::{CONTEXT_MARK, Hit, Lines, Pages, ScorePart, Span, cite};

/// In what form an item is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// The whole text.
    Full,
    /// Signatures or headings.
    Outline,
}

/// A stretch of one file in the pack.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Its document.
    pub document: DocumentId,
    /// Address.
    pub uri: String,
    /// Path.
    pub path: String,
    /// Version.
    pub content: ContentHash,
    /// Bytes of the document.
    pub span: Span,
    /// Lines of the document.
    pub lines: Lines,
    /// Its pages, if it has some.
    pub pages: Option<Pages>,
    /// Form.
    pub form: Form,
    /// Tokens of the whole text that begin in this item: with those of the mark before all items they add up to
    /// [`Pack::tokens`].
    pub tokens: usize,
    /// Best score of its chunks.
    pub score: f32,
    /// Its chunks in file order.
    pub chunks: Vec<ChunkId>,
    /// Where it stands in [`Pack::text`], in bytes.
    pub text: Span,
}

impl Item {
    /// See [`cite`].
    pub fn citation(&self) -> String {
        cite(&self.uri, &self.content, self.lines, self.pages)
    }
}

/// Why a candidate is in or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// In full.
    Full,
    /// As outline.
    Outline,
    /// Same text as one that is in.
    Duplicate,
    /// Did not fit in any form.
    OverBudget,
    /// Fitted alone, but the whole was over the budget.
    Trimmed,
    /// The reader has it before it already.
    Held,
}

impl Decision {
    /// Its public name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Outline => "outline",
            Self::Duplicate => "duplicate",
            Self::OverBudget => "over_budget",
            Self::Trimmed => "trimmed",
            Self::Held => "held",
        }
    }
}

/// One line of the trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The candidate.
    pub chunk: ChunkId,
    /// What became of it.
    pub decision: Decision,
    /// Its score.
    pub score: f32,
    /// Tokens it was counted with.
    pub tokens: usize,
    /// The addends of its score.
    pub parts: Vec<ScorePart>,
}

impl Step {
    /// What became of `hit`.
    pub fn of(hit: &Hit, decision: Decision, tokens: usize) -> Self {
        Self { chunk: hit.found.chunk.id, decision, score: hit.score, tokens, parts: hit.parts.clone() }
    }
}

/// A finished context.
#[derive(Debug, Clone, PartialEq)]
pub struct Pack {
    /// Ready to be put before a model.
    pub text: String,
    /// Tokens of `text`, at most the budget.
    pub tokens: usize,
    /// Items in the order of the text.
    pub items: Vec<Item>,
    /// One step per candidate, best first.
    pub trace: Vec<Step>,
}

/// Share of the budget kept for full texts before outlines are preferred for the weaker rest.
const FULL_SHARE: f32 = 0.85;
/// A chunk weaker than this share of the best is shown as outline if it has one.
const FULL_SCORE_SHARE: f32 = 0.35;
/// Tokens of an item's heading line beyond what its text needs; only an estimate, the whole is counted at the end.
const HEADING_TOKENS: usize = 24;

/// Packs `hits`, best first, into at most `budget` tokens of `counter`.
pub fn pack(hits: &[Hit], budget: usize, counter: &dyn TokenCounter) -> Pack {
    let (mut chosen, mut trace) = choose(hits, budget, counter);
    loop {
        let (text, mut items) = render(hits, &chosen);
        let map = TokenMap::new(counter, &text);
        let tokens = map.count(0, text.len());
        if tokens <= budget || chosen.is_empty() {
            let count = |Span { start, end }: Span| map.count(start as usize, end as usize);
            items.iter_mut().for_each(|item| item.tokens = count(item.text));
            return Pack { tokens, text, items, trace };
        }
        drop_weakest(hits, &mut chosen, &mut trace, tokens - budget);
    }
}

/// A hit by index with the form it is shown in and its estimated tokens.
#[derive(Debug, Clone, Copy)]
struct Choice {
    hit: usize,
    form: Form,
    tokens: usize,
}

fn choose(hits: &[Hit], budget: usize, counter: &dyn TokenCounter) -> (Vec<Choice>, Vec<Step>) {
    let best = hits.first().map_or(0.0, |hit| hit.score);
    let full_budget = (budget as f32 * FULL_SHARE) as usize;
    let (mut used, mut chosen, mut trace) = (0, Vec::new(), Vec::new());
    let mut texts: HashSet<EmbedKey> = HashSet::new();
    let mut open: HashSet<DocumentId> = HashSet::new();
    for (index, hit) in hits.iter().enumerate() {
        let chunk = &hit.found.chunk;
        let mut step = |decision, tokens| trace.push(Step::of(hit, decision, tokens));
        if !texts.insert(EmbedKey::of(&chunk.text)) {
            step(Decision::Duplicate, 0);
            continue;
        }
        let heading = if open.contains(&chunk.document) { 4 } else { HEADING_TOKENS };
        // A text can't have fewer tokens than a fifteenth of its bytes in any of the encodings at hand; do not count
        // what can't fit.
        let may_fit = |room: usize| chunk.text.len() / 15 <= room;
        let strong = hit.score >= best * FULL_SCORE_SHARE || chunk.outline.is_empty();
        if strong && may_fit(full_budget.saturating_sub(used)) {
            let tokens = counter.count(&chunk.text) + heading;
            let limit = if chosen.is_empty() { budget } else { full_budget };
            if used + tokens <= limit {
                used += tokens;
                open.insert(chunk.document);
                chosen.push(Choice { hit: index, form: Form::Full, tokens });
                step(Decision::Full, tokens);
                continue;
            }
        }
        if !chunk.outline.is_empty() {
            let tokens = counter.count(&chunk.outline) + heading;
            if used + tokens <= budget {
                used += tokens;
                open.insert(chunk.document);
                chosen.push(Choice { hit: index, form: Form::Outline, tokens });
                step(Decision::Outline, tokens);
                continue;
            }
        }
        step(Decision::OverBudget, 0);
    }
    (chosen, trace)
}

/// Drops choices from the weakest up until about `excess` tokens are gone, at least one.
fn drop_weakest(hits: &[Hit], chosen: &mut Vec<Choice>, trace: &mut [Step], excess: usize) {
    let mut gone = 0;
    while gone < excess.max(1) {
        // Hits are best first, so the weakest choice is the one with the largest index.
        let Some(at) = (0..chosen.len()).max_by_key(|&at| chosen[at].hit) else { return };
        let choice = chosen.swap_remove(at);
        gone += choice.tokens.max(1);
        let id = hits[choice.hit].found.chunk.id;
        if let Some(step) = trace.iter_mut().find(|step| step.chunk == id) {
            step.decision = Decision::Trimmed;
        }
    }
}

/// Lays the choices out: files by their best score, chunks in file order, neighbours of the same form joined.
fn render(hits: &[Hit], chosen: &[Choice]) -> (String, Vec<Item>) {
    let mut files: BTreeMap<usize, Vec<Choice>> = BTreeMap::new();
    let mut first: HashMap<DocumentId, usize> = HashMap::new();
    let mut by_rank = chosen.to_vec();
    by_rank.sort_by_key(|choice| choice.hit);
    for choice in by_rank {
        let document = hits[choice.hit].found.document.id;
        let place = *first.entry(document).or_insert(choice.hit);
        files.entry(place).or_default().push(choice);
    }
    let mark = if chosen.is_empty() { "" } else { CONTEXT_MARK };
    let (mut text, mut items) = (mark.to_owned(), Vec::new());
    for mut choices in files.into_values() {
        choices.sort_by_key(|choice| hits[choice.hit].found.chunk.ordinal);
        for run in runs(hits, &choices) {
            items.push(render_run(hits, run, &mut text));
        }
    }
    (text, items)
}

/// Splits a file's choices into runs of neighbouring chunks in the same form.
fn runs<'a>(hits: &[Hit], choices: &'a [Choice]) -> Vec<&'a [Choice]> {
    let joined = |a: &Choice, b: &Choice| {
        a.form == b.form && hits[a.hit].found.chunk.ordinal + 1 == hits[b.hit].found.chunk.ordinal
    };
    choices.chunk_by(joined).collect()
}

/// `text` without the lines that [`pack`] adds to what was found: a copy of a context compares with its sources by this.
pub fn without_headings(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut after_heading = false;
    for line in text.lines() {
        let place = line.strip_prefix("### ").map(|place| place.trim_end_matches(" (outline)"));
        let lines = place.and_then(|place| place.rsplit_once(':')).and_then(|(_, lines)| lines.split_once('-'));
        let is_heading = lines.is_some_and(|(a, b)| [a, b].iter().all(|line| line.parse::<u32>().is_ok()));
        let is_title = after_heading && line.starts_with('[') && line.ends_with(']');
        if !is_heading && !is_title {
            kept.push_str(line);
            kept.push('\n');
        }
        after_heading = is_heading;
    }
    kept
}

fn render_run(hits: &[Hit], run: &[Choice], text: &mut String) -> Item {
    let found = |choice: &Choice| &hits[choice.hit].found;
    let (first, last) = (found(&run[0]), found(&run[run.len() - 1]));
    let document = &first.document;
    let lines = Lines { first: first.chunk.lines.first, last: last.chunk.lines.last };
    let start = text.len() as u64;
    let shown = if document.path.is_empty() { &document.uri } else { &document.path };
    let note = if run[0].form == Form::Outline { " (outline)" } else { "" };
    text.push_str(&format!("### {shown}:{}-{}{note}\n", lines.first, lines.last));
    let title = [document.title.as_deref().unwrap_or(""), first.chunk.breadcrumb.as_str()];
    let title: Vec<&str> = title.into_iter().filter(|part| !part.is_empty()).collect();
    if !title.is_empty() {
        text.push_str(&format!("[{}]\n", title.join(" > ")));
    }
    for (index, choice) in run.iter().enumerate() {
        let chunk = &found(choice).chunk;
        if index > 0 && chunk.lines.first > found(&run[index - 1]).chunk.lines.last + 1 {
            text.push('\n');
        }
        text.push_str(if choice.form == Form::Full { &chunk.text } else { &chunk.outline });
        if !text.ends_with('\n') {
            text.push('\n');
        }
    }
    text.push('\n');
    Item {
        document: document.id,
        uri: document.uri.clone(),
        path: document.path.clone(),
        content: document.content,
        span: Span { start: first.chunk.span.start, end: last.chunk.span.end },
        lines,
        pages: first.chunk.pages.zip(last.chunk.pages).map(|(first, last)| first.through(last)),
        form: run[0].form,
        tokens: 0,
        score: run.iter().map(|choice| hits[choice.hit].score).fold(f32::MIN, f32::max),
        chunks: run.iter().map(|choice| found(choice).chunk.id).collect(),
        text: Span { start, end: text.len() as u64 },
    }
}
