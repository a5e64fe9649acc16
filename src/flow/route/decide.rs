//! The decision for a goal: one route, several between which the evidence does not tell, or none.

use super::parts::parts;
use super::table::{Asked, Ranking, TOGETHER, Table};
use super::{Routing, URGENT_TEXTS_MAX, texts};
use crate::base::error::{Error, Result};
use crate::base::limits::{CONTEXT_TOKENS_MAX, QUERY_BYTES_MAX, ROUTE_BATCH_MAX, ROUTE_K_MAX};
use crate::base::tokens::TokenCounter;
use crate::flow::access::Grant;
use crate::model::{Node, ToolKind};

/// How much the context of a goal moves its vector: it tells senses apart and must not drown the goal.
const CONTEXT_WEIGHT: f32 = 0.25;

/// Words of a goal, stop words left out, from which it is probably several tasks, and up to which it says too little.
const BROAD_WORDS_MIN: usize = 25;
/// See [`BROAD_WORDS_MIN`].
const VAGUE_WORDS_MAX: usize = 1;

/// Most routes in a set between which the evidence does not tell.
const SET_MAX: usize = 10;

/// What to route.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Request {
    /// Goals, each by itself.
    pub goals: Vec<String>,
    /// What is going on, for all of them; may be empty.
    pub context: String,
    /// Only these kinds; empty: all.
    pub kinds: Vec<ToolKind>,
    /// Only nodes with one of these tags; empty: all.
    pub tags: Vec<String>,
    /// What the caller is allowed; nodes that ask for more are left out.
    pub permissions: Vec<String>,
    /// Candidates wanted.
    pub k: u32,
    /// Tokens that schemas may take together; none: no schemas are given.
    pub budget_tokens: Option<u32>,
    /// Whose tokens; empty: the current OpenAI encoding.
    pub model: String,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verdict {
    /// Take the first candidate, or for a goal of several parts the needed ones.
    Route,
    /// The right one is in the set, at 95 %.
    Ambiguous,
    /// No route here serves.
    #[default]
    None,
}

impl Verdict {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Ambiguous => "ambiguous",
            Self::None => "none",
        }
    }
}

/// What is missing where no route serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// The goal is several tasks.
    BreakDown,
    /// A tool for it has to be made.
    BuildTool,
    /// The goal says too little.
    Ask,
}

impl Advice {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BreakDown => "break_down",
            Self::BuildTool => "build_tool",
            Self::Ask => "ask",
        }
    }
}

/// A route that may serve.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Name.
    pub name: String,
    /// What it is.
    pub kind: ToolKind,
    /// Version.
    pub version: u32,
    /// First line of its description.
    pub summary: String,
    /// How likely it is right.
    pub probability: f32,
    /// Words of the goal that it has.
    pub words: Vec<String>,
    /// Its nearest example, with the similarity.
    pub example: Option<(String, f32)>,
    /// What earlier failures with such goals took from its score; 0: nothing.
    pub past: f32,
    /// JSON Schema of its arguments, if it fits the budget.
    pub schema: Option<String>,
}

/// The answer for one goal.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decision {
    /// What to do.
    pub verdict: Verdict,
    /// Ranked, best first; given even where none serves, to show what is nearest.
    pub candidates: Vec<Candidate>,
    /// Names: the one to take, or those that each part needs, or those between which the evidence does not tell.
    pub set: Vec<String>,
    /// What is missing, where none serves.
    pub advice: Option<Advice>,
    /// The probability that the goal has a route here at all.
    pub in_scope: f32,
}

/// Refuses goals that can't be routed.
pub(super) fn check_goal(goal: &str) -> Result<()> {
    if goal.trim().is_empty() {
        return Err(Error::invalid("goal", "the goal is empty: say what is to be done"));
    }
    if goal.len() > QUERY_BYTES_MAX {
        let bytes = goal.len();
        return Err(Error::limit("goal", format!("the goal has {bytes} bytes, the limit is {QUERY_BYTES_MAX}")));
    }
    Ok(())
}

fn check(request: &Request) -> Result<()> {
    if request.goals.is_empty() || request.goals.len() > ROUTE_BATCH_MAX {
        let count = request.goals.len();
        return Err(Error::limit("goals", format!("{count} goals given, it must be 1 to {ROUTE_BATCH_MAX}")));
    }
    request.goals.iter().try_for_each(|goal| check_goal(goal))?;
    if request.context.len() > QUERY_BYTES_MAX {
        return Err(Error::limit("context", format!("the context is over {QUERY_BYTES_MAX} bytes: give its gist")));
    }
    if request.k == 0 || request.k > ROUTE_K_MAX {
        return Err(Error::limit("k", format!("k is {}, it must be 1 to {ROUTE_K_MAX}", request.k)));
    }
    if request.budget_tokens.is_some_and(|budget| budget == 0 || budget > CONTEXT_TOKENS_MAX) {
        return Err(Error::limit("budget_tokens", format!("the budget must be 1 to {CONTEXT_TOKENS_MAX} tokens")));
    }
    Ok(())
}

