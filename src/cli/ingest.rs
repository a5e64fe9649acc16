//! `hivemem ingest`: one source after the other, with a bar, a summary and an honest exit code.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use futures::StreamExt;
use hivemem_client::proto::{FileIssue, IngestProgress, IngestReport, IngestSourceRequest};
use hivemem_client::{Client, ClientError, ProgressStream};
use serde_json::{Value, json};

use super::args::{Global, IngestArgs};
use super::failure::Failure;
use super::memory::has_scheme;
use super::output;
use super::progress::IngestBar;
use super::render::{bytes, count, plural, printable};
use super::session::Session;

/// Skipped or failed files listed in the summary before it only counts.
const ISSUES_SHOWN: usize = 5;

/// A source that is followed, by its name on the command line, and what the server tells of it.
type Followed = (String, ProgressStream);

/// Runs the command.
pub(super) async fn run(args: IngestArgs, global: &Global) -> Result<(), Failure> {
    let sources = args.sources.iter().map(|source| asked_source(source, args.crawl)).collect::<Result<Vec<_>, _>>()?;
    let session = Session::open(global).await?;
    let work = async {
        let (followed, outcome) = all(&session.client, &sources, &args, global.json).await;
        if followed.is_empty() {
            return outcome;
        }
        if let Err(failure) = &outcome {
            failure.print();
        }
        follow(followed, global.json).await?;
        outcome.map_err(|_| Failure::failed("not every source was ingested, see above"))
    };
    let outcome = if args.watch {
        tokio::select! {
            outcome = work => outcome,
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    } else {
        work.await
    };
    session.close(outcome).await
}

/// One source after the other; those that are followed from now on.
async fn all(
    client: &Client,
    sources: &[String],
    args: &IngestArgs,
    as_json: bool,
) -> (Vec<Followed>, Result<(), Failure>) {
    let (mut followed, mut failed) = (Vec::new(), None);
    for (number, source) in sources.iter().enumerate() {
        match one(client, source, args, as_json).await {
            Ok(stream) => followed.extend(stream.map(|stream| (source.clone(), stream))),
            Err(failure) => {
                // The last failure is printed by the caller; all of them have to be seen.
                if number + 1 < sources.len() {
                    failure.print();
                }
                failed = Some((number, failure));
            }
        }
    }
    let outcome = match failed {
        Some((number, failure)) if number + 1 == sources.len() => Err(failure),
        Some(_) => Err(Failure::failed("not every source was ingested, see above")),
        None => Ok(()),
    };
    (followed, outcome)
}

async fn one(
    client: &Client,
    source: &str,
    args: &IngestArgs,
    as_json: bool,
) -> Result<Option<ProgressStream>, Failure> {
    let request = IngestSourceRequest {
        source: source.to_owned(),
        include: args.include.clone(),
        exclude: args.exclude.clone(),
        tags: args.tags.clone(),
        no_wait: args.no_wait,
        verify: args.verify,
        watch: args.watch,
        no_watch: args.no_watch,
        dry_run: args.dry_run,
        credential: args.credential.clone().unwrap_or_default(),
        depth: args.depth,
        pages_max: args.pages,
        delay: args.delay.map(TryInto::try_into).transpose().map_err(|_| Failure::usage("--delay is too long"))?,
        ..IngestSourceRequest::default()
    };
    let mut bar = IngestBar::new(Path::new(source).file_name().and_then(|name| name.to_str()).unwrap_or(source));
    let outcome = async {
        let mut stream = client.ingest_source(request).await?;
        if !args.watch {
            return Ok((stream.finish(|progress| bar.observe(progress)).await?, None));
        }
        let report = stream.next_report(|progress| bar.observe(progress)).await?;
        Ok((report, Some(stream)))
    };
    let outcome = outcome.await;
    bar.clear();
    // A source that can't be read is a failure of this run, not wrong usage, whatever code the server gives it.
    let (report, stream) = outcome.map_err(|error: ClientError| Failure::failed(error.to_string()).about(source))?;
    if args.dry_run {
        if as_json {
            output::print_json(&report_json(&report))?
        } else {
            output::print(&preview_text(&report))?
        }
        return Ok(None);
    }
    if as_json {
        output::print_json(&report_json(&report))?;
    } else {
        output::print(&report_text(&report))?;
    }
    if let Some(hint) = nothing_there(&report) {
        output::note(format!("note: {source}: {hint}"));
    }
    match nothing_read(&report) {
        // Something readable may come into a followed source.
        Some(failure) if stream.is_none() => Err(failure.about(source)),
        _ => Ok(stream),
    }
}

/// Prints the report of an ingest that was asked for in another way.
pub(super) fn finished(source: &str, outcome: Result<IngestReport, ClientError>, as_json: bool) -> Result<(), Failure> {
    let report = outcome.map_err(|error| Failure::failed(error.to_string()).about(source))?;
    if as_json {
        output::print_json(&report_json(&report))?;
    } else {
        output::print(&report_text(&report))?;
    }
    nothing_read(&report).map_or(Ok(()), |failure| Err(failure.about(source)))
}

/// What an ingest would do.
fn preview_text(report: &IngestReport) -> String {
    let mut out = format!(
        "{}\n  would read  {} of {} files ({})\n  would leave {} added, {} updated, {} unchanged, {} removed\n",
        printable(&report.source),
        count(report.added + report.updated),
        count(report.files),
        bytes(report.bytes),
        count(report.added),
        count(report.updated),
        count(report.unchanged),
        count(report.removed),
    );
    issues_text(&mut out, "skipped ", &report.skipped_by_reason, &report.skipped);
    issues_text(&mut out, "failed  ", &report.failed_by_reason, &report.failed);
    out
}

/// Prints a line for each later sync, until the server ends all of them.
async fn follow(followed: Vec<Followed>, as_json: bool) -> Result<(), Failure> {
    output::note("following changes, Ctrl-C ends this command");
    let named = followed.into_iter().map(|(source, stream)| stream.map(move |progress| (source.clone(), progress)));
    let mut news = futures::stream::select_all(named);
    let mut failed = None;
    while let Some((source, progress)) = news.next().await {
        match progress {
            Err(error) => failed = Some(Failure::failed(error.to_string()).about(&source)),
            Ok(progress) if !progress.problem.is_empty() => {
                output::note(format!("warning: {source}: {}", printable(&progress.problem)));
            }
            Ok(IngestProgress { report: Some(report), .. }) if as_json => output::print_json(&report_json(&report))?,
            Ok(IngestProgress { report: Some(report), .. }) => output::print(&later_text(&report))?,
            Ok(_) => {}
        }
    }
    failed.map_or(Ok(()), Err)
}

/// A later sync in one line.
fn later_text(report: &IngestReport) -> String {
    let failed = match total(&report.failed_by_reason, &report.failed) {
        0 => String::new(),
        failed => format!(", {} failed", count(failed)),
    };
    format!(
        "{}  {} added, {} updated, {} removed{failed}, {} chunks in {:.0} ms",
        printable(&report.source),
        count(report.added),
        count(report.updated),
        count(report.removed),
        count(report.chunks),
        seconds(report) * 1e3
    )
}

/// What to look at if there was no file at all. That is no failure, a folder may be empty, but seldom what was meant.
fn nothing_there(report: &IngestReport) -> Option<&'static str> {
    let issues = total(&report.skipped_by_reason, &report.skipped) + total(&report.failed_by_reason, &report.failed);
    (report.files == 0 && issues == 0)
        .then_some("there are no files to read; check the path, --include and --exclude, and .gitignore")
}

