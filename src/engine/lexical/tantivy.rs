//! The full-text index on tantivy: one directory, one writer.
//!
//! A projection: what cannot be read here, or was written by another version, is thrown away and built again from the
//! catalogue, starting at log position 0.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy};

use super::analyzer::ANALYZER_VERSION;
use super::{LexicalDocument, LexicalIndex, LexicalQuery};
use crate::base::blocking::Door;
use crate::base::error::{Context, Error, Kind, Result};
use crate::base::files::write_atomic;
use crate::base::{DocumentId, Lsn};
use crate::model::{Candidate, Filter, HeldChunk, Namespace};

mod filter;
mod list;
mod query;
mod schema;

use filter::{Compiled, Sets};
use schema::Fields;

/// File beside the index that says which versions wrote it.
const MANIFEST: &str = "hivemem.json";

/// Segments of one size class that are merged into one. A query pays about 20 µs per segment for ten terms, a merge
/// rewrites its segments once per class: with 4, a chunk is rewritten about log4(chunks / 10,000) times.
const MERGE_SEGMENTS_MIN: usize = 4;

/// Segments below this are one size class.
const MERGE_CHUNKS_MIN: u32 = 10_000;

/// Share of deleted chunks at which a segment is rewritten.
const MERGE_DELETED_RATIO: f32 = 0.3;

/// Segments above this are left alone: 2 million chunks are about 1 GiB.
const MERGE_CHUNKS_MAX: usize = 2_000_000;

/// Rounds of a compaction: documents that are deleted meanwhile take another one, merges that overtake it too.
const COMPACT_TRIES: usize = 4;

/// What can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TantivySettings {
    /// Memory of the writer before it cuts a segment; tantivy takes 15 MB at least.
    pub writer_bytes: usize,
}

impl Default for TantivySettings {
    fn default() -> Self {
        Self { writer_bytes: 64 * 1024 * 1024 }
    }
}

/// A [`LexicalIndex`] in one directory. After an error of `replace`, `delete_documents` or `commit` everything since
/// the last commit is gone: read `applied` and replay from there.
pub struct TantivyIndex {
    inner: Arc<Inner>,
    door: Door,
}

struct Inner {
    directory: PathBuf,
    fields: Fields,
    reader: IndexReader,
    writer: Mutex<IndexWriter>,
    applied: AtomicU64,
    sets: Sets,
}

impl TantivyIndex {
    /// Opens the index in `directory`, or makes an empty one there if there is none that can be used.
    ///
    /// Blocks; call it at start or through the door.
    ///
    /// # Errors
    /// [`Kind::Precondition`] if the directory cannot be written.
    pub fn open(directory: &Path, settings: TantivySettings, door: Door) -> Result<Self> {
        std::fs::create_dir_all(directory).context(Kind::Precondition, || {
            format!("cannot create the full-text index {}: check its permissions", directory.display())
        })?;
        let opened = open_existing(directory, settings);
        let inner = match opened {
            Ok(Some(inner)) => inner,
            Ok(None) => create(directory, settings)?,
            // Anything else, a lock held by another server above all, is no reason to throw the index away.
            Err(cause) if cause.kind() != Kind::Corrupt => return Err(cause),
            Err(cause) => {
                tracing::warn!(
                    directory = %directory.display(),
                    cause = cause.chain(),
                    "the full-text index cannot be used and is built again"
                );
                create(directory, settings)?
            }
        };
        Ok(Self { inner: Arc::new(inner), door })
    }

    async fn run<T: Send + 'static>(&self, job: impl FnOnce(&Inner) -> Result<T> + Send + 'static) -> Result<T> {
        let inner = Arc::clone(&self.inner);
        self.door.run(move || job(&inner)).await
    }
}

fn manifest() -> String {
    let (schema, analyzer) = (schema::SCHEMA_VERSION, ANALYZER_VERSION);
    format!("{{\"engine\":\"tantivy 0.27\",\"schema\":{schema},\"analyzer\":{analyzer}}}\n")
}

