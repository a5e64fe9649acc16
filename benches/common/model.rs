//! The model that `make setup` left in the cache, for this project's embedder and for bare fastembed sessions.

use std::path::PathBuf;

use fastembed::{InitOptionsUserDefined, Pooling, TextEmbedding, TokenizerFiles, UserDefinedEmbeddingModel};
use hivemem::engine::embed::local::{LocalEmbedder, LocalOptions, ModelSource};

/// Cores of this machine.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What `make setup` prepared.
pub struct Model {
    runtime: PathBuf,
    folder: PathBuf,
}

impl Model {
    /// Finds it; says what to do if it is not there.
    pub fn find() -> Option<Self> {
        let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home)?.join("hivemem");
        let Ok(prepared) = std::fs::read(cache.join("env.json")) else {
            println!("skipped: there is no model in {}; run `make setup`", cache.display());
            return None;
        };
        let prepared: serde_json::Value = serde_json::from_slice(&prepared).expect("a valid env.json");
        let path = |key: &str| PathBuf::from(prepared[key].as_str().expect("a path in env.json"));
        Some(Self { runtime: path("ort_dylib"), folder: path("model_dir") })
    }

    /// This project's embedder, as the server configures it.
    pub fn embedder(&self) -> LocalEmbedder {
        let options = LocalOptions {
            source: ModelSource::Folder(self.folder.clone()),
            runtime: self.runtime.clone(),
            sessions: cores(),
            query_threads: cores().min(4),
        };
        LocalEmbedder::load(&options).expect("a model that loads")
    }

    /// A bare fastembed session with so many threads. Call after [`Self::embedder`], which loads the runtime.
    pub fn session(&self, threads: usize) -> TextEmbedding {
        let read = |name: &str| std::fs::read(self.folder.join(name)).expect("a whole model");
        let tokenizer = TokenizerFiles {
            tokenizer_file: read("tokenizer.json"),
            config_file: read("config.json"),
            special_tokens_map_file: read("special_tokens_map.json"),
            tokenizer_config_file: read("tokenizer_config.json"),
        };
        let model = UserDefinedEmbeddingModel::new(read("model.onnx"), tokenizer).with_pooling(Pooling::Mean);
        let options = InitOptionsUserDefined::new().with_max_length(256).with_intra_threads(threads);
        TextEmbedding::try_new_from_user_defined(model, options).expect("a model that loads")
    }
}