/// A failure if files were there and not one of them could be read.
fn nothing_read(report: &IngestReport) -> Option<Failure> {
    let skipped: u64 = total(&report.skipped_by_reason, &report.skipped);
    let failed: u64 = total(&report.failed_by_reason, &report.failed);
    let read = report.added + report.updated + report.unchanged;
    (read == 0 && skipped + failed > 0).then(|| {
        let reasons = reasons(&report.failed_by_reason).into_iter().chain(reasons(&report.skipped_by_reason));
        let reasons: Vec<String> = reasons.map(|(reason, number)| format!("{reason}: {}", count(number))).collect();
        Failure::failed(format!(
            "nothing could be read ({}); check the path, its permissions, and --include and --exclude",
            reasons.join(", ")
        ))
    })
}

/// Files with an issue: the counts by reason cover all of them, the list only the first.
fn total(by_reason: &std::collections::BTreeMap<String, u64>, listed: &[FileIssue]) -> u64 {
    by_reason.values().sum::<u64>().max(listed.len() as u64)
}

/// Reasons, the most frequent first.
fn reasons(by_reason: &std::collections::BTreeMap<String, u64>) -> Vec<(String, u64)> {
    let mut reasons: Vec<(String, u64)> = by_reason.iter().map(|(reason, number)| (reason.clone(), *number)).collect();
    reasons.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    reasons
}

