//! What a point carries beside its vector, and how filters are put to qdrant. The namespace is not among it: each has a
//! shard of its own.

use qdrant_edge::external::ordered_float::OrderedFloat;
use qdrant_edge::external::serde_json::json;
use qdrant_edge::external::uuid::Uuid;
use qdrant_edge::{
    Condition, CreateIndex, FieldCondition, FieldIndexOperations, Filter as EdgeFilter, IntegerIndexParams,
    IsEmptyCondition, JsonPath, KeywordIndexParams, Match, Payload, PayloadFieldSchema, PayloadSchemaParams, PointId,
    PointOperations, PointStruct, PointStructPersisted, Range, UpdateOperation, UuidIndexParams, WithPayloadInterface,
};

use crate::base::error::{Error, Kind, Result};
use crate::base::{ChunkId, DocumentId};
use crate::engine::vector::VectorPoint;
use crate::model::Filter;

/// Version of the payload; part of the manifest.
pub const PAYLOAD_VERSION: u32 = 2;

const DOCUMENT: &str = "doc";
const SOURCE: &str = "source";
const LANGUAGE: &str = "lang";
const KIND: &str = "kind";
const TAGS: &str = "tags";
const MODIFIED: &str = "modified";

/// The operations that index the payload. They have to run before the first point.
///
/// # Errors
/// [`Kind::Internal`] if a field name is no path, which cannot be.
pub fn index_operations() -> Result<Vec<UpdateOperation>> {
    // No graphs per value: they did not keep recall when a filter goes together with the vectors (.75 of the best ten
    // found where one cluster in three passed), so filtered searches scan instead.
    let keyword = KeywordIndexParams { enable_hnsw: Some(false), ..KeywordIndexParams::default() };
    let uuid = UuidIndexParams { enable_hnsw: Some(false), ..UuidIndexParams::default() };
    let number = IntegerIndexParams {
        lookup: Some(false),
        range: Some(true),
        enable_hnsw: Some(false),
        ..IntegerIndexParams::default()
    };
    let fields = [
        (DOCUMENT, PayloadSchemaParams::Uuid(uuid.clone())),
        (SOURCE, PayloadSchemaParams::Uuid(uuid)),
        (LANGUAGE, PayloadSchemaParams::Keyword(keyword.clone())),
        (KIND, PayloadSchemaParams::Keyword(keyword.clone())),
        (TAGS, PayloadSchemaParams::Keyword(keyword)),
        (MODIFIED, PayloadSchemaParams::Integer(number)),
    ];
    fields
        .into_iter()
        .map(|(name, schema)| {
            let create =
                CreateIndex { field_name: path(name)?, field_schema: Some(PayloadFieldSchema::FieldParams(schema)) };
            Ok(UpdateOperation::FieldIndexOperation(FieldIndexOperations::CreateIndex(create)))
        })
        .collect()
}

/// The operations that make the indexes of the payload anew from the payloads, and remove points that have none.
///
/// # Errors
/// As [`index_operations`].
pub fn repair_operations() -> Result<Vec<UpdateOperation>> {
    let mut operations = Vec::new();
    for name in [DOCUMENT, SOURCE, LANGUAGE, KIND, TAGS, MODIFIED] {
        operations.push(UpdateOperation::FieldIndexOperation(FieldIndexOperations::DeleteIndex(path(name)?)));
    }
    operations.extend(index_operations()?);
    let bare = Condition::IsEmpty(IsEmptyCondition::from(path(DOCUMENT)?));
    let bare = EdgeFilter { must: Some(vec![bare]), ..EdgeFilter::new() };
    operations.push(UpdateOperation::PointOperation(PointOperations::DeletePointsByFilter(bare)));
    Ok(operations)
}

fn path(name: &str) -> Result<JsonPath> {
    name.parse().map_err(|()| Error::internal(format!("{name:?} is no payload field")))
}

/// The point of a chunk.
pub fn point(point: VectorPoint) -> PointStructPersisted {
    let VectorPoint { chunk, namespace: _, document, vector } = point;
    let mut payload = json!({
        DOCUMENT: document.id.to_string(),
        SOURCE: document.source.to_string(),
        KIND: document.kind.as_str(),
    });
    if let Some(language) = &document.language {
        payload[LANGUAGE] = json!(language);
    }
    if !document.tags.is_empty() {
        payload[TAGS] = json!(document.tags);
    }
    if let Some(modified) = document.modified_at {
        payload[MODIFIED] = json!(modified.0);
    }
    PointStruct::new(point_id(chunk), vector, payload).into()
}

