//! The `hivemem` binary: all of it is in [`hivemem::cli`].

/// Memory freed by one thread serves the next: background work comes on ever new threads, and glibc keeps what each of them
/// once needed in an arena of its own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    hivemem::cli::main()
}