fn seconds(report: &IngestReport) -> f64 {
    report.elapsed.map_or(0.0, |elapsed| elapsed.seconds as f64 + f64::from(elapsed.nanos) / 1e9)
}

fn report_text(report: &IngestReport) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}", printable(&report.source));
    let _ = writeln!(out, "  files    {} ({}) in {:.1} s", count(report.files), bytes(report.bytes), seconds(report));
    let _ = writeln!(
        out,
        "           {} added, {} updated, {} unchanged, {} removed",
        count(report.added),
        count(report.updated),
        count(report.unchanged),
        count(report.removed)
    );
    let _ = writeln!(
        out,
        "  chunks   {} ({} embedded, {} from the cache)",
        count(report.chunks),
        count(report.embedded),
        count(report.embeddings_cached)
    );
    issues_text(&mut out, "skipped", &report.skipped_by_reason, &report.skipped);
    issues_text(&mut out, "failed ", &report.failed_by_reason, &report.failed);
    out
}

fn issues_text(
    out: &mut String,
    what: &str,
    by_reason: &std::collections::BTreeMap<String, u64>,
    listed: &[FileIssue],
) {
    let total = total(by_reason, listed);
    if total == 0 {
        return;
    }
    let reasons: Vec<String> =
        reasons(by_reason).into_iter().map(|(reason, number)| format!("{reason} {}", count(number))).collect();
    let _ = writeln!(out, "  {what}  {}: {}", plural(total, "file"), reasons.join(", "));
    for issue in listed.iter().take(ISSUES_SHOWN) {
        // The source itself has the empty path.
        let path = if issue.path.is_empty() { "." } else { &issue.path };
        let _ = writeln!(out, "           {}: {}", printable(path), printable(&issue.reason));
    }
    let beyond = total - listed.len().min(ISSUES_SHOWN) as u64;
    if beyond > 0 {
        let _ = writeln!(out, "           and {} more", count(beyond));
    }
}

fn report_json(report: &IngestReport) -> Value {
    let issues = |listed: &[FileIssue]| -> Vec<Value> {
        listed.iter().map(|issue| json!({"path": issue.path, "reason": issue.reason})).collect()
    };
    json!({
        "source": report.source,
        "files": report.files,
        "bytes": report.bytes,
        "chunks": report.chunks,
        "added": report.added,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "embedded": report.embedded,
        "embeddings_cached": report.embeddings_cached,
        "lsn": report.lsn,
        "seconds": (seconds(report) * 1e3).round() / 1e3,
        "skipped": total(&report.skipped_by_reason, &report.skipped),
        "skipped_by_reason": report.skipped_by_reason.iter().collect::<BTreeMap<_, _>>(),
        "skipped_files": issues(&report.skipped),
        "failed": total(&report.failed_by_reason, &report.failed),
        "failed_by_reason": report.failed_by_reason.iter().collect::<BTreeMap<_, _>>(),
        "failed_files": issues(&report.failed),
    })
}

/// A source as it is meant: a page that is to be crawled is a site.
fn asked_source(source: &str, crawl: bool) -> Result<String, Failure> {
    let is_page = ["http://", "https://"].iter().any(|scheme| source.starts_with(scheme));
    match (crawl, is_page) {
        (true, true) => Ok(format!("site:{source}")),
        (true, false) if !source.starts_with("site:") => {
            Err(Failure::usage(format!("{source:?} can't be crawled: give the https:// address of a page")))
        }
        _ => absolute_source(source),
    }
}

