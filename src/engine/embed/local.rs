//! The local model: fastembed over ONNX Runtime, from files on disk or from fastembed's online catalogue.
//!
//! Two kinds of sessions are held. Batch sessions run with one thread each, as many as there are cores: on two cores two
//! sessions × one thread gave 1.17 times the tokens per second of one session × two threads. The query session uses all
//! threads for one short text and is never taken by a batch, so a search during an ingest waits for no batch.
//!
//! A session holds some 45 MiB. Batch sessions are loaded when there is something to embed, and let go when there was nothing for
//! a minute: a server that only answers does without.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fastembed::{
    EmbeddingModel, InitOptionsUserDefined, Pooling, TextEmbedding, TextInitOptions, TokenizerFiles,
    UserDefinedEmbeddingModel,
};
use ort::environment::Environment;
use serde::{Deserialize, Serialize};

use super::wordpiece::MemoCounter;
use super::{Embedder, ModelInfo};
use crate::base::blocking::Door;
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::limits::{EMBED_BATCH_TEXTS_MAX, EMBED_BATCH_TOKENS_MAX};
use crate::base::tokens::TokenCounter;

/// How long batch sessions are kept when there is nothing to embed.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// Tokens that every sequence gets beside its own: `[CLS]` and `[SEP]`.
const SPECIAL_TOKENS: usize = 2;

/// Which model to load, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModelSource {
    /// A folder with `model.onnx`, the tokenizer files and `model.json`.
    Folder(PathBuf),
    /// A model of fastembed's catalogue by name, downloaded into a cache folder on first use.
    Catalogue {
        /// Name as fastembed spells it, such as `BGESmallENV15`.
        name: String,
        /// Where downloads are kept.
        cache: PathBuf,
    },
}

/// How to run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalOptions {
    /// The model.
    pub source: ModelSource,
    /// The ONNX Runtime shared library.
    pub runtime: PathBuf,
    /// Batch sessions, one thread each.
    pub sessions: usize,
    /// Threads of the query session.
    pub query_threads: usize,
}

/// Threads of the runtime wait for more work in a loop for a while after a run. With this they stop at once: what a search does
/// after its question was embedded has the cores to itself (a query by vector takes 1.4 instead of 2.4 ms on two cores).
const STOP_SPINNING: (&str, &str) = ("session.force_spinning_stop", "1");

/// `model.json` beside the weights.
#[derive(Debug, Deserialize)]
struct ModelCard {
    name: String,
    revision: String,
    dimension: usize,
    max_tokens: usize,
    pooling: String,
}

/// See the module's documentation.
pub struct LocalEmbedder {
    model: ModelInfo,
    counter: Arc<MemoCounter>,
    batch: Arc<BatchSessions>,
    query: Mutex<TextEmbedding>,
    batch_door: Door,
    query_door: Door,
    fills_cores: bool,
}

impl std::fmt::Debug for LocalEmbedder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalEmbedder").field("model", &self.model).finish_non_exhaustive()
    }
}

impl LocalEmbedder {
    /// Loads the model; takes some hundred milliseconds, so call it through a door.
    ///
    /// # Errors
    /// Precondition if the runtime or the model is missing or can't be loaded.
    pub fn load(options: &LocalOptions) -> Result<Self> {
        let environment = environment(&options.runtime)?;
        let sessions = options.sessions.max(1);
        let (mut model, load): (ModelInfo, Loader) = match &options.source {
            ModelSource::Folder(folder) => folder_loader(folder, environment)?,
            ModelSource::Catalogue { name, cache } => catalogue_loader(name, cache, environment)?,
        };
        let query = load(options.query_threads.max(1))?;
        if let Some(cut) = query.tokenizer.get_truncation() {
            model.tokens_max = model.tokens_max.min(cut.max_length);
        }
        let counter = Arc::new(MemoCounter::new(query.tokenizer.clone()));
        let batch =
            BatchSessions { load, slots: (0..sessions).map(|_| Mutex::default()).collect(), used: AtomicUsize::new(0) };
        Ok(Self {
            model,
            counter,
            batch: Arc::new(batch),
            query: Mutex::new(query),
            batch_door: Door::background(sessions),
            query_door: Door::new(4),
            fills_cores: options.query_threads >= std::thread::available_parallelism().map_or(1, usize::from),
        })
    }

