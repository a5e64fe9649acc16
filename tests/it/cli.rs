//! The binary without a server: exit codes, one-line errors, and nothing but results on stdout.

use std::process::{Command, Output};

fn hivemem(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

/// Nobody listens on port 1; what the environment of the test says must not matter.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hivemem"));
    command.args(arguments).env("HIVEMEM_SERVER", "http://127.0.0.1:1").env_remove("HIVEMEM_TOKEN");
    command
}

#[track_caller]
fn check(arguments: &[&str], exit_code: i32, says: &[&str]) {
    let output = hivemem(arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(exit_code), "{arguments:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{arguments:?} wrote to stdout");
    assert!(stderr.starts_with("error: "), "{arguments:?}: {stderr}");
    for part in says {
        assert!(stderr.contains(part), "{part:?} is missing in {stderr}");
    }
}

#[test]
fn wrong_usage_exits_with_2_and_says_what() {
    check(&["search", "q", "-k", "0"], 2, &["-k"]);
    check(&["search", "q", "--mode", "telepathy"], 2, &["hybrid", "dense", "lexical"]);
    check(&["ingest", "src", "--watch", "--no-watch"], 2, &["--watch", "--no-watch"]);
    check(&["forget", "prefix:"], 2, &["names nothing"]);
    check(&["remember", " "], 2, &["TEXT is empty"]);
    check(&["stats", "--server", "ftp://h"], 2, &["ftp://h", "http://"]);
    check(&["eval", "retrieval", "x", "--data-dir", "y"], 2, &["--keep"]);
}

#[test]
fn without_a_server_every_command_fails_with_1_and_names_both_remedies() {
    let commands: &[&[&str]] = &[
        &["search", "q"],
        &["ingest", "."],
        &["ingest", ".", "--watch"],
        &["remember", "x"],
        &["forget", "tag:x"],
        &["context", "t"],
        &["stats"],
        &["data", "ls"],
        &["data", "get", "s3://b/k"],
        &["fsck"],
        &["compact"],
        &["backup", "no-such-file"],
    ];
    for command in commands {
        check(command, 1, &["http://127.0.0.1:1", "hivemem serve", "--data-dir"]);
        let stderr = hivemem(command).stderr;
        assert_eq!(String::from_utf8(stderr).unwrap().lines().count(), 1, "{command:?}");
    }
}

#[test]
fn a_set_that_is_not_there_fails_with_1_before_anything_is_started() {
    check(&["eval", "retrieval", "/no/such/set"], 1, &["/no/such/set/corpus.jsonl"]);
    check(&["eval", "code", "/no/such/set"], 1, &["/no/such/set/queries.jsonl"]);
}

#[test]
fn help_and_version_go_to_stdout_with_0() {
    for arguments in [["--help"], ["--version"]] {
        let output = hivemem(&arguments);
        assert_eq!(output.status.code(), Some(0));
        assert!(!output.stdout.is_empty() && output.stderr.is_empty());
    }
}

#[test]
fn ingest_with_watch_prints_later_syncs_until_it_is_interrupted() {
    use std::io::{BufRead, BufReader};

    let (source, data) = (crate::support::tree(&[("a.md", b"# A\n\nsomething\n")]), tempfile::tempdir().unwrap());
    let mut child = Command::new(env!("CARGO_BIN_EXE_hivemem"))
        .args(["ingest", "--watch", "--json", "--data-dir"])
        .args([data.path(), source.path()])
        .env("HIVEMEM_SERVER", "http://127.0.0.1:1")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // A reader of its own, so that a line that never comes is a failure and not a test that hangs.
    let (lines, printed) = std::sync::mpsc::channel();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || stdout.lines().map_while(Result::ok).all(|line| lines.send(line).is_ok()));
    let next = || -> serde_json::Value {
        let line = printed.recv_timeout(std::time::Duration::from_secs(60)).expect("no line came");
        serde_json::from_str(&line).unwrap()
    };
    assert_eq!(next()["added"], 1);
    std::fs::write(source.path().join("b.md"), "# B\n\nsomething else\n").unwrap();
    let later = next();
    assert_eq!((&later["added"], &later["files"]), (&1.into(), &1.into()), "only what changed: {later}");
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let stats = hivemem(&["stats", "--json", "--data-dir", data.path().to_str().unwrap()]);
    let stats: serde_json::Value = serde_json::from_slice(&stats.stdout).unwrap();
    assert_eq!((&stats["documents"], &stats["sources"][0]["watched"]), (&2.into(), &false.into()), "{stats}");
}

