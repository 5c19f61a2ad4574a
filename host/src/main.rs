//! The `sluice` program: a thin face of the library.

mod cli;

use std::process::ExitCode;

use clap::Parser;
use cli::args::Command;

fn main() -> ExitCode {
    // Before anything is read that nobody else may see.
    cli::dumps::forbid();
    let args = cli::args::Args::parse();
    if let Command::CompileComponent {
        stack_bytes,
        memory_bytes,
    } = args.command
    {
        return sluice::plugin::compile_from_stdin(stack_bytes, memory_bytes);
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(cli::main(args));
    // A thread that waits for standard input can not be interrupted, and must not hold up the end.
    runtime.shutdown_background();
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
