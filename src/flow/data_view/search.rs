//! Finding objects by what is said of them: their words, and the meaning of their cards.
//!
//! Words are searched in the inventory, meaning among the cards by the ordinary search; both lists are joined by rank.
//! Documents that were ingested and never registered are found by title, path and address. What only stands in a document is
//! found by the ordinary search, not here.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::{self, Plan};
use crate::base::error::{Error, Result};
use crate::base::limits::{DATA_K_MAX, QUERY_BYTES_MAX};
use crate::flow::access::Grant;
use crate::flow::apply::Projector;
use crate::flow::recall::{self, FilterRequest, Mode};
use crate::flow::{Engines, recall::require_namespace};
use crate::model::data::{CARD, uri_of_card};
use crate::model::{DataEntry, DataFilter, DataKind, DataObject, StoreKind};

/// Candidates of each list for each hit that is wanted: filters take some.
const CANDIDATES_PER_HIT: usize = 5;

/// Candidates where a filter is set.
const FILTERED_CANDIDATES: usize = 500;

/// The constant of reciprocal rank fusion; 60 is what everybody takes since it was published, and lists of ten or so leave
/// nothing to tune.
const RANK_OFFSET: f32 = 60.0;

/// Words of a query that are searched for; the rest of a pasted page adds only noise.
const WORDS_MAX: usize = 64;

/// An object that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// What it is.
    pub entry: DataEntry,
    /// 0 to 1, comparable within one answer.
    pub score: f32,
    /// Which words were found where.
    pub reasons: Vec<String>,
    /// How to ingest it, if it was not.
    pub plan: Option<Plan>,
}

/// The best `k` objects for a query.
///
/// # Errors
/// Invalid for an empty query, over a limit for a long one or k; NotFound for an unknown namespace; those of the engines.
pub async fn search(
    engines: &Engines,
    projector: &Projector,
    grant: &Grant,
    query: &str,
    filter: &DataFilter,
    k: u32,
) -> Result<Vec<Hit>> {
    if query.trim().is_empty() {
        return Err(Error::invalid("query", "the query is empty: give at least one word"));
    }
    if query.len() > QUERY_BYTES_MAX {
        let message = format!("the query has {} bytes, the limit is {QUERY_BYTES_MAX}", query.len());
        return Err(Error::limit("query", message));
    }
    if k == 0 || k > DATA_K_MAX {
        return Err(Error::limit("k", format!("{k} hits are asked for, give 1 to {DATA_K_MAX}")));
    }
    require_namespace(engines, grant).await?;
    let words = words(query);
    // What passes a filter may stand anywhere in the lists.
    let limit = if *filter == DataFilter::default() { k as usize * CANDIDATES_PER_HIT } else { FILTERED_CANDIDATES };
    let found = engines.inventory.search_objects(grant.namespace(), &words, limit).await?;
    let documents = engines.inventory.search_documents(grant.namespace(), &words, limit).await?;
    let mut objects: BTreeMap<String, Candidate> = BTreeMap::new();
    let mut scores: BTreeMap<String, f32> = BTreeMap::new();
    let share = |rank: usize| 0.5 * (RANK_OFFSET + 1.0) / (RANK_OFFSET + 1.0 + rank as f32);
    for (found, registered) in [(found, true), (documents, false)] {
        for (rank, (object, _)) in found.into_iter().enumerate() {
            scores.insert(object.uri.clone(), share(rank));
            objects.insert(object.uri.clone(), Candidate { object, registered });
        }
    }
    for (rank, uri) in by_meaning(engines, projector, grant, query, limit).await?.into_iter().enumerate() {
        if !objects.contains_key(&uri) {
            let Some(held) = engines.inventory.object(grant.namespace(), &uri).await? else { continue };
            objects.insert(uri.clone(), Candidate { object: held.object, registered: true });
        }
        *scores.entry(uri).or_default() += share(rank);
    }
    let score = |uri: &String| scores.get(uri).copied().unwrap_or_default();
    let mut ranked: Vec<(f32, Candidate)> = objects.into_iter().map(|(uri, found)| (score(&uri), found)).collect();
    // Of two that are as good, the one that somebody took the trouble to register.
    ranked.sort_by(|(a, left), (b, right)| {
        b.total_cmp(a).then(right.registered.cmp(&left.registered)).then_with(|| left.object.uri.cmp(&right.object.uri))
    });
    hits(engines, grant, &words, filter, k as usize, ranked).await
}

/// What was found, before it is looked at more closely.
struct Candidate {
    object: DataObject,
    registered: bool,
}

impl Candidate {
    /// Whether documents below its address, or from it, are its own. Those below a page of the web are other pages.
    fn holds_others(&self) -> bool {
        let is_page = matches!(self.object.kind, DataKind::Object | DataKind::Page);
        self.registered && !(is_page && StoreKind::of_uri(&self.object.uri) == StoreKind::Http)
    }
}