/// A source as the server needs it: an address with a scheme as it is, a path from the root (the server's working
/// directory is not this one).
pub(super) fn absolute_source(source: &str) -> Result<String, Failure> {
    if has_scheme(source) || source.starts_with("git@github.com:") {
        return Ok(source.to_owned());
    }
    let path = absolute_path(Path::new(source))?;
    path.into_os_string().into_string().map_err(|path| Failure::usage(format!("path {path:?} is not UTF-8 text")))
}

/// A path from the root, without looking at the disk: the server may be elsewhere.
pub(super) fn absolute_path(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|cause| Failure::usage(format!("path {:?} can't be used: {cause}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> IngestReport {
        IngestReport {
            source: "file:///repo".into(),
            files: 12,
            bytes: 3_500_000,
            chunks: 1_234,
            added: 10,
            unchanged: 2,
            embedded: 1_000,
            embeddings_cached: 234,
            skipped: (0..7).map(|n| FileIssue { path: format!("p{n}"), reason: "binary".into() }).collect(),
            skipped_by_reason: [("binary".to_owned(), 40), ("minified".to_owned(), 2)].into(),
            ..Default::default()
        }
    }

    #[test]
    fn the_summary_counts_everything_and_lists_a_few() {
        let text = report_text(&report());
        for part in [
            "files    12 (3.34 MiB)",
            "10 added, 0 updated, 2 unchanged, 0 removed",
            "chunks   1,234 (1,000 embedded, 234 from the cache)",
            "skipped  42 files: binary 40, minified 2",
            "p4: binary",
            "and 37 more",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
        assert!(!text.contains("p5"), "{text}");
        let closed = FileIssue { path: String::new(), reason: "not readable".into() };
        assert!(!text.contains("failed"), "{text}");
        let text = report_text(&IngestReport { failed: vec![closed], ..report() });
        assert!(text.contains(" .: not readable"), "the source itself has a name: {text}");
        let value = report_json(&report());
        assert_eq!((&value["skipped"], &value["failed"]), (&json!(42), &json!(0)));
        assert_eq!(value["skipped_by_reason"]["minified"], 2);
        let line = later_text(&report());
        assert_eq!(line, "file:///repo  10 added, 0 updated, 0 removed, 1,234 chunks in 0 ms");
    }

    #[test]
    fn only_an_ingest_that_read_nothing_of_what_was_there_fails() {
        assert!(nothing_read(&report()).is_none());
        assert!(nothing_read(&IngestReport::default()).is_none(), "an empty directory is no failure");
        assert!(nothing_there(&IngestReport::default()).unwrap().contains("--exclude"), "but it is said");
        assert!(nothing_there(&report()).is_none());
        let unread = IngestReport { added: 0, unchanged: 0, ..report() };
        let failure = nothing_read(&unread).unwrap();
        assert_eq!(failure.exit_code(), 1);
        assert!(failure.to_string().contains("binary: 40, minified: 2"), "{failure}");
    }

    #[test]
    fn paths_become_absolute_and_addresses_stay() {
        assert_eq!(absolute_source("https://h/x").unwrap(), "https://h/x");
        for own in ["inline:", "notes:", "hivemem:docs", "git@github.com:o/r"] {
            assert_eq!(absolute_source(own).unwrap(), own, "what documents were put under");
        }
        assert!(absolute_source("./notes:").unwrap().starts_with('/'), "a path can be told from it");
        assert_eq!(absolute_source("github:o/r").unwrap(), "github:o/r");
        assert_eq!(asked_source("https://h/x", true).unwrap(), "site:https://h/x");
        assert_eq!(asked_source("/a", true).unwrap_err().exit_code(), 2);
        assert_eq!(absolute_source("/a/b").unwrap(), "/a/b");
        let here = absolute_source(".").unwrap();
        assert!(here.starts_with('/') && !here.ends_with('.'), "{here}");
        assert_eq!(absolute_source("x").unwrap(), format!("{here}/x"));
        assert_eq!(absolute_source("").unwrap_err().exit_code(), 2);
    }
}
