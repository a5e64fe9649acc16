//! What documents say of the graph: one compressed value each.

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;

use super::bulk::{Bound, Columns, for_each, json_hex};
use super::connect::{Connections, begin_read};
use super::documents::{DOCUMENT_COLUMNS, document, document_columns};
use super::fault::unreadable;
use crate::base::DocumentId;
use crate::base::error::{Error, Result};
use crate::engine::catalog::StatedDocument;
use crate::model::{Alias, DocumentWrite, Facts, Namespace, Span};

/// Version of the encoding, its first byte. A value of an unknown version counts as none: the document is read again when its
/// recipe changes, which names the version of the facts.
const VERSION: u8 = 2;

/// The version without [`Body::aliases`]. It is still read: what was remembered or put cannot be read again.
const VERSION_WITHOUT_ALIASES: u8 = 1;

/// As it is encoded. Terms are differences, which take three bytes instead of five.
#[derive(Serialize, Deserialize)]
struct Body {
    chunks: Vec<Span>,
    facts: Facts,
    aliases: Vec<Alias>,
}

/// The stored form of what `write` says.
pub(super) fn encode(write: &DocumentWrite) -> Result<Vec<u8>> {
    let chunks = write.chunks.iter().map(|chunk| chunk.span).collect();
    let mut body = Body { chunks, facts: write.facts.clone(), aliases: write.facts.aliases.clone() };
    for terms in &mut body.facts.terms {
        let mut before = 0;
        for term in terms {
            (*term, before) = (*term - before, *term);
        }
    }
    let plain =
        postcard::to_allocvec(&body).map_err(|cause| Error::internal("cannot encode facts").caused_by(cause))?;
    let mut stored = vec![VERSION];
    stored.extend(lz4_flex::compress_prepend_size(&plain));
    Ok(stored)
}

fn decode(stored: &[u8]) -> Result<Body> {
    let nothing = Body { chunks: Vec::new(), facts: Facts { partial: true, ..Facts::default() }, aliases: Vec::new() };
    let Some((&version, packed)) = stored.split_first() else { return Ok(nothing) };
    if ![VERSION, VERSION_WITHOUT_ALIASES].contains(&version) {
        return Ok(nothing);
    }
    let mut plain =
        lz4_flex::decompress_size_prepended(packed).map_err(|cause| unreadable("facts").caused_by(cause))?;
    if version == VERSION_WITHOUT_ALIASES {
        plain.push(0);
    }
    let mut body: Body = postcard::from_bytes(&plain).map_err(|cause| unreadable("facts").caused_by(cause))?;
    body.facts.aliases = std::mem::take(&mut body.aliases);
    for terms in &mut body.facts.terms {
        let mut sum = 0_u32;
        for term in terms {
            sum = sum.wrapping_add(*term);
            *term = sum;
        }
    }
    Ok(body)
}

fn stated(row: &SqliteRow) -> Result<StatedDocument> {
    let body = match row.at::<Option<&[u8]>>(DOCUMENT_COLUMNS + 1)? {
        Some(stored) => decode(stored)?,
        None => decode(&[])?,
    };
    Ok(StatedDocument { document: document(row)?, chunks: body.chunks, facts: body.facts })
}

/// See `Catalog::facts`.
pub(super) async fn facts(
    connections: &Connections,
    namespace: &Namespace,
    documents: &[DocumentId],
) -> Result<Vec<StatedDocument>> {
    let query: Bound<'_> = sqlx::query(concat!(
        "SELECT ",
        document_columns!(),
        ", d.key, f.body FROM documents AS d CROSS JOIN sources AS s ON s.key = d.source \
         LEFT JOIN facts AS f ON f.document = d.key \
         WHERE +d.namespace = (SELECT key FROM namespaces WHERE name = ?1) \
         AND d.id IN (SELECT unhex(value) FROM json_each(?2)) ORDER BY d.key"
    ))
    .bind(namespace.as_str())
    .bind(json_hex(documents.iter().map(|id| id.as_bytes().as_slice())));
    let mut found = Vec::with_capacity(documents.len());
    let mut reader = connections.reader().await?;
    let mut transaction = begin_read(&mut reader).await?;
    for_each(&mut transaction, query, |row| {
        found.push(stated(row)?);
        Ok(())
    })
    .await?;
    Ok(found)
}

/// See `Catalog::facts_after`.
pub(super) async fn facts_after(
    connections: &Connections,
    namespace: &Namespace,
    after: i64,
    limit: usize,
) -> Result<(Vec<StatedDocument>, i64)> {
    let query: Bound<'_> = sqlx::query(concat!(
        "SELECT ",
        document_columns!(),
        ", d.key, f.body FROM documents AS d CROSS JOIN sources AS s ON s.key = d.source \
         LEFT JOIN facts AS f ON f.document = d.key \
         WHERE d.namespace = (SELECT key FROM namespaces WHERE name = ?1) AND d.key > ?2 ORDER BY d.key LIMIT ?3"
    ))
    .bind(namespace.as_str())
    .bind(after)
    .bind(limit as i64);
    let (mut found, mut last) = (Vec::new(), after);
    let mut reader = connections.reader().await?;
    let mut transaction = begin_read(&mut reader).await?;
    for_each(&mut transaction, query, |row| {
        last = row.at(DOCUMENT_COLUMNS)?;
        found.push(stated(row)?);
        Ok(())
    })
    .await?;
    Ok((found, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(version: u8, body: &impl Serialize) -> Vec<u8> {
        let mut stored = vec![version];
        stored.extend(lz4_flex::compress_prepend_size(&postcard::to_allocvec(body).unwrap()));
        stored
    }

    #[test]
    fn what_is_encoded_comes_back_and_another_version_is_nothing() {
        let aliases = vec![Alias { name: "bmw".into(), of: "bayerische motoren werke".into(), at: 7 }];
        let (terms, titles) = (vec![vec![3, 90, 16_000_000], vec![]], vec!["a b".into()]);
        let facts = Facts { terms, titles, aliases: aliases.clone(), ..Facts::default() };
        let chunks = vec![Span { start: 0, end: 9 }];
        let mut encoded = facts.clone();
        encoded.terms[0] = vec![3, 87, 15_999_910];
        let mut stored = packed(VERSION, &(&chunks, &encoded, &aliases));
        let back = decode(&stored).unwrap();
        assert_eq!((&back.facts, &back.chunks), (&facts, &chunks));
        let older = decode(&packed(VERSION_WITHOUT_ALIASES, &(&chunks, &encoded))).unwrap();
        assert_eq!((older.facts, older.chunks), (Facts { aliases: Vec::new(), ..facts }, chunks));
        stored[0] = 99;
        assert!(decode(&stored).unwrap().facts.partial);
        stored[0] = VERSION;
        stored.truncate(7);
        assert!(decode(&stored).is_err());
    }
}
