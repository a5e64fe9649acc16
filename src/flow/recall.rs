//! Search: from a question to hits that prove themselves.
//!
//! The channels run side by side, each over its own index; their lists are fused, the union is read back from the
//! catalogue (so nothing forgotten can appear), signals are added, and the best k are returned. A channel that fails or
//! lags is named in the answer; only when no channel is left is it an error.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use globset::{Glob, GlobSet, GlobSetBuilder};

use super::Engines;
use super::access::Grant;
use super::apply::Projector;
use super::freshness;
use super::relate::expand;
use crate::base::error::{Error, Result};
use crate::base::limits::{CANDIDATES_MAX, CANDIDATES_MIN, FILTER_DOCUMENTS_MAX, QUERY_BYTES_MAX, SEARCH_K_MAX};
use crate::base::{ChunkId, DocumentId, Lsn, SourceId, Timestamp};
use crate::engine::catalog::Source;
use crate::engine::lexical::{LexicalQuery, analyzer};
use crate::engine::store::uri::file_uri;
use crate::model::{
    Candidate, Channel, DocumentKind, Filter, Freshness, Hit, Hydrated, Namespace, Proposal, ScorePart,
};
use crate::rank::fusion::{self, Fused, Ranked};
use crate::rank::linking::Gain;
use crate::rank::signals::{self, QueryView, Scored, Weights};
use crate::rank::weights;

/// Which channels answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// All of them, fused.
    #[default]
    Hybrid,
    /// Vectors only.
    Dense,
    /// Words only.
    Lexical,
    /// What the graph makes of the hits of the others, without their scores.
    Graph,
}

/// What the caller restricts the search to, before names are resolved to ids.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FilterRequest {
    /// Globs over paths and URIs.
    pub paths: Vec<String>,
    /// Languages.
    pub languages: Vec<String>,
    /// Kinds by name.
    pub kinds: Vec<String>,
    /// Sources by URI or path.
    pub sources: Vec<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// Modified at or after.
    pub modified_from: Option<Timestamp>,
    /// Modified before.
    pub modified_until: Option<Timestamp>,
}

/// A search.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request {
    /// The question.
    pub query: String,
    /// Hits wanted.
    pub k: u32,
    /// Channels.
    pub mode: Mode,
    /// Restrictions.
    pub filter: FilterRequest,
    /// At most this many hits of one document; 0: no limit.
    pub per_document_max: u32,
    /// Whether sources that changed are read again before answering.
    pub require_fresh: bool,
}

/// How often stale sources are read again for one answer. The new text may bring other stale documents up; a source that is
/// written to all the time is never fresh, and its hits say so.
const REFRESHES_MAX: usize = 3;

/// A part that is missing from an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Which.
    pub part: String,
    /// Why.
    pub reason: String,
}

/// Time per step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// Embedding the query.
    pub embed: Duration,
    /// Vector search after it.
    pub dense: Duration,
    /// Lexical search.
    pub lexical: Duration,
    /// Reading the candidates back.
    pub hydrate: Duration,
    /// Following the graph from them.
    pub graph: Duration,
    /// All.
    pub total: Duration,
}

/// An answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// Best first.
    pub hits: Vec<Hit>,
    /// What could not be searched.
    pub missing: Vec<Missing>,
    /// Position that all searched projections reflect.
    pub lsn: Lsn,
    /// Where the time went.
    pub timings: Timings,
}

/// Answers `request`.
///
/// # Errors
/// Invalid or over a limit, naming the field; not found for an unknown namespace; unavailable if no channel answers.
pub async fn search(engines: &Engines, projector: &Projector, grant: &Grant, request: &Request) -> Result<Answer> {
    let began = Instant::now();
    check(request)?;
    let mut answer = ask(engines, projector, grant, request).await?;
    for _ in 0..REFRESHES_MAX {
        let stale = answer.hits.iter().filter(|hit| hit.freshness == Freshness::Stale);
        let stale: Vec<_> = stale.map(|hit| Arc::clone(&hit.found.document)).collect();
        if !request.require_fresh || stale.is_empty() {
            break;
        }
        freshness::refresh(engines, projector, grant, &stale, request.mode).await?;
        answer = ask(engines, projector, grant, request).await?;
    }
    answer.timings.total = began.elapsed();
    Ok(answer)
}

