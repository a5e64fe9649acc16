//! A ready context for a task: search wide, then pack within the exact budget of the target model's tokenizer.

use std::sync::Arc;

use super::Engines;
use super::access::Grant;
use super::apply::Projector;
use super::recall::{self, FilterRequest, Missing, Mode};
use super::relate::{map, surround};
use super::runs::family;
use crate::base::error::{Error, Result};
use crate::base::limits::{CONTEXT_TOKENS_MAX, HELD_MAX, SEARCH_K_MAX};
use crate::base::tokens::TokenCounter;
use crate::base::{Lsn, RunId};
use crate::engine::tokens::Named;
use crate::model::{Citation, Hit, NodePath};
use crate::rank::packing::{self, Decision, Pack, Step};

/// Candidates looked at per thousand tokens of budget: chunks have some 150 tokens, so this is three times what fits.
const CANDIDATES_PER_KILOTOKEN: u32 = 20;
const CANDIDATES_RANGE: (u32, u32) = (30, 300);

/// What to gather.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The task.
    pub task: String,
    /// Most tokens.
    pub budget_tokens: u32,
    /// Whose tokens; empty: the current OpenAI encoding.
    pub model: String,
    /// Restrictions.
    pub filter: FilterRequest,
    /// Whether sources that changed are read again first.
    pub require_fresh: bool,
    /// A map of the repository instead of evidence: definitions by signature. The task may be empty then.
    pub map: bool,
    /// The run that this is for, and the node in it: what the nodes around it remembered counts.
    pub run: Option<(RunId, Option<NodePath>)>,
    /// What the reader has before it already.
    pub held: Vec<Citation>,
}

/// A pack with what is missing from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Gathered {
    /// The pack.
    pub pack: Pack,
    /// Name of the tokenizer that counted.
    pub tokenizer: String,
    /// What could not be searched.
    pub missing: Vec<Missing>,
    /// Position that the search reflects.
    pub lsn: Lsn,
}

/// Gathers the context for `request`.
///
/// # Errors
/// Those of a search; invalid for an unknown model; over the limit for the budget.
pub async fn gather(engines: &Engines, projector: &Projector, grant: &Grant, request: &Request) -> Result<Gathered> {
    if request.budget_tokens == 0 || request.budget_tokens > CONTEXT_TOKENS_MAX {
        return Err(Error::limit(
            "budget_tokens",
            format!("the budget is {} tokens, it must be 1 to {CONTEXT_TOKENS_MAX}", request.budget_tokens),
        ));
    }
    if request.held.len() > HELD_MAX {
        let message = format!("{} citations are held, the limit is {HELD_MAX}", request.held.len());
        return Err(Error::limit("held", message));
    }
    let Named { name: tokenizer, counter } = engines.counter_for(&request.model)?;
    let (least, most) = CANDIDATES_RANGE;
    let search = recall::Request {
        query: request.task.clone(),
        // What is held is found as before, so there has to be as much more.
        k: ((request.budget_tokens / 1_000 * CANDIDATES_PER_KILOTOKEN).clamp(least, most) + request.held.len() as u32)
            .min(SEARCH_K_MAX),
        mode: Mode::Hybrid,
        filter: request.filter.clone(),
        per_document_max: 0,
        require_fresh: request.require_fresh,
    };
    if request.map {
        return map_for(engines, projector, grant, request, &search, (tokenizer, counter)).await;
    }
    let answer = recall::search(engines, projector, grant, &search).await?;
    let (mut hits, mut missing) = (answer.hits, answer.missing);
    match surround::surround(engines, grant, &request.filter, &hits).await {
        Ok(beside) => merge(&mut hits, beside),
        Err(error) => {
            tracing::warn!(error = %error.chain(), "the graph could not be asked");
            missing.push(Missing { part: "graph".to_owned(), reason: error.message().to_owned() });
        }
    }
    if let Some((run, node)) = &request.run {
        family::add_memories(engines, grant, &request.filter, (*run, node.as_ref()), &mut hits).await?;
    }
    let budget = request.budget_tokens as usize;
    let pack = engines.door.run_here(|| Ok(pack_without(hits, &request.held, budget, &*counter))).await?;
    Ok(Gathered { pack, tokenizer, missing, lsn: answer.lsn })
}

/// Packs what the reader has not before it yet; the trace names the rest too.
fn pack_without(mut hits: Vec<Hit>, held: &[Citation], budget: usize, counter: &dyn TokenCounter) -> Pack {
    let known = hits.extract_if(.., |hit| held.iter().any(|citation| citation.covers(&hit.found)));
    let known: Vec<Step> = known.map(|hit| Step::of(&hit, Decision::Held, 0)).collect();
    let mut pack = packing::pack(&hits, budget, counter);
    pack.trace.extend(known);
    pack.trace.sort_by(|a, b| b.score.total_cmp(&a.score));
    pack
}

/// The map of what passes the filter, ranked for the task if there is one.
async fn map_for(
    engines: &Engines,
    projector: &Projector,
    grant: &Grant,
    request: &Request,
    search: &recall::Request,
    (tokenizer, counter): (String, Arc<dyn TokenCounter>),
) -> Result<Gathered> {
    recall::require_namespace(engines, grant).await?;
    let FilterRequest { kinds, tags, modified_from, modified_until, .. } = &request.filter;
    if !kinds.is_empty() || !tags.is_empty() || modified_from.is_some() || modified_until.is_some() {
        return Err(Error::invalid("filter", "a map is narrowed by paths, languages and sources only"));
    }
    if !request.held.is_empty() || request.run.is_some() {
        let field = if request.run.is_some() { "run" } else { "held" };
        return Err(Error::invalid(
            field,
            "a map shows what there is, whatever a run or its reader have: leave it out",
        ));
    }
    let filter = recall::resolve_filter(engines, grant, &request.filter).await?;
    let (hits, missing) = match request.task.trim().is_empty() {
        true => (Vec::new(), Vec::new()),
        false => {
            let answer = recall::search(engines, projector, grant, search).await?;
            (answer.hits, answer.missing)
        }
    };
    let budget = request.budget_tokens as usize;
    let map = map::map(engines, grant, filter, &hits, budget, counter).await?;
    let pack = Pack { text: map.text, tokens: map.tokens, items: Vec::new(), trace: Vec::new() };
    Ok(Gathered { pack, tokenizer, missing, lsn: map.applied })
}

/// Puts what stands beside the hits among them, by score: what is asked about comes first, and what it needs before what is only
/// a little like it.
fn merge(hits: &mut Vec<Hit>, beside: Vec<Hit>) {
    hits.extend(beside);
    hits.sort_by(|a, b| b.score.total_cmp(&a.score));
}
