//! Choosing the tool for a goal, or saying that there is none.
//!
//! Node types are registered in the ground state (`register`); each namespace has a table of them in memory (`table`), read from
//! there when it is first asked for. A goal is compared with all of them (`decide`), and what it taught comes back as an
//! outcome (`learn`). In the background the table is fitted to its examples again and again (`fit`). `texts` says what of a node
//! is compared, `parts` how a goal falls into parts, `browse` shows the catalogue as a tree, with groups (`grouping`) where a folder holds hundreds, `imports` reads files of others.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use tokio::sync::{OnceCell, OwnedMutexGuard, watch};
use tokio::task::JoinHandle;

use super::Engines;
use super::access::Grant;
use crate::base::EmbedKey;
use crate::base::error::{Error, Kind, Result};
use crate::base::limits::OUTCOMES_KEPT;
use crate::model::{Namespace, Node};
use crate::rank::routing::rows::Rows;
use fit::Confusions;
use table::{Item, OWN_TEXTS, Past, Table};
use texts::Texts;

pub mod browse;
pub mod decide;
pub mod fit;
mod grouping;
pub mod imports;
pub mod learn;
pub mod parts;
pub mod register;
pub mod table;
#[cfg(test)]
mod tests;
pub mod texts;

/// Quiet time before a fit: what is registered one by one is learned from together. As long as the last fit took, within these
/// bounds, so that a long registration is not slowed by fits that its next batch makes stale.
const FIT_AFTER: (Duration, Duration) = (Duration::from_millis(300), Duration::from_secs(10));

/// Texts that are embedded ahead of any batch; more are a batch of their own.
const URGENT_TEXTS_MAX: usize = 32;

/// Nodes added to a table at a time, so that decisions get in between.
const PUT_MAX: usize = 16;

/// Nodes whose vectors are read at a time: they are wide until they are rows.
const READ_MAX: usize = 512;

/// The routes that are loaded or being loaded.
type Spaces = HashMap<Namespace, Arc<OnceCell<Arc<Space>>>>;

/// The routes of all namespaces. They share nothing.
pub struct Routing {
    engines: Engines,
    spaces: Mutex<Spaces>,
    stopping: Arc<AtomicBool>,
    /// The same, for those who wait.
    stop: watch::Sender<bool>,
    /// Fits under way.
    fits: Mutex<Vec<JoinHandle<()>>>,
}

impl std::fmt::Debug for Routing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Routing").finish_non_exhaustive()
    }
}

/// The routes of one namespace.
struct Space {
    namespace: Namespace,
    table: RwLock<Table>,
    confusions: Mutex<Confusions>,
    /// Held while nodes change, so that the table follows the ground state in its order.
    turn: Arc<tokio::sync::Mutex<()>>,
    fitting: AtomicBool,
    /// How folders with many nodes were grouped when they were listed.
    groupings: Mutex<HashMap<String, Arc<grouping::Grouping>>>,
    /// How long the last fit took.
    fit_took: Mutex<Duration>,
    /// Changes made.
    changes: watch::Sender<u64>,
    learned: watch::Sender<Learned>,
}

/// How far the fits are.
#[derive(Debug, Clone, Copy, Default)]
struct Learned {
    /// Changes learned from.
    through: u64,
    /// Changes that a fit failed with; it is tried again with the next one.
    failed: u64,
}

/// Vectors that the cache does not have.
type Fresh = Vec<(EmbedKey, Vec<f32>)>;

impl Space {
    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Routing {
    /// Over these engines. Tables are read when they are first needed.
    pub fn new(engines: Engines) -> Arc<Self> {
        let (spaces, fits, stop) = (Mutex::default(), Mutex::default(), watch::Sender::new(false));
        Arc::new(Self { engines, spaces, stopping: Arc::default(), stop, fits })
    }

    /// Ends fits that are under way; what they would have learned is learned at the next start.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.stop.send_replace(true);
        self.fits.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(JoinHandle::abort);
    }

    /// [`Self::stop`], and waits until no fit holds an engine any more: their files may be opened anew after this.
    pub async fn close(&self) {
        self.stop();
        let fits = std::mem::take(&mut *self.fits.lock().unwrap_or_else(PoisonError::into_inner));
        for fit in fits {
            // Aborted is as good as ended.
            let _ = fit.await;
        }
    }

    async fn space(&self, grant: &Grant) -> Result<Arc<Space>> {
        let cell = Arc::clone(self.spaces().entry(grant.namespace().clone()).or_default());
        cell.get_or_try_init(|| self.load(grant.namespace())).await.cloned()
    }

