//! The `hivemem` binary: all of it is in [`hivemem::cli`].

fn main() -> std::process::ExitCode {
    hivemem::cli::main()
}