async fn hits(
    engines: &Engines,
    grant: &Grant,
    words: &[String],
    filter: &DataFilter,
    k: usize,
    ranked: Vec<(f32, Candidate)>,
) -> Result<Vec<Hit>> {
    let (holders, single): (Vec<_>, Vec<_>) =
        ranked.iter().map(|(_, found)| found).filter(|found| found.registered).partition(|found| found.holds_others());
    let uris = |found: Vec<&Candidate>| found.into_iter().map(|found| found.object.uri.clone()).collect::<Vec<_>>();
    let mut ingested: BTreeSet<String> = BTreeSet::new();
    ingested.extend(engines.inventory.hold_documents(grant.namespace(), &uris(holders)).await?);
    ingested.extend(engines.inventory.are_ingested(grant.namespace(), &uris(single)).await?);
    let mut hits = Vec::new();
    for (score, Candidate { object, registered }) in ranked {
        let indexed = !registered || ingested.contains(&object.uri);
        let entry = DataEntry { registered, ..entry(&object, indexed) };
        if !filter.admits(&entry, &object.tags, &object.owner) {
            continue;
        }
        let plan = if indexed { None } else { Some(plan::plan(engines, grant, &object).await?) };
        hits.push(Hit { entry, score, reasons: reasons(words, &object), plan });
        if hits.len() == k {
            break;
        }
    }
    Ok(hits)
}

/// Addresses behind the cards that the ordinary search finds, best first. Only what it lists for words or vectors at all.
async fn by_meaning(
    engines: &Engines,
    projector: &Projector,
    grant: &Grant,
    query: &str,
    limit: usize,
) -> Result<Vec<String>> {
    // A search names its source, which is there once there is a card.
    if !engines.catalog.sources(grant.namespace()).await?.iter().any(|source| source.uri == CARD) {
        return Ok(Vec::new());
    }
    let request = recall::Request {
        query: query.to_owned(),
        k: u32::try_from(limit).unwrap_or(DATA_K_MAX),
        mode: Mode::Hybrid,
        filter: FilterRequest { sources: vec![CARD.to_owned()], ..FilterRequest::default() },
        per_document_max: 1,
        ..recall::Request::default()
    };
    let answer = recall::search(engines, projector, grant, &request).await?;
    let uris = answer.hits.iter().filter_map(|hit| uri_of_card(&hit.found.document.uri));
    Ok(uris.map(str::to_owned).collect())
}

fn entry(object: &DataObject, indexed: bool) -> DataEntry {
    DataEntry {
        uri: object.uri.clone(),
        name: object.name.clone(),
        kind: object.kind,
        media_type: object.media_type.clone(),
        bytes: object.bytes,
        indexed,
        registered: true,
        modified_at: object.modified_at,
        description: object.description.lines().next().unwrap_or_default().to_owned(),
    }
}

/// The distinct words of a text in order, lower case.
fn words(text: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase);
    words.filter(|word| seen.insert(word.clone())).take(WORDS_MAX).collect()
}

/// Which words of the query stand in which part, as far as they can be seen to: the same word, or one with the same beginning
/// that is longer or shorter by an ending.
fn reasons(asked: &[String], object: &DataObject) -> Vec<String> {
    let tags = object.tags.join(" ");
    let place = format!("{} {}", object.name, object.uri);
    let parts = [("name", &place), ("description", &object.description), ("schema", &object.schema), ("tags", &tags)];
    let mut reasons = Vec::new();
    for (part, text) in parts {
        let there = words_of_part(text);
        let found: Vec<&str> =
            asked.iter().filter(|word| there.iter().any(|other| alike(word, other))).map(String::as_str).collect();
        if !found.is_empty() {
            reasons.push(format!("{part}: {}", found.join(", ")));
        }
    }
    if reasons.is_empty() {
        reasons.push("meaning".to_owned());
    }
    reasons
}

fn words_of_part(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

fn alike(a: &str, b: &str) -> bool {
    let shared = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let (short, long) = (a.chars().count().min(b.chars().count()), a.chars().count().max(b.chars().count()));
    a == b || (shared >= 4 && shared + 1 >= short && long - shared <= 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_name_words_by_their_place() {
        let object = DataObject {
            description: "Every ORDER since 2019".to_owned(),
            tags: vec!["sales".to_owned()],
            ..DataObject::at("s3://lake/visits.parquet")
        };
        let asked = words("the orders, sales-visit: orders");
        assert_eq!(asked, ["the", "orders", "sales", "visit"]);
        assert_eq!(reasons(&asked, &object), ["name: visit", "description: orders", "tags: sales"]);
        assert_eq!(reasons(&words("unrelated"), &object), ["meaning"]);
        assert!(!alike("art", "artist") && !alike("order", "ordinary"));
    }
}
