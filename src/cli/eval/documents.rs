//! Measuring a retrieval set: each corpus line is put as one document; queries are answered by documents, ranked by their
//! best chunk, or by characters where the set has spans.

use std::collections::HashMap;
use std::time::Instant;

use hivemem_client::Client;
use hivemem_client::proto::{Hit, InputDocument, PutDocumentsRequest, SearchRequest};
use serde_json::{Value, json};

use super::super::args::EvalArgs;
use super::super::failure::Failure;
use super::super::progress::query_bar;
use super::super::render;
use super::host::{Asker, ResultsFile, follow};
use super::report::{Measure, Part, Scored};
use crate::rank::metrics::{K, SPAN_K, Span, rank_documents, score_spans};
use crate::server::sets::{Document, Query, RetrievalSet};

/// Measures one set in the client's namespace.
pub(super) async fn measure(
    client: &Client,
    set: RetrievalSet,
    args: &EvalArgs,
    adversarial_apart: bool,
    results: &mut ResultsFile,
) -> Result<Part, Failure> {
    let corpus = Corpus::new(&set.documents, set.by_spans);
    let documents: Vec<InputDocument> = set.documents.into_iter().map(input).collect();
    let began = Instant::now();
    let started = client.put_documents(PutDocumentsRequest::default(), documents).await;
    let (ingest_s, _) = follow(&set.name, began, started).await?;

    let queries = &set.queries[..set.queries.len().min(args.limit.unwrap_or(usize::MAX))];
    let bar = query_bar(&set.name, queries.len());
    let mut asker = Asker::default();
    let mut scored = Vec::with_capacity(queries.len());
    for query in queries {
        let (hits, ms) = asker.ask(client, &query.id, request(query, set.by_spans, args)).await?;
        let (measure, returned) =
            if set.by_spans { by_spans(&corpus, query, &hits)? } else { by_documents(&corpus, query, &hits)? };
        results.write(&json!({"set": set.name, "id": query.id, "results": returned}))?;
        scored.push(Scored { measure, ms, adversarial: adversarial_apart && query.adversarial });
        bar.inc(1);
    }
    bar.finish_and_clear();
    asker.report(&set.name);
    Ok(Part { name: set.name, scored, ingest_s })
}

fn request(query: &Query, by_spans: bool, args: &EvalArgs) -> SearchRequest {
    // Documents are asked for as documents: one hit each, its best chunk. Spans are judged chunk by chunk.
    let (k, per_document_max) = if by_spans { (SPAN_K, 0) } else { (K, 1) };
    SearchRequest {
        query: query.text.clone(),
        k: Some(k as u32),
        mode: args.mode.map_or(0, |mode| mode.wire()),
        per_document_max: args.per_document.unwrap_or(per_document_max),
        ..SearchRequest::default()
    }
}

fn input(document: Document) -> InputDocument {
    InputDocument {
        uri: document.uri(),
        metadata: document.metadata(),
        title: document.title,
        content: document.text.into_bytes(),
        ..InputDocument::default()
    }
}

/// What leads from a hit back to the set.
struct Corpus {
    ids: HashMap<String, String>,
    /// By id, the byte at which each character starts; empty unless the set is scored by characters.
    starts: HashMap<String, Vec<u32>>,
}

impl Corpus {
    fn new(documents: &[Document], with_characters: bool) -> Self {
        let ids = documents.iter().map(|document| (document.uri(), document.id.clone())).collect();
        let starts = if with_characters {
            let starts = |text: &str| text.char_indices().map(|(at, _)| at as u32).collect();
            documents.iter().map(|document| (document.id.clone(), starts(&document.text))).collect()
        } else {
            HashMap::new()
        };
        Self { ids, starts }
    }

    fn id(&self, hit: &Hit) -> Result<&str, Failure> {
        let known = self.ids.get(&hit.uri).map(String::as_str);
        known.ok_or_else(|| Failure::failed(format!("the server returned {:?}, which this run did not put", hit.uri)))
    }