impl Routing {
    /// Decides for each goal.
    ///
    /// # Errors
    /// Invalid or over a limit, naming the field; those of the embedder.
    pub async fn route(&self, grant: &Grant, request: Request) -> Result<Vec<Decision>> {
        check(&request)?;
        let counter = match request.budget_tokens {
            None => None,
            Some(_) => Some(self.engines.counter_for(&request.model)?.counter),
        };
        let space = self.space(grant).await?;
        let parts: Vec<Vec<&str>> = request.goals.iter().map(|goal| parts(goal)).collect();
        let mut wanted: Vec<String> = Vec::new();
        for (goal, parts) in request.goals.iter().zip(&parts) {
            wanted.push(goal.clone());
            wanted.extend(parts.iter().map(|part| (*part).to_owned()));
        }
        let context = (!request.context.trim().is_empty()).then(|| request.context.clone());
        wanted.extend(context.clone());
        let mut vectors = match wanted.as_slice() {
            [goal] => vec![self.engines.embedder.embed_query(goal).await?],
            few if few.len() <= URGENT_TEXTS_MAX => self.engines.embedder.embed_queries(&wanted).await?,
            _ => self.engines.embedder.embed(wanted).await?,
        };
        let context = context.and_then(|_| vectors.pop());
        let mut vectors = vectors.into_iter();
        let mut asked = Vec::with_capacity(request.goals.len());
        for (goal, parts) in request.goals.iter().zip(&parts) {
            let mut next = |text: &str| Asked::new(text, moved(vectors.next().unwrap_or_default(), context.as_deref()));
            let whole = next(goal);
            asked.push((whole, parts.iter().map(|part| next(part)).collect::<Vec<_>>()));
        }
        self.engines
            .door
            .run_here(|| {
                let table = space.read();
                let allowed = allowed(&table, &request);
                let decide = |goals: Vec<(&String, (Asked, Vec<Asked>))>| {
                    let (goals, asked): (Vec<_>, Vec<_>) = goals.into_iter().unzip();
                    let ranked = table.rank(&asked, &allowed);
                    let all = goals.into_iter().zip(asked).zip(ranked);
                    let one = |((goal, (whole, _)), ranking): ((&String, (Asked, _)), Ranking)| {
                        decision(&table, goal, &whole, &ranking, &request, counter.as_deref())
                    };
                    all.map(one).collect::<Vec<_>>()
                };
                Ok(side_by_side(request.goals.iter().zip(asked).collect(), &decide))
            })
            .await
    }
}