    fn query(&self) -> MutexGuard<'_, TextEmbedding> {
        self.query.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Loads a session with so many threads.
type Loader = Box<dyn Fn(usize) -> Result<TextEmbedding> + Send + Sync>;

/// The sessions that embed batches, each loaded when it is first needed.
struct BatchSessions {
    load: Loader,
    slots: Vec<Mutex<Option<TextEmbedding>>>,
    /// How often a use began or ended: unchanged after a while, they are let go.
    used: AtomicUsize,
}

impl BatchSessions {
    /// Embeds texts with the session of this number.
    fn run(&self, number: usize, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let mut slot = self.slots[number].lock().unwrap_or_else(PoisonError::into_inner);
        let session = match &mut *slot {
            Some(session) => session,
            empty => empty.insert((self.load)(1)?),
        };
        run(session, texts)
    }

    /// Lets the sessions go if they are not used for [`IDLE_MAX`] from now.
    fn let_go_when_idle(self: &Arc<Self>) {
        let used = self.used.fetch_add(1, Ordering::Relaxed) + 1;
        let sessions = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(IDLE_MAX).await;
            let Some(sessions) = sessions.upgrade() else { return };
            if sessions.used.load(Ordering::Relaxed) == used {
                // One that is locked is in use.
                sessions.slots.iter().filter_map(|slot| slot.try_lock().ok()).for_each(|mut slot| *slot = None);
            }
        });
    }
}

/// The process-wide ONNX Runtime environment, made from the library at `runtime` on first use.
fn environment(runtime: &Path) -> Result<Environment> {
    static ENVIRONMENT: OnceLock<Mutex<Option<Environment>>> = OnceLock::new();
    let slot = ENVIRONMENT.get_or_init(|| Mutex::new(None));
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = slot.as_ref() {
        return Ok(environment.clone());
    }
    if !runtime.is_file() {
        return Err(Error::new(
            Kind::Precondition,
            format!(
                "the ONNX Runtime library is not at {}: run `make setup`, or set embedder.runtime in the configuration",
                runtime.display()
            ),
        ));
    }
    let describe = || format!("cannot load the ONNX Runtime library {}: run `make setup` again", runtime.display());
    let environment = ort::environment::init_from(runtime)
        .context(Kind::Precondition, describe)?
        .build()
        .context(Kind::Precondition, describe)?;
    *slot = Some(environment.clone());
    Ok(environment)
}

/// Reads a file of the model in `folder`.
fn model_file(folder: &Path, name: &str) -> Result<Vec<u8>> {
    std::fs::read(folder.join(name)).context(Kind::Precondition, || {
        format!(
            "the embedding model is incomplete, {} cannot be read: run `make setup`, or set embedder.model_dir in the \
             configuration",
            folder.join(name).display()
        )
    })
}

fn model_card(folder: &Path) -> Result<ModelCard> {
    serde_json::from_slice(&model_file(folder, "model.json")?).context(Kind::Precondition, || {
        format!("{} is not a valid model card: run `make setup` again", folder.join("model.json").display())
    })
}

fn folder_loader(folder: &Path, environment: Environment) -> Result<(ModelInfo, Loader)> {
    let card = model_card(folder)?;
    let pooling = match card.pooling.as_str() {
        "mean" => Pooling::Mean,
        "cls" => Pooling::Cls,
        other => {
            return Err(Error::new(
                Kind::Precondition,
                format!("{}: pooling {other:?} is not known, use mean or cls", folder.join("model.json").display()),
            ));
        }
    };
    let info =
        ModelInfo { name: card.name, revision: card.revision, dimension: card.dimension, tokens_max: card.max_tokens };
    let (tokens_max, revision, folder) = (info.tokens_max, info.revision.clone(), folder.to_owned());
    let load: Loader = Box::new(move |threads| {
        // Vectors of two models must never meet.
        if model_card(&folder)?.revision != revision {
            let message =
                format!("the model in {} is another one than at the start: restart the server", folder.display());
            return Err(Error::new(Kind::Precondition, message));
        }
        let read = |name: &str| model_file(&folder, name);
        let tokenizer_files = TokenizerFiles {
            tokenizer_file: read("tokenizer.json")?,
            config_file: read("config.json")?,
            special_tokens_map_file: read("special_tokens_map.json")?,
            tokenizer_config_file: read("tokenizer_config.json")?,
        };
        let model = UserDefinedEmbeddingModel::new(read("model.onnx")?, tokenizer_files).with_pooling(pooling.clone());
        let options = InitOptionsUserDefined::new()
            .with_environment(environment.clone())
            .with_max_length(tokens_max)
            .with_intra_threads(threads)
            .with_session_config(STOP_SPINNING.0, STOP_SPINNING.1);
        TextEmbedding::try_new_from_user_defined(model, options).context(Kind::Precondition, || {
            format!("cannot load the embedding model in {}: run `make setup` again", folder.display())
        })
    });
    Ok((info, load))
}