/// One pass over the indexes as they are.
async fn ask(engines: &Engines, projector: &Projector, grant: &Grant, request: &Request) -> Result<Answer> {
    require_namespace(engines, grant).await?;
    let filter = resolve_filter(engines, grant, &request.filter).await?;
    let limit = (request.k as usize * 3).clamp(CANDIDATES_MIN, CANDIDATES_MAX);
    let mut answer = Answer::default();
    let (lists, vector) = ask_channels(engines, request, &filter, limit, &mut answer).await?;
    note_lag(engines, projector, request.mode, &mut answer).await?;

    let hydrating = Instant::now();
    let mut found = hydrate(engines, grant, &lists).await?;
    answer.timings.hydrate = hydrating.elapsed();
    let view = QueryView::new(&request.query, analyzer::identifiers(&request.query), &analyzer::terms);
    let fused = fusion::fuse(&lists, &weights::shares(&view, &lists, &found));
    let candidates =
        fused.into_iter().filter_map(|fused| found.remove(&fused.chunk).map(|found| (fused, found))).collect();
    let scored = signals::score(&view, candidates, &Weights::default(), &analyzer::terms);
    let following = Instant::now();
    let scored = match request.mode {
        Mode::Hybrid | Mode::Graph => {
            follow_graph(engines, grant, request, &filter, vector, scored, &mut answer).await?
        }
        Mode::Dense | Mode::Lexical => scored,
    };
    answer.timings.graph = following.elapsed();
    let best = cut(scored, request, engines.clock.now());
    answer.hits = prove(engines, best).await?;
    Ok(answer)
}

fn check(request: &Request) -> Result<()> {
    if request.query.trim().is_empty() {
        return Err(Error::invalid("query", "the query is empty: give at least one word"));
    }
    if request.query.len() > QUERY_BYTES_MAX {
        return Err(Error::limit(
            "query",
            format!(
                "the query has {} bytes, the limit is {QUERY_BYTES_MAX}: search for its key sentences",
                request.query.len()
            ),
        ));
    }
    if request.k == 0 || request.k > SEARCH_K_MAX {
        return Err(Error::limit("k", format!("k is {}, it must be 1 to {SEARCH_K_MAX}", request.k)));
    }
    Ok(())
}

/// Fails for a namespace that nobody made: an empty answer would look like knowledge. The default one needs no making: who asks a
/// fresh server has misspelled nothing.
pub(super) async fn require_namespace(engines: &Engines, grant: &Grant) -> Result<()> {
    if grant.namespace().as_str() == Namespace::DEFAULT || engines.catalog.has_namespace(grant.namespace()).await? {
        return Ok(());
    }
    Err(Error::not_found(format!(
        "namespace {:?} does not exist: ingest something into it, or see `hivemem namespace ls`",
        grant.namespace().as_str()
    )))
}

/// Turns names into ids; a path glob into the documents that it selects.
pub(super) async fn resolve_filter(engines: &Engines, grant: &Grant, request: &FilterRequest) -> Result<Filter> {
    let namespace = grant.namespace();
    let mut filter = Filter::all(namespace.clone());
    for kind in &request.kinds {
        let known = || DocumentKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
        let kind = DocumentKind::parse(kind)
            .ok_or_else(|| Error::invalid("filter.kinds", format!("kind {kind:?} is not one of {}", known())))?;
        filter.kinds.push(kind);
    }
    if !request.sources.is_empty() {
        let known = engines.catalog.sources(namespace).await?;
        for wanted in &request.sources {
            filter.sources.push(known_source(engines, &known, wanted).await?);
        }
    }
    filter.languages = request.languages.iter().map(|language| language.to_lowercase()).collect();
    filter.tags.clone_from(&request.tags);
    filter.modified_from = request.modified_from;
    filter.modified_until = request.modified_until;
    if !request.paths.is_empty() {
        let globs = globs(&request.paths)?;
        let keep = move |path: &str, uri: &str| globs.is_match(path) || globs.is_match(uri);
        let documents = engines.catalog.documents_where(namespace, &keep, FILTER_DOCUMENTS_MAX + 1).await?;
        if documents.len() > FILTER_DOCUMENTS_MAX {
            return Err(Error::limit(
                "filter.paths",
                format!("the globs select more than {FILTER_DOCUMENTS_MAX} documents: narrow them or leave them out"),
            ));
        }
        filter.documents = Some(documents);
    }
    Ok(filter)
}

