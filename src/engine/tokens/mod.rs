//! Token counters of the models that contexts are packed for: OpenAI's encodings, which are built in, the tokenizers of other
//! models by the files that the configuration names, and the embedder's own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::base::error::{Error, Result};
use crate::base::tokens::TokenCounter;

mod file;
pub mod openai;

/// A counter and its name: that of an encoding or of a model.
#[derive(Clone)]
pub struct Named {
    /// What counts.
    pub name: String,
    /// It.
    pub counter: Arc<dyn TokenCounter>,
}

/// The counters that there are beside OpenAI's.
#[derive(Default)]
pub struct Counters {
    of_files: BTreeMap<String, Arc<dyn TokenCounter>>,
}

impl Counters {
    /// Loads `tokenizer.json` files by the names of their models.
    ///
    /// # Errors
    /// Precondition, naming the model and the file.
    pub fn load(files: &BTreeMap<String, PathBuf>) -> Result<Self> {
        let load = |(name, path): (&String, &PathBuf)| match file::load(path) {
            Ok(counter) => Ok((name.clone(), counter)),
            Err(error) => {
                Err(Error::new(error.kind(), format!("the tokenizer of {name:?} is unusable: {}", error.chain())))
            }
        };
        Ok(Self { of_files: files.iter().map(load).collect::<Result<_>>()? })
    }

    /// The counter for a model by name, OpenAI's current encoding for none; `local` is the embedder's, with its name.
    ///
    /// # Errors
    /// Invalid for a name that nobody knows, listing what is known.
    pub fn of(&self, model: &str, local: (&str, Arc<dyn TokenCounter>)) -> Result<Named> {
        if let Some(counter) = self.of_files.get(model) {
            return Ok(Named { name: model.to_owned(), counter: Arc::clone(counter) });
        }
        if model == local.0 || model == "local" {
            return Ok(Named { name: local.0.to_owned(), counter: local.1 });
        }
        let model = if model.is_empty() { openai::DEFAULT } else { model };
        if let Some(counter) = openai::counter(model)? {
            return Ok(counter);
        }
        let mut known: Vec<&str> = openai::encodings().chain(["local"]).collect();
        known.extend(self.of_files.keys().map(String::as_str));
        Err(Error::invalid(
            "model",
            format!(
                "no tokenizer is known for model {model:?}: name an OpenAI model or one of {}; the tokenizer.json of another \
                 model can be named in the configuration, under [tokenizers]",
                known.join(", ")
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::Kind;
    use crate::engine::embed::Embedder;
    use crate::engine::embed::fake::FakeEmbedder;

    #[test]
    fn a_model_is_counted_by_its_file_the_embedder_or_openais_encoding() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokenizer.json");
        std::fs::write(&path, file::tests::SYLLABLES).unwrap();
        let counters = Counters::load(&BTreeMap::from([("tiny-llama".to_owned(), path)])).unwrap();
        let local = FakeEmbedder::new(8).counter();
        let of = |model: &str| counters.of(model, ("mini", Arc::clone(&local)));
        for (model, name, tokens) in [
            ("tiny-llama", "tiny-llama", 4),
            ("mini", "mini", 2),
            ("local", "mini", 2),
            ("", openai::DEFAULT, 2),
            ("gpt-4", "cl100k_base", 2),
        ] {
            let found = of(model).unwrap();
            assert_eq!((found.name.as_str(), found.counter.count("hello world")), (name, tokens), "{model}");
        }
        let refused = of("no-such-model").err().unwrap();
        assert_eq!(refused.kind(), Kind::Invalid);
        for word in ["no-such-model", "o200k_base", "local", "tiny-llama", "[tokenizers]"] {
            assert!(refused.message().contains(word), "{word} is not in {refused}");
        }
    }

    #[test]
    fn a_file_that_is_no_tokenizer_is_named_with_its_model() {
        let dir = tempfile::tempdir().unwrap();
        let broken = dir.path().join("broken.json");
        std::fs::write(&broken, "{\"model\": 1}").unwrap();
        for path in [broken, dir.path().join("missing.json")] {
            let refused = Counters::load(&BTreeMap::from([("llama".to_owned(), path.clone())])).err().unwrap();
            assert_eq!(refused.kind(), Kind::Precondition);
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(refused.message().contains("\"llama\"") && refused.message().contains(name), "{refused}");
        }
    }
}
