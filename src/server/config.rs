//! Configuration: raw file → validated values. The default file is embedded and explained key by key; a file of the
//! user's is laid over it, and whatever is wrong in it refuses to start and names the key.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::environment::Environment;
use super::{credentials, sets};
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::limits::GATE_BYTES_MAX;
use crate::engine::embed::local::{LocalOptions, ModelSource};
use crate::engine::parse::ChunkSizes;
use crate::engine::parse::formats::apart::Reader;
use crate::engine::store::credentials::Credentials;
use crate::engine::store::guard::Guard;
use crate::flow::gate::{Gate, Question};
use crate::flow::put::InputDocument;
use crate::flow::runs::Retention;

/// Longest time that ended runs are kept, if not for ever: a hundred years.
const RETENTION_DAYS_MAX: u32 = 36_500;

/// The default file.
pub const DEFAULT: &str = include_str!("../../config/default.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    listen: String,
    data_dir: String,
    token: String,
    embedder: RawEmbedder,
    chunks: RawChunks,
    ingest: RawIngest,
    runs: RawRuns,
    network: RawNetwork,
    tokenizers: BTreeMap<String, PathBuf>,
    credentials: BTreeMap<String, toml::Table>,
    log: RawLog,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEmbedder {
    model_dir: String,
    model: String,
    runtime: String,
    sessions: usize,
    query_threads: usize,
    gate: String,
    gate_loss_max: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawChunks {
    tokens_max: usize,
    header_tokens_max: usize,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawIngest {
    roots: Vec<PathBuf>,
    crawl_delay_min_ms: u64,
    github_api: String,
    github_web: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRuns {
    compact_after_days: u32,
    remove_after_days: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNetwork {
    allow_private: bool,
    allow_hosts: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLog {
    filter: String,
}

/// What the server runs with.
#[derive(Debug, Clone)]
pub struct Config {
    /// `HOST:PORT`.
    pub listen: String,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// Token that callers must bring.
    pub token: Option<String>,
    /// The embedding model.
    pub embedder: LocalOptions,
    /// What another model has to pass.
    pub gate: Option<Arc<Gate>>,
    /// `tokenizer.json` files by the names of the models that contexts are packed for.
    pub tokenizers: BTreeMap<String, PathBuf>,
    /// Sizes of chunks.
    pub chunks: ChunkSizes,
    /// Folders that sources may lie in; empty: anywhere.
    pub roots: Vec<PathBuf>,
    /// Where documents are read that may be hostile.
    pub reader: Reader,
    /// How long ended runs are kept.
    pub retention: Retention,
    /// Least time between two requests of a crawl to another machine.
    pub crawl_delay_min: Duration,
    /// Where GitHub is: its API, and its repositories.
    pub github: (String, String),
    /// Which hosts may be spoken to.
    pub guard: Guard,
    /// Named keys to what is not public.
    pub credentials: Credentials,
    /// Filter of the log.
    pub log_filter: String,
}

impl Config {
    /// Loads `file` over the defaults.
    ///
    /// # Errors
    /// Precondition, naming the file and the key that is wrong.
    pub fn load(file: Option<&Path>, environment: &Environment) -> Result<Self> {
        let text = match file {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path).context(Kind::Precondition, || {
                format!("cannot read the configuration file {}: check the path given to --config", path.display())
            })?,
        };
        Self::parse(&text, environment).map_err(|error| match file {
            None => error,
            Some(path) => Error::new(Kind::Precondition, format!("{}: {}", path.display(), error.message())),
        })
    }

    fn parse(text: &str, environment: &Environment) -> Result<Self> {
        let bad = |cause: toml::de::Error| {
            Error::new(Kind::Precondition, format!("bad configuration: {}", cause.to_string().trim()))
        };
        let mut merged: toml::Table = DEFAULT.parse().map_err(bad)?;
        overlay(&mut merged, text.parse::<toml::Table>().map_err(bad)?);
        let raw: Raw = merged.try_into().map_err(bad)?;
        Self::validate(raw, environment)
    }

    fn validate(raw: Raw, environment: &Environment) -> Result<Self> {
        let bad = |key: &str, what: String| Error::new(Kind::Precondition, format!("bad configuration: {key} {what}"));
        check_listen("listen", &raw.listen)?;
        if raw.chunks.tokens_max < 32 || raw.chunks.tokens_max > 8_192 {
            return Err(bad("chunks.tokens_max", format!("is {}, it must be 32 to 8192", raw.chunks.tokens_max)));
        }
        if raw.chunks.header_tokens_max > 512 {
            return Err(bad(
                "chunks.header_tokens_max",
                format!("is {}, it must be 0 to 512", raw.chunks.header_tokens_max),
            ));
        }
        if raw.embedder.sessions > 64 || raw.embedder.query_threads > 64 {
            return Err(bad("embedder.sessions and embedder.query_threads", "must be at most 64".to_owned()));
        }
        if let Some(gone) = raw.ingest.roots.iter().find(|root| !root.is_dir()) {
            return Err(bad("ingest.roots", format!("names {}, which is no folder", gone.display())));
        }
        let no_home = |key: &str| bad(key, "is empty and HOME is not set: give a folder".to_owned());
        let data_dir = non_empty(&raw.data_dir).map(PathBuf::from).or_else(|| environment.data_dir.clone());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let or_cores = |wanted: usize, most: usize| if wanted == 0 { cores.min(most) } else { wanted };
        let gate = gate(&raw.embedder)?;
        let retention = retention(&raw.runs)?;
        Ok(Self {
            gate,
            tokenizers: raw.tokenizers,
            listen: raw.listen,
            data_dir: data_dir.ok_or_else(|| no_home("data_dir"))?,
            token: environment.token.clone().or_else(|| non_empty(&raw.token).map(str::to_owned)),
            embedder: LocalOptions {
                source: model_source(&raw.embedder, environment).ok_or_else(|| no_home("embedder.model_dir"))?,
                runtime: runtime(&raw.embedder, environment).ok_or_else(|| no_home("embedder.runtime"))?,
                sessions: or_cores(raw.embedder.sessions, 64),
                query_threads: match raw.embedder.query_threads {
                    0 => query_threads(cores),
                    given => given,
                },
            },
            chunks: ChunkSizes { tokens_max: raw.chunks.tokens_max, header_tokens_max: raw.chunks.header_tokens_max },
            roots: raw.ingest.roots,
            reader: Reader::Here,
            retention,
            crawl_delay_min: Duration::from_millis(raw.ingest.crawl_delay_min_ms),
            github: (raw.ingest.github_api, raw.ingest.github_web),
            guard: Guard::new(raw.network.allow_private, &raw.network.allow_hosts),
            credentials: credentials::read(raw.credentials, environment)?,
            log_filter: raw.log.filter,
        })
    }
}

/// How long ended runs are kept; 0 days: for ever.
fn retention(raw: &RawRuns) -> Result<Retention> {
    let days = |key: &str, days: u32| match days {
        0 => Ok(None),
        1..=RETENTION_DAYS_MAX => Ok(Some(Duration::from_secs(u64::from(days) * 86_400))),
        _ => {
            let message = format!("bad configuration: runs.{key} is {days}, it must be 0 to {RETENTION_DAYS_MAX}");
            Err(Error::new(Kind::Precondition, message))
        }
    };
    Ok(Retention {
        compact_after: days("compact_after_days", raw.compact_after_days)?,
        remove_after: days("remove_after_days", raw.remove_after_days)?,
    })
}

fn non_empty(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// What `make setup` wrote about the files it prepared.
#[derive(Debug, Deserialize)]
struct Prepared {
    ort_dylib: PathBuf,
    model_dir: PathBuf,
}

fn prepared(environment: &Environment) -> Option<Prepared> {
    let bytes = std::fs::read(environment.cache_dir.as_ref()?.join("env.json")).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn model_source(raw: &RawEmbedder, environment: &Environment) -> Option<ModelSource> {
    if let Some(name) = non_empty(&raw.model) {
        let cache = environment.cache_dir.as_ref()?.join("catalogue");
        return Some(ModelSource::Catalogue { name: name.to_owned(), cache });
    }
    if let Some(folder) = non_empty(&raw.model_dir) {
        return Some(ModelSource::Folder(PathBuf::from(folder)));
    }
    let usual = || environment.cache_dir.as_ref().map(|cache| cache.join("models/all-minilm-l6-v2-int8"));
    prepared(environment).map(|prepared| prepared.model_dir).or_else(usual).map(ModelSource::Folder)
}

/// The set that another model has to pass, read and checked.
fn gate(raw: &RawEmbedder) -> Result<Option<Arc<Gate>>> {
    let bad = |key: &str, what: String| Error::new(Kind::Precondition, format!("bad configuration: {key} {what}"));
    if !(0.0..=1.0).contains(&raw.gate_loss_max) {
        return Err(bad("embedder.gate_loss_max", format!("is {}, it must be 0 to 1", raw.gate_loss_max)));
    }
    let Some(dir) = non_empty(&raw.gate).map(Path::new) else { return Ok(None) };
    let unusable =
        |error: Error| bad("embedder.gate", format!("is no usable set: {}: {}", dir.display(), error.chain()));
    let bytes = sets::retrieval_bytes(dir);
    if bytes > GATE_BYTES_MAX {
        return Err(bad(
            "embedder.gate",
            format!("is {}, of {bytes} bytes; the limit is {GATE_BYTES_MAX}: give a smaller set", dir.display()),
        ));
    }
    let set = sets::read_retrieval(dir).map_err(unusable)?;
    let documents = set.documents.into_iter().map(|document| InputDocument {
        uri: document.uri(),
        title: Some(document.title),
        content: document.text.into_bytes(),
        ..InputDocument::default()
    });
    let by_uri = |gains: HashMap<String, u32>| gains.into_iter().map(|(id, gain)| (sets::uri(&id), gain)).collect();
    let questions = set.queries.into_iter().map(|query| Question { text: query.text, gains: by_uri(query.gains) });
    let gate = Gate::new(set.name, documents.collect(), questions.collect(), raw.gate_loss_max);
    gate.map(|gate| Some(Arc::new(gate))).map_err(unusable)
}

fn runtime(raw: &RawEmbedder, environment: &Environment) -> Option<PathBuf> {
    let given = non_empty(&raw.runtime).map(PathBuf::from).or_else(|| environment.runtime.clone());
    let usual = || environment.cache_dir.as_ref().map(|cache| cache.join("libonnxruntime.so"));
    given.or_else(|| prepared(environment).map(|prepared| prepared.ort_dylib)).or_else(usual)
}

/// Lays `over` onto `base`, table by table.
fn overlay(base: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(base)), toml::Value::Table(over)) => overlay(base, over),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// An address to listen on; `name` is what gave it, for the message.
///
/// # Errors
/// Precondition if it is not HOST:PORT.
pub(super) fn check_listen(name: &str, listen: &str) -> Result<()> {
    let sound = listen.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    let message = || format!("bad configuration: {name} is {listen:?}, it must be HOST:PORT, such as 127.0.0.1:7411");
    if sound { Ok(()) } else { Err(Error::new(Kind::Precondition, message())) }
}

/// Threads that embed a query where no number is configured. Half of the cores: with all of them words and SQLite wait for the
/// model (8 ms became 5 at 100,000 chunks). All of them where the processor multiplies bytes slowly: the model then takes longer
/// than all the rest, and a second thread shortens a search on two cores from 10.7 to 7.6 ms.
fn query_threads(cores: usize) -> usize {
    #[cfg(target_arch = "x86_64")]
    let is_quick = is_x86_feature_detected!("avx512vnni") || is_x86_feature_detected!("avxvnni");
    #[cfg(not(target_arch = "x86_64"))]
    let is_quick = true;
    let threads = if is_quick { cores / 2 } else { cores };
    threads.clamp(1, 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        Environment {
            data_dir: Some("/data".into()),
            cache_dir: Some("/no-such-cache".into()),
            runtime: None,
            token: None,
            ..Environment::default()
        }
    }

    #[test]
    fn the_embedded_default_is_valid_and_explains_every_key() {
        let config = Config::parse("", &environment()).unwrap();
        assert_eq!(config.listen, "127.0.0.1:7411");
        assert_eq!(config.data_dir, PathBuf::from("/data"));
        let model_reads = 256 - 2;
        assert!(config.chunks.tokens_max + config.chunks.header_tokens_max <= model_reads);
        let mut previous = "";
        for line in DEFAULT.lines() {
            if (line.contains(" = ") || ["[credentials]", "[tokenizers]"].contains(&line)) && !line.starts_with('#') {
                assert!(previous.starts_with('#'), "{line} has no explanation above it");
            }
            previous = line;
        }
    }

    #[test]
    fn a_users_file_changes_only_its_own_keys() {
        let config = Config::parse("[chunks]\ntokens_max = 100\n", &environment()).unwrap();
        assert_eq!((config.chunks.tokens_max, config.chunks.header_tokens_max), (100, 44));
    }

    #[test]
    fn tokenizers_are_files_by_model() {
        let config =
            Config::parse("[tokenizers]\n\"llama-3.1\" = \"/models/llama/tokenizer.json\"\n", &environment()).unwrap();
        assert_eq!(config.tokenizers["llama-3.1"], PathBuf::from("/models/llama/tokenizer.json"));
    }

    #[test]
    fn ended_runs_are_kept_for_as_long_as_the_file_says() {
        let days = |days: u64| Some(Duration::from_secs(days * 86_400));
        let retention = Config::parse("", &environment()).unwrap().retention;
        assert_eq!(retention, Retention { compact_after: days(7), remove_after: days(90) });
        let text = "[runs]\ncompact_after_days = 1\nremove_after_days = 0\n";
        let retention = Config::parse(text, &environment()).unwrap().retention;
        assert_eq!(retention, Retention { compact_after: days(1), remove_after: None });
    }

    #[test]
    fn a_gate_is_read_at_the_start_and_what_is_wrong_with_it_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let parse = || Config::parse(&format!("[embedder]\ngate = {:?}\n", dir.path()), &environment());
        let refused = |what: &str| {
            let error = parse().unwrap_err();
            assert_eq!(error.kind(), Kind::Precondition);
            assert!(error.message().contains("embedder.gate") && error.message().contains(what), "{error}");
        };
        refused("corpus.jsonl");
        write("corpus.jsonl", "{\"id\":\"a\",\"text\":\"x\"}\n{oops}\n");
        refused("corpus.jsonl line 2");
        write("corpus.jsonl", "{\"id\":\"a\",\"text\":\"x\"}\n");
        write("queries.jsonl", "{\"id\":\"q\",\"text\":\"?\"}\n");
        write("qrels.tsv", "head\nq\tb\t1\n");
        refused("no question wants a document");
        write("qrels.tsv", "head\nq\ta\t1\n");
        assert!(parse().unwrap().gate.is_some());
        assert!(Config::parse("", &environment()).unwrap().gate.is_none());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, key) in [
            ("chunk = 1", "chunk"),
            ("[embedder]\nmodle = \"x\"", "modle"),
            ("listen = \"here\"", "listen"),
            ("listen = \":7411\"", "HOST:PORT"),
            ("listen = \"127.0.0.1:99999\"", "HOST:PORT"),
            ("[chunks]\ntokens_max = 3", "chunks.tokens_max"),
            ("[embedder]\ngate = \"/no/such/set\"", "embedder.gate is no usable set: /no/such/set"),
            ("[embedder]\ngate_loss_max = 1.5", "embedder.gate_loss_max"),
            ("[embedder]\ngate_loss_max = nan", "embedder.gate_loss_max"),
            ("[chunks]\ntokens_max = \"many\"", "tokens_max"),
            ("[runs]\nremove_after_days = 40000", "runs.remove_after_days"),
            ("[runs]\ncompact_after_days = -1", "compact_after_days"),
            ("[tokenizers]\nllama = 3", "tokenizers"),
            ("listen = ", "listen"),
            ("[ingest]\nroots = [\"/no/such/folder\"]", "/no/such/folder"),
        ] {
            let error = Config::parse(text, &environment()).unwrap_err();
            assert_eq!(error.kind(), Kind::Precondition);
            assert!(error.message().contains(key), "{text:?} gave {error}");
        }
    }
}