    /// The routes of a namespace, and the turn to change them.
    async fn turn(&self, grant: &Grant) -> Result<(Arc<Space>, OwnedMutexGuard<()>)> {
        loop {
            let space = self.space(grant).await?;
            let turn = Arc::clone(&space.turn).lock_owned().await;
            // It may have been let go of while others had their turn.
            if self
                .spaces()
                .get(&space.namespace)
                .and_then(|cell| cell.get())
                .is_some_and(|held| Arc::ptr_eq(held, &space))
            {
                return Ok((space, turn));
            }
        }
    }

    /// Lets go of routes that may lack what the ground state has: the next call reads them anew.
    fn let_go(&self, space: &Space) {
        self.spaces().remove(&space.namespace);
    }

    fn spaces(&self) -> MutexGuard<'_, Spaces> {
        self.spaces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a namespace's nodes and what came of them.
    async fn load(&self, namespace: &Namespace) -> Result<Arc<Space>> {
        if !self.engines.catalog.has_namespace(namespace).await? && namespace.as_str() != Namespace::DEFAULT {
            return Err(Error::not_found(format!("there is no namespace {namespace}: create it first")));
        }
        let nodes = self.engines.registry.nodes(namespace, None).await?;
        let outcomes = self.engines.registry.outcomes(namespace).await?;
        let mut items = Vec::with_capacity(nodes.len());
        let mut nodes = nodes.into_iter().peekable();
        while nodes.peek().is_some() {
            items.extend(self.items(nodes.by_ref().take(READ_MAX).collect()).await?);
        }
        let dimension = self.engines.embedder.model().dimension;
        let mut table = self.engines.door.run(move || Ok(Table::of(dimension, &items))).await?;
        let goals: Vec<String> = outcomes.iter().map(|outcome| outcome.goal.clone()).collect();
        for (outcome, vector) in outcomes.iter().zip(self.vectors(goals).await?) {
            let past = Past { vector: vector.into(), succeeded: outcome.succeeded, cost: outcome.cost };
            table.note(outcome.chosen, past, OUTCOMES_KEPT);
        }
        let count = table.live();
        let space = Arc::new(Space {
            namespace: namespace.clone(),
            table: RwLock::new(table),
            confusions: Mutex::default(),
            turn: Arc::default(),
            fitting: AtomicBool::new(false),
            groupings: Mutex::default(),
            fit_took: Mutex::default(),
            changes: watch::Sender::new(0),
            learned: watch::Sender::default(),
        });
        if count > 0 {
            self.changed(&space);
        }
        Ok(space)
    }

    /// Nodes with their vectors.
    async fn items(&self, nodes: Vec<Node>) -> Result<Vec<Item>> {
        let texts: Vec<Vec<String>> = nodes.iter().map(all_texts).collect();
        let mut vectors = self.vectors(texts.iter().flatten().cloned().collect()).await?.into_iter();
        let dimension = self.engines.embedder.model().dimension;
        Ok(nodes
            .into_iter()
            .zip(texts)
            .map(|(node, texts)| {
                let mut rows = Rows::with_capacity(dimension, texts.len());
                vectors.by_ref().take(texts.len()).for_each(|vector| rows.push(&vector));
                Item { node: Arc::new(node), vectors: Arc::new(rows) }
            })
            .collect())
    }

    /// Vectors of texts in their order, from the cache or the model; new ones are cached.
    async fn vectors(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        let (vectors, fresh) = self.embedded(texts).await?;
        self.cache(fresh).await?;
        Ok(vectors)
    }

    async fn cache(&self, fresh: Fresh) -> Result<()> {
        match fresh.is_empty() {
            true => Ok(()),
            false => self.engines.catalog.cache_vectors(&self.engines.embedder.model().key(), fresh).await,
        }
    }

    /// [`Self::vectors`], with the new ones apart. What is to be registered is embedded before it is, so that a failure leaves
    /// nothing half done, and cached after it is: vectors that nothing refers to are a fault.
    async fn embedded(&self, texts: Vec<String>) -> Result<(Vec<Vec<f32>>, Fresh)> {
        let embedder = &self.engines.embedder;
        let model = embedder.model().key();
        let keys: Vec<EmbedKey> = texts.iter().map(|text| EmbedKey::of(text)).collect();
        let mut known = self.engines.catalog.cached_vectors(&model, &keys).await?;
        let mut missing: HashMap<EmbedKey, &String> = HashMap::new();
        for (key, text) in keys.iter().zip(&texts).filter(|(key, _)| !known.contains_key(key)) {
            missing.insert(*key, text);
        }
        let mut fresh = Fresh::new();
        if !missing.is_empty() {
            let (missing, texts): (Vec<EmbedKey>, Vec<String>) =
                missing.into_iter().map(|(key, text)| (key, text.clone())).unzip();
            let vectors = match texts.len() {
                0..=URGENT_TEXTS_MAX => embedder.embed_queries(&texts).await?,
                _ => embedder.embed(texts).await?,
            };
            fresh.extend(missing.into_iter().zip(vectors));
            known.extend(fresh.iter().cloned());
        }
        let found =
            |key: &EmbedKey| known.get(key).cloned().ok_or_else(|| Error::internal("a text was left without a vector"));
        Ok((keys.iter().map(found).collect::<Result<_>>()?, fresh))
    }

