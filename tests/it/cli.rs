//! The binary without a server: exit codes, one-line errors, and nothing but results on stdout.

use std::process::{Command, Output};

fn hivemem(arguments: &[&str]) -> Output {
    // Nobody listens on port 1; what the environment of the test says must not matter.
    Command::new(env!("CARGO_BIN_EXE_hivemem"))
        .args(arguments)
        .env("HIVEMEM_SERVER", "http://127.0.0.1:1")
        .env_remove("HIVEMEM_TOKEN")
        .output()
        .unwrap()
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
    check(&["ingest", "src", "--watch"], 2, &["--watch", "not available yet"]);
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
        &["remember", "x"],
        &["forget", "tag:x"],
        &["context", "t"],
        &["stats"],
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
