//! The `registrar` program. Its code is in the library; see `registrar::cli`.

/// Requests, batches and rebuilds allocate small objects by the thousand; the system's allocator took a third of the
/// processor time that a command takes here.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    registrar::cli::run()
}