fn catalogue_loader(name: &str, cache: &Path, environment: Environment) -> Result<(ModelInfo, Loader)> {
    let model: EmbeddingModel = name.parse().map_err(|_| {
        Error::new(
            Kind::Precondition,
            format!("embedder.model {name:?} is not in fastembed's catalogue: see its list of models, or leave it out"),
        )
    })?;
    let described = TextEmbedding::get_model_info(&model)
        .context(Kind::Precondition, || format!("embedder.model {name:?} has no description"))?;
    let info = ModelInfo {
        name: name.to_owned(),
        revision: described.model_code.clone(),
        dimension: described.dim,
        tokens_max: 512,
    };
    let cache = cache.to_owned();
    let shown = name.to_owned();
    let load: Loader = Box::new(move |threads| {
        let options = TextInitOptions::new(model.clone())
            .with_environment(environment.clone())
            .with_cache_dir(cache.clone())
            .with_show_download_progress(false)
            .with_intra_threads(threads)
            .with_session_config(STOP_SPINNING.0, STOP_SPINNING.1);
        TextEmbedding::try_new(options).context(Kind::Precondition, || {
            format!("cannot load or download the embedding model {shown}: check the network, or use the local model")
        })
    });
    Ok((info, load))
}

/// Cuts texts of the given token lengths into batches by index: sorted by length, bounded by padded tokens and count,
/// longest first so that the last batches to finish are the short ones.
fn batches(lengths: &[usize]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(lengths[index]));
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut padded_to = 0;
    for index in order {
        match batches.last_mut() {
            Some(batch)
                if batch.len() < EMBED_BATCH_TEXTS_MAX && (batch.len() + 1) * padded_to <= EMBED_BATCH_TOKENS_MAX =>
            {
                batch.push(index);
            }
            _ => {
                padded_to = lengths[index];
                batches.push(vec![index]);
            }
        }
    }
    batches
}

fn run(session: &mut TextEmbedding, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
    session
        .embed(texts, Some(texts.len()))
        .context(Kind::Internal, || format!("the embedding model failed on a batch of {} texts", texts.len()))
}

#[async_trait]
impl Embedder for LocalEmbedder {
    fn model(&self) -> &ModelInfo {
        &self.model
    }

    fn counter(&self) -> Arc<dyn TokenCounter> {
        Arc::clone(&self.counter) as Arc<dyn TokenCounter>
    }

    fn fills_cores(&self) -> bool {
        self.fills_cores
    }