/// The source that an address or path means: as it is written, as its store spells it, or, where that is gone, as it was spelt.
///
/// # Errors
/// Not found if it is none of `known`.
pub(super) async fn known_source(engines: &Engines, known: &[Source], wanted: &str) -> Result<SourceId> {
    let id = |uri: &str| known.iter().find(|source| source.uri == uri).map(|source| source.id);
    if let Some(id) = id(wanted) {
        return Ok(id);
    }
    let (store, address) = (Arc::clone(&engines.store), wanted.to_owned());
    let resolved = engines.far.run(move || store.resolve(&address)).await.ok();
    // A store can't resolve what is gone; its address is all there is.
    let plain = wanted.trim_end_matches('/');
    let written = if plain.contains("://") { plain.to_owned() } else { file_uri(Path::new(plain)) };
    resolved.and_then(|uri| id(&uri)).or_else(|| id(&written)).ok_or_else(|| {
        Error::not_found(format!("nothing was ingested from source {wanted:?}: `hivemem stats` lists the sources"))
    })
}

fn globs(patterns: &[String]) -> Result<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = Glob::new(pattern).map_err(|cause| {
            Error::invalid("filter.paths", format!("{pattern:?} is not a valid glob: {}", cause.kind()))
        })?;
        set.add(glob);
    }
    set.build().map_err(|cause| Error::invalid("filter.paths", "these globs are too large together").caused_by(cause))
}

/// Asks the channels of the mode at the same time.
async fn ask_channels(
    engines: &Engines,
    request: &Request,
    filter: &Filter,
    limit: usize,
    answer: &mut Answer,
) -> Result<(Vec<Ranked>, Option<Vec<f32>>)> {
    if filter.documents.as_ref().is_some_and(Vec::is_empty) {
        return Ok((Vec::new(), None));
    }
    let space = engines.space.get();
    // A task of its own: both stay on their threads from beginning to end.
    let begin_words = || {
        (request.mode != Mode::Dense).then(|| {
            let (index, filter) = (engines.lexical(), filter.clone());
            let query = LexicalQuery { text: request.query.clone() };
            tokio::spawn(async move {
                let began = Instant::now();
                let words = index.search(&query, &filter, limit).await;
                (words, began.elapsed())
            })
        })
    };
    // Beside the model if that leaves a core free, else beside the search by vector.
    let early = request.mode == Mode::Lexical || !space.embedder.fills_cores();
    let mut words = if early { begin_words() } else { None };
    let mut dense = None;
    if request.mode != Mode::Lexical {
        let began = Instant::now();
        let embedded = space.embedder.embed_query(&request.query).await;
        let embed = began.elapsed();
        words = if early { words } else { begin_words() };
        let (found, vector) = match embedded {
            Ok(vector) => (space.vectors.search(vector.clone(), filter, limit).await, Some(vector)),
            Err(error) => (Err(error), None),
        };
        dense = Some((found, vector, embed, began.elapsed() - embed));
    }
    let lexical = match words {
        Some(asked) => {
            let broken = |cause| Error::internal("the search by words ended early").caused_by(cause);
            Some(asked.await.map_err(broken)?)
        }
        None => None,
    };
    let mut lists = Vec::new();
    let mut failed = None;
    let mut take = |channel: Channel, found: Result<Vec<Candidate>>, answer: &mut Answer| match found {
        Ok(candidates) => lists.push(Ranked { channel, candidates }),
        Err(error) => {
            tracing::warn!(channel = channel.as_str(), error = %error.chain(), "a search channel failed");
            answer.missing.push(Missing { part: channel.as_str().to_owned(), reason: error.message().to_owned() });
            failed = Some(error);
        }
    };
    let mut asked = None;
    if let Some((found, vector, embed, search)) = dense {
        (answer.timings.embed, answer.timings.dense) = (embed, search);
        asked = vector;
        take(Channel::Dense, found, answer);
    }
    if let Some((found, took)) = lexical {
        answer.timings.lexical = took;
        take(Channel::Lexical, found, answer);
    }
    match failed {
        Some(error) if lists.is_empty() => Err(error),
        _ => Ok((lists, asked)),
    }
}