/// An id that no chunk has: those are UUIDs of version 5, this has no version.
pub fn filler_id(number: u128) -> PointId {
    PointId::Uuid(Uuid::from_u128(number))
}

/// A point with every field that there is, to be removed again.
pub fn filler(id: PointId, dimension: usize) -> PointStructPersisted {
    let nobody = Uuid::nil().to_string();
    let payload = json!({ DOCUMENT: nobody, SOURCE: nobody, KIND: "", LANGUAGE: "", TAGS: [""], MODIFIED: 0 });
    PointStruct::new(id, vec![0.0_f32; dimension], payload).into()
}

/// The point id of a chunk: the same UUID.
pub fn point_id(chunk: ChunkId) -> PointId {
    PointId::Uuid(Uuid::from_u128(chunk.as_u128()))
}

/// The inverse of [`point_id`].
///
/// # Errors
/// [`Kind::Corrupt`] if the point was not written by this index.
pub fn chunk_id(point: PointId) -> Result<ChunkId> {
    match point {
        PointId::Uuid(uuid) => Ok(ChunkId::from_u128(uuid.as_u128())),
        PointId::NumId(number) => Err(Error::new(
            Kind::Corrupt,
            format!("the vector index holds the foreign point {number}: remove its directory"),
        )),
    }
}

/// What to read of a point to know its document.
///
/// # Errors
/// As [`index_operations`].
pub fn with_document() -> Result<WithPayloadInterface> {
    Ok(WithPayloadInterface::Fields(vec![path(DOCUMENT)?]))
}

/// The document in a point's payload; all zeros if there is none.
pub fn document_of(payload: Option<&Payload>) -> DocumentId {
    let text = payload.and_then(|payload| payload.0.get(DOCUMENT)?.as_str());
    text.and_then(DocumentId::parse).unwrap_or(DocumentId::from_u128(0))
}

/// A filter within one namespace, in qdrant's terms.
pub enum Compiled {
    /// Everything passes.
    All,
    /// What meets these conditions passes.
    Some(EdgeFilter),
    /// Nothing can pass.
    None,
}

/// `filter` without its namespace.
///
/// # Errors
/// As [`index_operations`].
pub fn compile(filter: &Filter) -> Result<Compiled> {
    if filter.documents.as_ref().is_some_and(Vec::is_empty) {
        return Ok(Compiled::None);
    }
    let mut must = Vec::new();
    if let Some(documents) = &filter.documents {
        must.push(any_of(DOCUMENT, documents.iter().map(ToString::to_string))?);
    }
    if !filter.sources.is_empty() {
        must.push(any_of(SOURCE, filter.sources.iter().map(ToString::to_string))?);
    }
    if !filter.languages.is_empty() {
        must.push(any_of(LANGUAGE, filter.languages.iter().cloned())?);
    }
    if !filter.kinds.is_empty() {
        must.push(any_of(KIND, filter.kinds.iter().map(|kind| kind.as_str().to_owned()))?);
    }
    if !filter.tags.is_empty() {
        must.push(any_of(TAGS, filter.tags.iter().cloned())?);
    }
    if filter.modified_from.is_some() || filter.modified_until.is_some() {
        // Microseconds are exact in an f64 up to the year 2255.
        let bound = |time: i64| OrderedFloat(time as f64);
        let range = Range {
            gte: filter.modified_from.map(|time| bound(time.0)),
            lt: filter.modified_until.map(|time| bound(time.0)),
            gt: None,
            lte: None,
        };
        must.push(Condition::Field(FieldCondition::new_range(path(MODIFIED)?, range)));
    }
    if must.is_empty() {
        return Ok(Compiled::All);
    }
    Ok(Compiled::Some(EdgeFilter { must: Some(must), ..EdgeFilter::new() }))
}

/// All points of `documents`.
///
/// # Errors
/// As [`index_operations`].
pub fn of_documents(documents: &[DocumentId]) -> Result<EdgeFilter> {
    let must = vec![any_of(DOCUMENT, documents.iter().map(ToString::to_string))?];
    Ok(EdgeFilter { must: Some(must), ..EdgeFilter::new() })
}

fn any_of(field: &str, values: impl Iterator<Item = String>) -> Result<Condition> {
    let values = Match::from(values.collect::<Vec<String>>());
    Ok(Condition::Field(FieldCondition::new_match(path(field)?, values)))
}
