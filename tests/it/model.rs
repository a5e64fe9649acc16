//! A second model to change to.

use std::path::{Path, PathBuf};

/// A copy of the local model in `dir` with another revision in its card, which for the server is another model.
pub fn under_another_revision(dir: &Path) -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"), PathBuf::from);
    let copy = dir.join("model");
    std::fs::create_dir(&copy).unwrap();
    let model = cache.join("hivemem/models/all-minilm-l6-v2-int8");
    for file in std::fs::read_dir(model).expect("run `make setup` first") {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.join(file.file_name())).unwrap();
    }
    let card = std::fs::read_to_string(copy.join("model.json")).unwrap();
    let mut card: serde_json::Value = serde_json::from_str(&card).unwrap();
    card["revision"] = "another".into();
    std::fs::write(copy.join("model.json"), card.to_string()).unwrap();
    copy
}