/// Adds what the graph says of the hits and of passages that only it finds. A graph that can't be had is missing from the
/// answer like any channel.
async fn follow_graph(
    engines: &Engines,
    grant: &Grant,
    request: &Request,
    filter: &Filter,
    vector: Option<Vec<f32>>,
    mut scored: Vec<Scored>,
    answer: &mut Answer,
) -> Result<Vec<Scored>> {
    let hits: Vec<(&Hydrated, f32)> = scored.iter().map(|scored| (&scored.found, scored.score)).collect();
    let expanded = async {
        let loaded = engines.graphs.get(engines, grant.namespace()).await?;
        let (namespace, alone) = (grant.namespace(), request.mode == Mode::Graph);
        let gains =
            expand::expand(engines, namespace, &loaded, &request.query, vector.as_deref(), &hits, alone).await?;
        Ok::<_, Error>((gains, loaded.applied()))
    };
    let mut gains = match expanded.await {
        Ok((gains, applied)) => {
            note_graph_lag(engines, applied, answer).await?;
            gains
        }
        Err(error) => {
            tracing::warn!(error = %error.chain(), "the graph could not be asked");
            let part = Channel::Graph.as_str().to_owned();
            answer.missing.push(Missing { part, reason: error.message().to_owned() });
            return Ok(scored);
        }
    };
    for one in &mut scored {
        if request.mode == Mode::Graph {
            one.parts.clear();
        }
        let gain = gains.remove(&one.fused.chunk).unwrap_or_default();
        add_gain(&mut one.parts, &gain);
        one.score = one.parts.iter().map(|part| part.value).sum();
    }
    scored.retain(|one| !one.parts.is_empty());
    let mut further: Vec<(ChunkId, Gain)> = gains.into_iter().collect();
    further.sort_by(|a, b| b.1.sum().total_cmp(&a.1.sum()).then_with(|| a.0.cmp(&b.0)));
    further.truncate((request.k as usize * 3).clamp(CANDIDATES_MIN, CANDIDATES_MAX));
    let ids: Vec<ChunkId> = further.iter().map(|(chunk, _)| *chunk).collect();
    let allowed: Option<HashSet<DocumentId>> = filter.documents.as_ref().map(|ids| ids.iter().copied().collect());
    let filter = Filter { documents: None, ..filter.clone() };
    let mut found = by_chunk(engines.catalog.hydrate(grant.namespace(), &ids).await?);
    for (rank, (chunk, gain)) in (1..).zip(further) {
        let Some(found) = found.remove(&chunk) else { continue };
        let within = allowed.as_ref().is_none_or(|allowed| allowed.contains(&found.document.id));
        if within && filter.admits(&found.document) {
            let said = Proposal { channel: Channel::Graph, score: gain.sum(), rank };
            let mut parts = Vec::new();
            add_gain(&mut parts, &gain);
            let fused = Fused { chunk, score: 0.0, channels: vec![(said, 0.0)] };
            scored.push(Scored { fused, found, score: gain.sum(), parts });
        }
    }
    scored.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.fused.chunk.cmp(&b.fused.chunk)));
    Ok(scored)
}

