//! The `registrar` program. Everything it does is in the library; see `registrar::cli`.

fn main() -> std::process::ExitCode {
    registrar::cli::run()
}