/// `None` where there is nothing yet.
fn open_existing(directory: &Path, settings: TantivySettings) -> Result<Option<Inner>> {
    let path = directory.join(MANIFEST);
    let found = match std::fs::read_to_string(&path) {
        Ok(found) => found,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound && is_empty(directory) => return Ok(None),
        Err(cause) => {
            return Err(Error::new(Kind::Corrupt, format!("cannot read {}", path.display())).caused_by(cause));
        }
    };
    if found != manifest() {
        return Err(Error::new(Kind::Corrupt, format!("written by another version: {}", found.trim())));
    }
    let corrupt = || format!("cannot open the full-text index {}", directory.display());
    let index = Index::open_in_dir(directory).context(Kind::Corrupt, corrupt)?;
    let (schema, fields) = schema::build();
    if index.schema() != schema {
        return Err(Error::new(Kind::Corrupt, "the fields of the full-text index are not those of this version"));
    }
    let payload = index.load_metas().context(Kind::Corrupt, corrupt)?.payload;
    // No payload: made, but never committed.
    let applied = payload.map_or(Ok(0), |payload| payload.parse()).context(Kind::Corrupt, corrupt)?;
    start(directory, &index, fields, settings, applied).map(Some)
}

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}

fn create(directory: &Path, settings: TantivySettings) -> Result<Inner> {
    let what = || format!("cannot make the full-text index in {}: check permissions and space", directory.display());
    std::fs::remove_dir_all(directory).context(Kind::Precondition, what)?;
    std::fs::create_dir_all(directory).context(Kind::Precondition, what)?;
    let (schema, fields) = schema::build();
    let index = Index::create_in_dir(directory, schema).context(Kind::Precondition, what)?;
    // Last, so that a directory with a manifest always holds an index.
    write_atomic(&directory.join(MANIFEST), manifest().as_bytes())?;
    start(directory, &index, fields, settings, 0)
}

fn start(directory: &Path, index: &Index, fields: Fields, settings: TantivySettings, applied: u64) -> Result<Inner> {
    schema::register(index);
    let what = || format!("cannot start the full-text index in {}", directory.display());
    // One worker and one merge thread: the machine's other cores embed and serve.
    let options = IndexWriterOptions::builder()
        .num_worker_threads(1)
        .num_merge_threads(1)
        .memory_budget_per_thread(settings.writer_bytes)
        .build();
    let writer = index.writer_with_options(options).context(Kind::Precondition, what)?;
    let mut policy = LogMergePolicy::default();
    policy.set_min_num_segments(MERGE_SEGMENTS_MIN);
    policy.set_min_layer_size(MERGE_CHUNKS_MIN);
    policy.set_del_docs_ratio_before_merge(MERGE_DELETED_RATIO);
    policy.set_max_docs_before_merge(MERGE_CHUNKS_MAX);
    writer.set_merge_policy(Box::new(policy));
    collect_garbage(&writer);
    let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into().context(Kind::Corrupt, what)?;
    Ok(Inner {
        directory: directory.to_owned(),
        fields,
        reader,
        writer: Mutex::new(writer),
        applied: AtomicU64::new(applied),
        sets: Sets::default(),
    })
}

/// Removes what a commit that was cut off left. Its replay gives files the same names, and tantivy refuses to write over one.
fn collect_garbage(writer: &IndexWriter) {
    if let Err(cause) = writer.garbage_collect_files().wait() {
        tracing::warn!(%cause, "files that the full-text index does not use could not be removed");
    }
}