/// Does `work` on many things in groups, on all cores, in their order; on one where it is called.
fn side_by_side<T: Send, R: Send>(things: Vec<T>, work: &(impl Fn(Vec<T>) -> Vec<R> + Sync)) -> Vec<R> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = things.len().div_ceil(cores).max(1);
    let mut things = things.into_iter();
    let in_groups = move |mine: Vec<T>| {
        let mut mine = mine.into_iter();
        let mut done = Vec::with_capacity(mine.len());
        while mine.len() > 0 {
            done.extend(work(mine.by_ref().take(TOGETHER).collect()));
        }
        done
    };
    if cores == 1 || things.len() == 1 {
        return in_groups(things.collect());
    }
    std::thread::scope(|scope| {
        let mut threads = Vec::with_capacity(cores);
        while things.len() > 0 {
            let mine: Vec<T> = things.by_ref().take(share).collect();
            threads.push(scope.spawn(move || in_groups(mine)));
        }
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// A goal's vector in the light of its context.
fn moved(mut vector: Vec<f32>, context: Option<&[f32]>) -> Vec<f32> {
    if let Some(context) = context {
        vector.iter_mut().zip(context).for_each(|(value, context)| *value += CONTEXT_WEIGHT * context);
        let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt().max(1e-9);
        vector.iter_mut().for_each(|value| *value /= norm);
    }
    vector
}

/// Live entries that the caller may use and wants to see.
fn allowed(table: &Table, request: &Request) -> Vec<u32> {
    let passes = |node: &Node| {
        let spec = &node.spec;
        (request.kinds.is_empty() || request.kinds.contains(&spec.kind))
            && (request.tags.is_empty() || spec.tags.iter().any(|tag| request.tags.contains(tag)))
            && spec.permissions.iter().all(|needed| request.permissions.contains(needed))
    };
    let numbered = (0_u32..).zip(table.entries());
    let unfiltered = request.kinds.is_empty() && request.tags.is_empty();
    numbered
        .filter(|(_, entry)| entry.live && ((unfiltered && entry.open) || passes(&entry.node)))
        .map(|(number, _)| number)
        .collect()
}

fn decision(
    table: &Table,
    goal: &str,
    asked: &Asked,
    ranking: &Ranking,
    request: &Request,
    counter: Option<&dyn TokenCounter>,
) -> Decision {
    let calibration = table.calibration;
    let name = |entry: u32| table.entries()[entry as usize].node.spec.name.clone();
    let near = |nearness: &f32| *nearness >= calibration.nearness_min;
    let mut needed: Vec<String> = Vec::new();
    for (entry, _) in ranking.parts.iter().filter(|(_, nearness)| near(nearness)) {
        let name = name(*entry);
        if !needed.contains(&name) {
            needed.push(name);
        }
    }
    let likely = ranking.scored.iter().take(SET_MAX).filter(|scored| scored.share >= calibration.set_from);
    let likely: Vec<String> = likely.map(|scored| name(scored.entry)).collect();
    let best = ranking.scored.first().map(|scored| name(scored.entry));
    let (verdict, set) = match best {
        Some(_) if needed.len() > 1 => (Verdict::Route, needed),
        Some(best) if near(&ranking.nearness) && likely.len() <= 1 => (Verdict::Route, vec![best]),
        Some(_) if near(&ranking.nearness) => (Verdict::Ambiguous, likely),
        _ => (Verdict::None, Vec::new()),
    };
    let advice = (verdict == Verdict::None).then(|| advice(goal));
    let mut budget = request.budget_tokens.unwrap_or(0) as usize;
    let candidates = ranking.scored.iter().take(request.k as usize).map(|scored| {
        let node = &table.entries()[scored.entry as usize].node;
        let schema = counter.filter(|_| !node.spec.arguments.is_empty()).and_then(|counter| {
            let cost = counter.count(&node.spec.arguments);
            (cost <= budget).then(|| {
                budget -= cost;
                node.spec.arguments.clone()
            })
        });
        let example = table.nearest_example(scored.entry, asked.vector());
        Candidate {
            name: node.spec.name.clone(),
            kind: node.spec.kind,
            version: node.version,
            summary: summary(&node.spec.description),
            probability: calibration.probability(ranking.nearness, scored.share),
            words: table.shared_words(scored.entry, goal),
            example: example.map(|(text, alike)| (text.to_owned(), alike)),
            past: scored.past,
            schema,
        }
    });
    let in_scope = if ranking.scored.is_empty() { 0.0 } else { calibration.in_scope(ranking.nearness) };
    Decision { verdict, candidates: candidates.collect(), set, advice, in_scope }
}

/// What a goal that nothing serves is missing, as far as its form tells.
fn advice(goal: &str) -> Advice {
    let words = texts::words(goal).len();
    if words <= VAGUE_WORDS_MAX {
        Advice::Ask
    } else if words >= BROAD_WORDS_MIN || !parts(goal).is_empty() {
        Advice::BreakDown
    } else {
        Advice::BuildTool
    }
}

/// The first line of a description, at most 160 characters.
pub(super) fn summary(description: &str) -> String {
    let line = description.trim().lines().next().unwrap_or_default();
    let cut: String = line.chars().take(160).collect();
    if cut.len() < line.len() { format!("{cut}…") } else { cut }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_goal_is_missing_shows_in_its_form() {
        let broad = (0..BROAD_WORDS_MIN).map(|at| format!("word{at}a")).collect::<Vec<_>>().join(" ");
        for (goal, expected) in [
            ("do it for me", Advice::Ask),
            ("sequence the genome of a fly", Advice::BuildTool),
            ("Sequence the genome. Paint the result!", Advice::BreakDown),
            (&broad, Advice::BreakDown),
        ] {
            assert_eq!(advice(goal), expected, "{goal}");
        }
    }

    #[test]
    fn summaries_are_one_short_line() {
        assert_eq!(summary("  One line.\nAnother."), "One line.");
        assert_eq!(summary(&"é".repeat(200)).chars().count(), 161);
        assert_eq!(summary(""), "");
    }
}
