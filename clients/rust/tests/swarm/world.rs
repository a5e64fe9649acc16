//! What every test here begins with.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hivemem_client::proto::Node;
use hivemem_client::swarm::{Backend, Blueprint, MemoryBackend, NodeTypes, RunEnd, Settings, Swarm};
use serde_json::{Value, json};

/// A swarm with a memory of its own and a folder for its scripts.
pub struct World {
    pub backend: Arc<MemoryBackend>,
    pub types: NodeTypes,
    pub settings: Settings,
    pub dir: std::path::PathBuf,
}

impl World {
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("hivemem-swarm-{}-{number}", std::process::id()));
        let mut settings = Settings { backoff_ms: 1, attempts_max: 2, ..Settings::default() };
        settings.scripts.enabled = true;
        settings.scripts.work_dir = dir.clone();
        settings.scripts.wall_ms = 20_000;
        Self { backend: Arc::default(), types: NodeTypes::builtin(), settings, dir }
    }

    pub fn swarm(&self) -> Swarm {
        let backend: Arc<dyn Backend> = self.backend.clone();
        Swarm::new(backend).with_types(self.types.clone()).with_settings(self.settings.clone())
    }

    pub async fn run(&self, swarm: &Swarm, node_type: &str, data: Value) -> RunEnd {
        let run = swarm.create("a test", Blueprint::new(node_type, data)).await.unwrap();
        tokio::time::timeout(Duration::from_secs(60), swarm.resume(&run)).await.unwrap().unwrap()
    }

    pub async fn register(&self, node: Node) {
        self.backend.register_nodes(vec![node], "").await.unwrap();
    }

    pub async fn script(&self, code: &str) -> RunEnd {
        let scripts = json!({"scripted": {"language": "sh", "description": "a test", "script": code}});
        self.types.add_scripts(&scripts.to_string()).unwrap();
        self.run(&self.swarm(), "scripted", json!({"word": "lantern"})).await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