impl Inner {
    /// Runs `change` on the writer. If it fails, the writer goes back to the last commit: a worker that met a full disk
    /// is dead, and would refuse everything from then on.
    fn write<T>(&self, change: impl FnOnce(&Self, &mut IndexWriter) -> tantivy::Result<T>) -> Result<T> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        change(self, &mut writer).map_err(|cause| {
            if let Err(cause) = writer.rollback() {
                tracing::error!(%cause, "the full-text index cannot go back to its last commit; restart the server");
            }
            collect_garbage(&writer);
            let message = format!(
                "cannot write the full-text index {}: check the space on its disk; changes since log position {} are \
                 applied again",
                self.directory.display(),
                self.applied.load(Ordering::Acquire)
            );
            Error::internal(message).caused_by(cause)
        })
    }

    fn replace(&self, documents: &[LexicalDocument]) -> Result<()> {
        self.write(|inner, writer| {
            for LexicalDocument { namespace, document, chunks } in documents {
                writer.delete_term(schema::document_term(&inner.fields, namespace, document.id));
                for chunk in chunks {
                    // One by one: the queue to the worker counts entries, so this is what bounds its memory.
                    writer.add_document(schema::entry(&inner.fields, namespace, document, chunk))?;
                }
            }
            Ok(())
        })
    }

    fn delete(&self, namespace: &Namespace, documents: &[DocumentId]) -> Result<()> {
        self.write(|inner, writer| {
            for &document in documents {
                writer.delete_term(schema::document_term(&inner.fields, namespace, document));
            }
            Ok(())
        })
    }

    fn commit(&self, applied: Lsn) -> Result<()> {
        self.write(|inner, writer| {
            let mut prepared = writer.prepare_commit()?;
            prepared.set_payload(&applied.0.to_string());
            prepared.commit()?;
            inner.reader.reload()?;
            // Last: who sees it searches what it stands for.
            inner.applied.store(applied.0, Ordering::Release);
            Ok(())
        })
    }

    /// Merges the segments that hold anything deleted into one without it, then removes their files.
    fn compact(&self) -> Result<bool> {
        let mut worked = false;
        for _ in 0..COMPACT_TRIES {
            let Some(merging) = self.write(|_, writer| {
                let littered: Vec<_> = writer.index().searchable_segment_metas()?;
                let littered: Vec<_> =
                    littered.iter().filter(|meta| meta.num_deleted_docs() > 0).map(|meta| meta.id()).collect();
                Ok((!littered.is_empty()).then(|| writer.merge(&littered)))
            })?
            else {
                break;
            };
            // Without the writer: documents can be written meanwhile. A merge of tantivy's own that takes one of the
            // segments first makes this one fail, and nothing else does; then there is less to do.
            if let Err(cause) = merging.wait() {
                tracing::debug!(%cause, "a merge of the full-text index was overtaken by another");
            }
            worked = true;
        }
        // Files stay as long as a reader has them.
        self.write(|inner, writer| {
            inner.reader.reload()?;
            writer.garbage_collect_files().wait().map(|_| worked)
        })
    }

    fn searched<T>(&self, found: tantivy::Result<T>) -> Result<T> {
        found.context(Kind::Internal, || format!("cannot search the full-text index {}", self.directory.display()))
    }
}

#[async_trait]
impl LexicalIndex for TantivyIndex {
    async fn replace(&self, documents: Vec<LexicalDocument>) -> Result<()> {
        self.run(move |inner| inner.replace(&documents)).await
    }

    async fn delete_documents(&self, namespace: &Namespace, documents: &[DocumentId]) -> Result<()> {
        let (namespace, documents) = (namespace.clone(), documents.to_vec());
        self.run(move |inner| inner.delete(&namespace, &documents)).await
    }

    async fn commit(&self, applied: Lsn) -> Result<()> {
        self.run(move |inner| inner.commit(applied)).await
    }

    fn applied(&self) -> Lsn {
        Lsn(self.inner.applied.load(Ordering::Acquire))
    }

    async fn search(&self, query: &LexicalQuery, filter: &Filter, limit: usize) -> Result<Vec<Candidate>> {
        let inner = &self.inner;
        let search = || {
            let filter = Compiled::new(&inner.fields, filter, &inner.sets);
            inner.searched(query::by_text(&inner.reader.searcher(), &inner.fields, &query.text, &filter, limit))
        };
        self.door.run_here(search).await
    }

    async fn count(&self) -> Result<u64> {
        self.run(|inner| Ok(inner.reader.searcher().num_docs())).await
    }

    async fn namespaces(&self) -> Result<Vec<Namespace>> {
        self.run(|inner| {
            let names = inner.searched(list::namespaces(&inner.reader.searcher(), &inner.fields))?;
            names.iter().map(|name| Namespace::new(name)).collect()
        })
        .await
    }

    async fn held(&self, namespace: &Namespace, documents: Option<&[DocumentId]>) -> Result<Vec<HeldChunk>> {
        let filter = Filter { documents: documents.map(<[DocumentId]>::to_vec), ..Filter::all(namespace.clone()) };
        self.run(move |inner| {
            let filter = Compiled::new(&inner.fields, &filter, &inner.sets);
            inner.searched(list::held(&inner.reader.searcher(), &filter))
        })
        .await
    }

    async fn compact(&self) -> Result<bool> {
        self.run(Inner::compact).await
    }
}

#[cfg(test)]
mod tests;