#[test]
fn a_restored_directory_answers_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::create_dir(path("docs")).unwrap();
    std::fs::write(path("docs/a.md"), "# Pumps\n\nThe wombat pump is primed by hand.\n").unwrap();
    let run = |arguments: &[&str]| -> String {
        let output = hivemem(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let (old, new, file) = (path("old"), path("new"), path("all.bak"));
    run(&["ingest", &path("docs"), "--data-dir", &old]);
    let search = |dir: &str| run(&["search", "wombat pump", "--json", "--data-dir", dir]);
    let hits = |answer: &str| serde_json::from_str::<serde_json::Value>(answer).unwrap()["hits"].clone();
    let before = search(&old);
    run(&["backup", &file, "--data-dir", &old]);
    assert!(run(&["restore", &file, "--data-dir", &new]).contains("with its indexes"));
    // A server that asks for a token asks this command too.
    let guarded =
        command(&["restore", &file, "--data-dir", &path("guarded")]).env("HIVEMEM_TOKEN", "sesame").output().unwrap();
    let said = String::from_utf8(guarded.stdout).unwrap();
    assert!(said.contains("with its indexes"), "{said}{}", String::from_utf8_lossy(&guarded.stderr));
    assert_eq!(hits(&search(&new)), hits(&before));
    assert!(hits(&before)[0]["snippet"].as_str().unwrap().contains("wombat"));
}

/// A PDF of one page, with something beside in its catalogue.
fn pdf(beside: &str, content: &str) -> Vec<u8> {
    let font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>";
    format!(
        "%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R {beside} >>\nendobj\n\
         2 0 obj\n<< /Type /Pages /Kids [3 0 R] /Count 1 >>\nendobj\n\
         3 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 300] /Contents 4 0 R \
         /Resources << /Font << /F1 {font} >> >> >>\nendobj\n\
         4 0 obj\n<< /Length {} >>\nstream\n{content}\nendstream\nendobj\n\
         trailer\n<< /Root 1 0 R >>\n%%EOF\n",
        content.len()
    )
    .into_bytes()
}

#[test]
fn a_pdf_that_ends_the_process_that_reads_it_is_damaged_and_the_others_are_read() {
    let (data, deep) = (tempfile::tempdir().unwrap(), 200_000);
    // Each of these overflows the stack of what reads it.
    let source = crate::support::tree(&[
        ("arrays.pdf", &pdf(&format!("/X {}", "[".repeat(deep)), "")),
        ("content.pdf", &pdf("", &format!("BT /F1 12 Tf {} ET", "[".repeat(deep)))),
        ("dictionaries.pdf", &pdf("", &format!("BT /F1 12 Tf {} ET", "<< /A ".repeat(deep)))),
        ("good.pdf", &pdf("", "BT /F1 12 Tf 10 10 Td (The wombat pump is primed by hand.) Tj ET")),
    ]);
    let run = |arguments: &[&str]| -> serde_json::Value {
        let output = hivemem(&[arguments, &["--json", "--data-dir", data.path().to_str().unwrap()]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let report = run(&["ingest", source.path().to_str().unwrap()]);
    assert_eq!((&report["added"], &report["failed_by_reason"]["damaged PDF"]), (&1.into(), &3.into()), "{report}");
    let hit = &run(&["search", "wombat pump"])["hits"][0];
    assert_eq!((&hit["breadcrumb"], &hit["page_first"], &hit["page_last"]), (&"page 1".into(), &1.into(), &1.into()));
    let cited = hit["citation"].as_str().unwrap();
    assert!(cited.ends_with("#L1-L1&page=1"), "{cited}");
    let pack = run(&["context", "wombat pump", "--budget", "500"]);
    assert_eq!((&pack["citations"][0]["citation"], &pack["citations"][0]["page_first"]), (&hit["citation"], &1.into()));
    let held = run(&["context", "wombat pump", "--budget", "500", "--held", cited]);
    assert_eq!(held["citations"].as_array().unwrap().len(), 0, "{held}");
}

#[test]
fn what_reads_a_pdf_apart_ends_with_its_input() {
    let read = |bytes: &[u8]| {
        use std::io::Write;
        let mut child = Command::new(env!("CARGO_BIN_EXE_hivemem"))
            .arg("read-document")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        child.wait_with_output().unwrap()
    };
    for (bytes, says) in [(pdf("", "BT /F1 12 Tf 10 10 Td (wombat) Tj ET"), true), (Vec::new(), false)] {
        let output = read(&bytes);
        assert!(output.status.success() && !output.stdout.is_empty());
        assert_eq!(output.stdout.windows(6).any(|window| window == b"wombat"), says);
    }
}
