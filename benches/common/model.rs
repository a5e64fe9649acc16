//! The model that `make setup` left in the cache, in bare fastembed sessions, and what chunking needs of it.
//!
//! This project's own embedder is not used here: a process has one ONNX Runtime environment, and this one is the bare
//! loops'. The server, in a process of its own, has the project's.

use std::path::PathBuf;
use std::sync::Arc;

use fastembed::{InitOptionsUserDefined, Pooling, TextEmbedding, TokenizerFiles, UserDefinedEmbeddingModel};
use hivemem::base::tokens::TokenCounter;
use hivemem::engine::embed::ModelInfo;
use hivemem::engine::embed::wordpiece::MemoCounter;
use ort::environment::Environment;

/// Cores of this machine.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What `make setup` prepared.
pub struct Model {
    /// As the embedder describes it.
    pub info: ModelInfo,
    /// Its tokenizer, as the embedder counts with it.
    pub counter: Arc<dyn TokenCounter>,
    folder: PathBuf,
    environment: Environment,
}

impl Model {
    /// Loads it; says what to do if it is not there.
    pub fn find() -> Option<Self> {
        let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home)?.join("hivemem");
        let Ok(prepared) = std::fs::read(cache.join("env.json")) else {
            println!("skipped: there is no model in {}; run `make setup`", cache.display());
            return None;
        };
        let prepared: serde_json::Value = serde_json::from_slice(&prepared).expect("a valid env.json");
        let path = |key: &str| PathBuf::from(prepared[key].as_str().expect("a path in env.json"));
        let folder = path("model_dir");
        let environment = ort::environment::init_from(path("ort_dylib")).expect("the ONNX Runtime library").build();
        let environment = environment.expect("one environment in this process");
        let session = session(&folder, &environment, 1);
        Some(Self { info: info(&folder), counter: Arc::new(MemoCounter::new(session.tokenizer)), folder, environment })
    }

    /// A bare fastembed session with so many threads.
    pub fn session(&self, threads: usize) -> TextEmbedding {
        session(&self.folder, &self.environment, threads)
    }
}

fn info(folder: &std::path::Path) -> ModelInfo {
    let card = std::fs::read(folder.join("model.json")).expect("a whole model");
    let card: serde_json::Value = serde_json::from_slice(&card).expect("a valid model card");
    let text = |key: &str| card[key].as_str().expect("a text in the model card").to_owned();
    let number = |key: &str| card[key].as_u64().expect("a number in the model card") as usize;
    ModelInfo {
        name: text("name"),
        revision: text("revision"),
        dimension: number("dimension"),
        tokens_max: number("max_tokens"),
    }
}

fn session(folder: &std::path::Path, environment: &Environment, threads: usize) -> TextEmbedding {
    let read = |name: &str| std::fs::read(folder.join(name)).expect("a whole model");
    let tokenizer = TokenizerFiles {
        tokenizer_file: read("tokenizer.json"),
        config_file: read("config.json"),
        special_tokens_map_file: read("special_tokens_map.json"),
        tokenizer_config_file: read("tokenizer_config.json"),
    };
    let model = UserDefinedEmbeddingModel::new(read("model.onnx"), tokenizer).with_pooling(Pooling::Mean);
    let options = InitOptionsUserDefined::new()
        .with_environment(environment.clone())
        .with_max_length(info(folder).tokens_max)
        .with_intra_threads(threads);
    TextEmbedding::try_new_from_user_defined(model, options).expect("a model that loads")
}