    /// Puts nodes into the table, a few at a time.
    async fn put(&self, space: &Arc<Space>, items: Vec<Item>) -> Result<()> {
        let space = Arc::clone(space);
        self.engines
            .door
            .run(move || {
                items.chunks(PUT_MAX).for_each(|items| space.write().put(items));
                Ok(())
            })
            .await
    }

    /// Notes a change, and sees to it that it is learned from.
    fn changed(&self, space: &Arc<Space>) {
        space.changes.send_modify(|changes| *changes += 1);
        if space.fitting.swap(true, Ordering::AcqRel) {
            return;
        }
        let (space, engines, stopping) = (Arc::clone(space), self.engines.clone(), Arc::clone(&self.stopping));
        let fit = tokio::spawn(async move {
            loop {
                let outcome = learn_all(&engines, &space, &stopping).await;
                if let Err(error) = &outcome {
                    tracing::warn!(error = %error.chain(), namespace = %space.namespace, "routes are not fitted");
                }
                space.fitting.store(false, Ordering::Release);
                let changes = *space.changes.borrow();
                if outcome.is_err() {
                    space.learned.send_modify(|learned| learned.failed = changes);
                }
                let behind = space.learned.borrow().through < changes;
                let go_on = outcome.is_ok() && behind && !stopping.load(Ordering::Acquire);
                if !go_on || space.fitting.swap(true, Ordering::AcqRel) {
                    return;
                }
            }
        });
        let mut fits = self.fits.lock().unwrap_or_else(PoisonError::into_inner);
        fits.retain(|fit| !fit.is_finished());
        fits.push(fit);
        if self.stopping.load(Ordering::Acquire) {
            fits.iter().for_each(JoinHandle::abort);
        }
    }

    /// Waits until everything that was registered is learned from.
    ///
    /// # Errors
    /// Unavailable if the server stops meanwhile; internal if it can't be learned from.
    pub async fn settled(&self, grant: &Grant) -> Result<()> {
        let space = self.space(grant).await?;
        let wanted = *space.changes.borrow();
        let (mut learned, mut stop) = (space.learned.subscribe(), self.stop.subscribe());
        let ended = learned.wait_for(|learned| learned.through.max(learned.failed) >= wanted);
        let ended = tokio::select! {
            ended = ended => *ended.map_err(|_| stopped())?,
            _ = stop.wait_for(|stop| *stop) => return Err(stopped()),
        };
        if ended.through >= wanted {
            return Ok(());
        }
        Err(Error::internal(
            "what was registered is stored and routed to, but learning from it failed: the server's log says why; it is \
             tried again with the next change",
        ))
    }
}

fn stopped() -> Error {
    Error::new(Kind::Unavailable, "the server is shutting down")
}

/// Fits the table until it is quiet.
async fn learn_all(engines: &Engines, space: &Arc<Space>, stopping: &Arc<AtomicBool>) -> Result<()> {
    let mut changes = space.changes.subscribe();
    let (least, most) = FIT_AFTER;
    let quiet = (*space.fit_took.lock().unwrap_or_else(PoisonError::into_inner)).clamp(least, most);
    while tokio::time::timeout(quiet, changes.changed()).await.is_ok_and(|changed| changed.is_ok()) {}
    let seen = *changes.borrow_and_update();
    let items = {
        let mut table = space.write();
        table.changed.clear();
        table.items()
    };
    let began = Instant::now();
    let (dimension, stop) = (engines.embedder.model().dimension, Arc::clone(stopping));
    let fit = engines.background.run(move || Ok(fit::fitted(dimension, &items, || !stop.load(Ordering::Acquire))));
    let (mut fitted, confusions) = fit.await?;
    if stopping.load(Ordering::Acquire) {
        return Err(stopped());
    }
    {
        let mut table = space.write();
        fitted.catch_up(&table);
        *table = fitted;
    }
    *space.fit_took.lock().unwrap_or_else(PoisonError::into_inner) = began.elapsed();
    *space.confusions.lock().unwrap_or_else(PoisonError::into_inner) = confusions;
    space.learned.send_modify(|learned| learned.through = seen);
    Ok(())
}

/// All texts of a node: its own, then its examples.
fn all_texts(node: &Node) -> Vec<String> {
    let Texts { full, body, name } = Texts::of(&node.spec);
    let own: [String; OWN_TEXTS] = [full, body, name];
    own.into_iter().chain(node.utterances().map(str::to_owned)).collect()
}