    async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        self.batch.used.fetch_add(1, Ordering::Relaxed);
        let counter = Arc::clone(&self.counter);
        let tokens_max = self.model.tokens_max;
        let work = Arc::new((texts, AtomicUsize::new(0), OnceLock::<Vec<Vec<usize>>>::new()));
        let jobs = (0..self.batch.slots.len()).map(|number| {
            let (sessions, work, counter) = (Arc::clone(&self.batch), Arc::clone(&work), Arc::clone(&counter));
            self.batch_door.run(move || {
                let (texts, next, plan) = &*work;
                let plan = plan.get_or_init(|| {
                    let length = |text: &String| (counter.count(text) + SPECIAL_TOKENS).min(tokens_max);
                    batches(&texts.iter().map(length).collect::<Vec<_>>())
                });
                let mut done = Vec::new();
                while let Some(batch) = plan.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let input: Vec<&str> = batch.iter().map(|&index| texts[index].as_str()).collect();
                    done.extend(batch.iter().copied().zip(sessions.run(number, &input)?));
                }
                Ok(done)
            })
        });
        let finished = futures::future::try_join_all(jobs).await;
        self.batch.let_go_when_idle();
        let finished = finished?;
        let mut vectors = vec![Vec::new(); work.0.len()];
        for (index, vector) in finished.into_iter().flatten() {
            vectors[index] = vector;
        }
        Ok(vectors)
    }

    async fn embed_query(&self, text: &str) -> Result<Vec<f32>> {
        let mut vectors = self.query_door.run_here(|| run(&mut self.query(), &[text])).await?;
        vectors.pop().ok_or_else(|| Error::internal("the embedding model returned nothing for a query"))
    }

    async fn embed_queries(&self, texts: &[String]) -> Result<Vec<Vec<f32>>> {
        self.query_door
            .run_here(|| {
                // Batches of like lengths: a short text padded to a long one costs as much as that.
                let mut order: Vec<usize> = (0..texts.len()).collect();
                order.sort_by_key(|&at| texts[at].len());
                let mut vectors = vec![Vec::new(); texts.len()];
                for batch in order.chunks(EMBED_BATCH_TEXTS_MAX / 4) {
                    let input: Vec<&str> = batch.iter().map(|&at| texts[at].as_str()).collect();
                    batch.iter().zip(run(&mut self.query(), &input)?).for_each(|(&at, vector)| vectors[at] = vector);
                }
                Ok(vectors)
            })
            .await
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn cache() -> PathBuf {
        let base = std::env::var_os("XDG_CACHE_HOME")
            .map_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"), PathBuf::from);
        base.join("hivemem")
    }

    /// The folder of the local model that `make setup` prepares.
    pub(crate) fn model_files() -> PathBuf {
        cache().join("models/all-minilm-l6-v2-int8")
    }

    fn options() -> LocalOptions {
        let card: serde_json::Value =
            serde_json::from_slice(&std::fs::read(cache().join("env.json")).expect("run `make setup` first")).unwrap();
        LocalOptions {
            source: ModelSource::Folder(model_files()),
            runtime: PathBuf::from(card["ort_dylib"].as_str().unwrap()),
            sessions: 2,
            query_threads: 2,
        }
    }

    fn cosine(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(x, y)| x * y).sum()
    }

    #[tokio::test]
    async fn similar_texts_are_nearer_and_batches_agree_with_single_texts() {
        let embedder = LocalEmbedder::load(&options()).unwrap();
        let texts: Vec<String> = ["How do I read a file?", "Opening and reading files", "The cat sleeps on the sofa"]
            .iter()
            .chain(std::iter::repeat_n(&"a longer filler text about nothing in particular ", 40))
            .map(ToString::to_string)
            .collect();
        let vectors = embedder.embed(texts).await.unwrap();
        assert_eq!(vectors.len(), 43);
        assert!(vectors.iter().all(|v| v.len() == 384 && (cosine(v, v) - 1.0).abs() < 1e-3));
        assert!(cosine(&vectors[0], &vectors[1]) > cosine(&vectors[0], &vectors[2]) + 0.2);
        let single = embedder.embed_query("How do I read a file?").await.unwrap();
        assert!(cosine(&single, &vectors[0]) > 0.99);
    }

    #[test]
    fn a_missing_model_says_what_to_do() {
        let missing = LocalOptions { source: ModelSource::Folder(PathBuf::from("/nowhere")), ..options() };
        let error = LocalEmbedder::load(&missing).unwrap_err();
        assert_eq!(error.kind(), Kind::Precondition);
        assert!(error.message().contains("/nowhere/model.json") && error.message().contains("make setup"), "{error}");
    }

    #[tokio::test]
    async fn batch_sessions_come_with_the_first_batch_and_only_from_the_same_model() {
        let folder = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(model_files()).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
        let of = LocalOptions { source: ModelSource::Folder(folder.path().to_owned()), ..options() };
        let embedder = LocalEmbedder::load(&of).unwrap();
        let loaded = || embedder.batch.slots.iter().filter(|slot| slot.lock().unwrap().is_some()).count();
        embedder.embed_query("a question").await.unwrap();
        assert_eq!(loaded(), 0);
        let card = folder.path().join("model.json");
        let text = std::fs::read_to_string(&card).unwrap();
        let revision = embedder.model().revision.clone();
        std::fs::write(&card, text.replace(&revision, "another")).unwrap();
        let refused = embedder.embed(vec!["a text".to_owned()]).await.unwrap_err();
        assert!(refused.message().contains("restart the server"), "{refused}");
        std::fs::write(&card, text).unwrap();
        assert_eq!(embedder.embed(vec!["a text".to_owned()]).await.unwrap().len(), 1);
        assert_eq!(loaded(), 1, "one batch, one session");
    }

    #[test]
    fn batches_are_bounded_by_padded_tokens_and_hold_every_text_once() {
        let lengths: Vec<usize> = (0..500).map(|i| 1 + (i * 37) % 256).collect();
        let batches = batches(&lengths);
        let mut seen: Vec<usize> = batches.iter().flatten().copied().collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..500).collect::<Vec<_>>());
        for batch in &batches {
            let longest = batch.iter().map(|&i| lengths[i]).max().unwrap();
            assert!(batch.len() == 1 || batch.len() * longest <= EMBED_BATCH_TOKENS_MAX);
            assert!(batch.len() <= EMBED_BATCH_TEXTS_MAX);
        }
    }
}
