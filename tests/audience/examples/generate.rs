//! Writes an audience to standard output, or says how quickly it is made and modelled.
//!
//! `generate members 1000 [seed]`, `generate changes 500 1000 [seed]`, `generate time 200000`

use std::io::{BufWriter, Write};
use std::time::Instant;

use sluice_audience::{Expected, changes, members};

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| -> u64 {
        arguments
            .get(at)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let mut out = BufWriter::new(std::io::stdout().lock());
    match arguments.first().map(String::as_str) {
        Some("members") => {
            for line in members(number(1, 1_000), number(2, 1)) {
                writeln!(out, "{line}")?;
            }
        }
        Some("changes") => {
            for line in changes(number(1, 1_000), number(2, 1_000), number(3, 1)) {
                writeln!(out, "{line}")?;
            }
        }
        Some("time") => {
            let n = number(1, 200_000);
            let start = Instant::now();
            let bytes: usize = members(n, 1).map(|line| line.len() + 1).sum();
            writeln!(
                out,
                "made {n} members, {bytes} bytes: {:?}",
                start.elapsed()
            )?;
            let start = Instant::now();
            let expected = Expected::of(members(n, 1), changes(n / 10, n, 1));
            writeln!(out, "made and modelled: {:?}", start.elapsed())?;
            writeln!(out, "{:#?}", expected.counts())?;
        }
        _ => writeln!(out, "say members, changes or time, and how many")?,
    }
    out.flush()
}