    /// The characters that a hit covers.
    fn span(&self, hit: &Hit) -> Result<Span, Failure> {
        let doc = self.id(hit)?.to_owned();
        let location = hit.location.unwrap_or_default();
        let starts = self.starts.get(&doc).map(Vec::as_slice).unwrap_or_default();
        let before = |byte: u64| starts.partition_point(|start| u64::from(*start) < byte);
        Ok(Span { start: before(location.byte_start), end: before(location.byte_end), doc })
    }
}

fn by_documents(corpus: &Corpus, query: &Query, hits: &[Hit]) -> Result<(Measure, Vec<Value>), Failure> {
    let ids = hits.iter().map(|hit| corpus.id(hit)).collect::<Result<Vec<_>, _>>()?;
    let returned = ids.iter().zip(hits).map(|(id, hit)| json!({"id": id, "score": render::float(hit.score)})).collect();
    Ok((Measure::Ranked(rank_documents(&ids, &query.gains)), returned))
}

fn by_spans(corpus: &Corpus, query: &Query, hits: &[Hit]) -> Result<(Measure, Vec<Value>), Failure> {
    let spans = hits.iter().map(|hit| corpus.span(hit)).collect::<Result<Vec<_>, _>>()?;
    let returned = spans.iter().map(|span| json!({"doc": span.doc, "start": span.start, "end": span.end})).collect();
    Ok((Measure::Spans(score_spans(&spans, &query.spans)), returned))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use hivemem_client::proto::Location;

    fn document(id: &str, text: &str) -> Document {
        serde_json::from_value(json!({"id": id, "title": "t", "text": text, "session": 3})).unwrap()
    }

    fn hit(uri: &str, byte_start: u64, byte_end: u64) -> Hit {
        let location = Location { byte_start, byte_end, line_first: 1, line_last: 1, ..Location::default() };
        Hit { uri: uri.into(), location: Some(location), score: 0.5, ..Hit::default() }
    }

    #[test]
    fn the_server_gets_text_title_and_plain_fields_and_nothing_else() {
        let sent = input(document("D1:2", "hello"));
        assert_eq!(
            (sent.uri.as_str(), sent.title.as_str(), sent.content.as_slice()),
            ("eval:D1:2", "t", &b"hello"[..])
        );
        assert_eq!(sent.metadata, BTreeMap::from([("session".to_owned(), "3".to_owned())]));
        assert_eq!((sent.media_type.as_str(), sent.tags.len(), sent.modified_at), ("", 0, None));
    }

    #[test]
    fn byte_offsets_become_characters() {
        let corpus = Corpus::new(&[document("a", "é→x y")], true);
        let span = |start, end| {
            let span = corpus.span(&hit("eval:a", start, end)).unwrap();
            (span.start, span.end)
        };
        assert_eq!(span(0, 8), (0, 5));
        assert_eq!(span(2, 5), (1, 2), "é has two bytes, → three");
        assert_eq!(span(5, 6), (2, 3));
        assert_eq!(span(8, 99), (5, 5), "beyond the end there is nothing");
    }

    #[test]
    fn hits_are_scored_and_returned_by_id() {
        let corpus = Corpus::new(&[document("a", "x"), document("b", "y")], false);
        let query = Query {
            id: "q".into(),
            text: String::new(),
            adversarial: false,
            gains: HashMap::from([("b".to_owned(), 1)]),
            spans: Vec::new(),
        };
        let (measure, returned) = by_documents(&corpus, &query, &[hit("eval:b", 0, 1), hit("eval:a", 0, 1)]).unwrap();
        let Measure::Ranked(scores) = measure else { panic!("not ranked") };
        assert_eq!(scores.ndcg_10, 1.0);
        assert_eq!(returned, [json!({"id": "b", "score": 0.5}), json!({"id": "a", "score": 0.5})]);
        let stranger = by_documents(&corpus, &query, &[hit("eval:c", 0, 1)]).unwrap_err();
        assert!(stranger.to_string().contains("eval:c"));
    }
}