fn add_gain(parts: &mut Vec<ScorePart>, gain: &Gain) {
    for (name, value) in [("linked", gain.linked), ("named", gain.named), ("beside", gain.beside)] {
        if value > 0.0 {
            parts.push(ScorePart { name, value });
        }
    }
}

async fn note_graph_lag(engines: &Engines, applied: Lsn, answer: &mut Answer) -> Result<()> {
    let head = engines.catalog.head().await?;
    if applied < head {
        answer.lsn = answer.lsn.min(applied);
        let reason = format!("{} changes are not in this index yet", head.0 - applied.0);
        answer.missing.push(Missing { part: Channel::Graph.as_str().to_owned(), reason });
    }
    Ok(())
}

/// Says what the projections do not reflect yet, so that an answer during an ingest does not pass for a full one.
async fn note_lag(engines: &Engines, projector: &Projector, mode: Mode, answer: &mut Answer) -> Result<()> {
    let head = engines.catalog.head().await?;
    let state = projector.state();
    answer.lsn = head;
    let mut lag = |channel: Channel, applied: Lsn, problem: Option<&String>| {
        answer.lsn = answer.lsn.min(applied);
        if applied < head {
            let behind = format!("{} changes are not in this index yet", head.0 - applied.0);
            let reason = problem.map_or(behind.clone(), |problem| format!("{behind}: {problem}"));
            answer.missing.push(Missing { part: channel.as_str().to_owned(), reason });
        }
    };
    if mode != Mode::Lexical {
        lag(Channel::Dense, state.vector, state.vector_problem.as_ref());
    }
    if mode != Mode::Dense {
        lag(Channel::Lexical, state.lexical, state.lexical_problem.as_ref());
    }
    Ok(())
}

/// Reads every candidate back; what was forgotten meanwhile is not there any more.
async fn hydrate(engines: &Engines, grant: &Grant, lists: &[Ranked]) -> Result<HashMap<ChunkId, Hydrated>> {
    let ids: BTreeSet<ChunkId> =
        lists.iter().flat_map(|list| &list.candidates).map(|candidate| candidate.chunk).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<ChunkId> = ids.into_iter().collect();
    Ok(by_chunk(engines.catalog.hydrate(grant.namespace(), &ids).await?))
}

fn by_chunk(found: Vec<Hydrated>) -> HashMap<ChunkId, Hydrated> {
    found.into_iter().map(|hydrated| (hydrated.chunk.id, hydrated)).collect()
}

/// The best of what is not expired: so many of one document, and of memories that repeat each other only one.
fn cut(scored: Vec<Scored>, request: &Request, now: Timestamp) -> Vec<Scored> {
    let mut seen: HashMap<DocumentId, u32> = HashMap::new();
    let mut told: HashMap<DocumentId, DocumentId> = HashMap::new();
    let keep = |candidate: &Scored| {
        let document = &candidate.found.document;
        if document.expires_at.is_some_and(|at| at <= now) {
            return false;
        }
        if document.kind == DocumentKind::Memory
            && *told.entry(document.repeats.unwrap_or(document.id)).or_insert(document.id) != document.id
        {
            return false;
        }
        let count = seen.entry(document.id).or_default();
        *count += 1;
        request.per_document_max == 0 || *count <= request.per_document_max
    };
    scored.into_iter().filter(keep).take(request.k as usize).collect()
}

/// The hits, each with whether its source changed since.
async fn prove(engines: &Engines, scored: Vec<Scored>) -> Result<Vec<Hit>> {
    let documents = scored.iter().map(|candidate| Arc::clone(&candidate.found.document)).collect();
    let verdicts = freshness::look(engines, documents).await?;
    let hits = scored.into_iter().map(|candidate| {
        let mut parts = candidate.parts;
        parts.sort_by(|a, b| b.value.total_cmp(&a.value));
        let channels = candidate.fused.channels.iter().map(|&(proposal, _)| proposal).collect();
        let freshness = verdicts.get(&candidate.found.document.id).copied().unwrap_or(Freshness::Unknown);
        Hit { found: candidate.found, score: candidate.score, parts, channels, freshness }
    });
    Ok(hits.collect())
}
