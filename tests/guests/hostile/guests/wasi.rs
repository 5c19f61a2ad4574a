//! Looks for a way out of the closed WASI. A row's cell says which: what is there is reported as the
//! row's reason.

use sluice_hostile::*;
use wasip2::cli::{environment, exit, stderr, stdin, stdout};
use wasip2::clocks::{monotonic_clock, wall_clock};
use wasip2::filesystem::preopens;
use wasip2::io::streams::OutputStream;
use wasip2::random::{insecure, random};
use wasip2::sockets::network::{ErrorCode, IpAddressFamily};
use wasip2::sockets::{instance_network, ip_name_lookup, tcp_create_socket, udp_create_socket};

/// A second, in nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// What is no long time by itself.
const DOZE: u64 = 2 * SECOND;

struct Guest;

impl Tame for Guest {
    fn open(_settings: Settings) -> Result<(), Problem> {
        if how("doze") {
            doze();
        }
        Ok(())
    }

    fn deliver(rows: Batch) -> Result<Delivery, Problem> {
        Ok(attempt(&rows, |what| match what {
            "environment" => format!("found {:?}", environment::get_environment()),
            "arguments" => format!("found {:?}", environment::get_arguments()),
            "folder" => format!("found {:?}", environment::initial_cwd()),
            "folders" => format!("found {} folders", preopens::get_directories().len()),
            "input" => format!("read {:?}", stdin::get_stdin().blocking_read(1)),
            "tcp" => created(tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4)),
            "udp" => created(udp_create_socket::create_udp_socket(IpAddressFamily::Ipv6)),
            "names" => names(),
            "clocks" => {
                let (before, now) = (monotonic_clock::now(), wall_clock::now());
                monotonic_clock::subscribe_duration(SECOND / 1_000).block();
                let passed = monotonic_clock::now() - before >= SECOND / 1_000;
                format!(
                    "time passes: {passed}, after 2020: {}",
                    now.seconds > 1_577_836_800
                )
            }
            "chance" => format!(
                "{} and {} bytes",
                random::get_random_bytes(32).len(),
                insecure::get_insecure_random_bytes(32).len()
            ),
            "moment" => {
                let (now, chance) = (wall_clock::now(), random::get_random_u64());
                let insecure = insecure::get_insecure_random_u64();
                format!("{} {} {chance} {insecure}", now.seconds, now.nanoseconds)
            }
            "too much chance" => format!("{} bytes", random::get_random_bytes(1 << 40).len()),
            "print" => {
                write(&stdout::get_stdout(), "printed for the operator\npri");
                write(&stdout::get_stdout(), "nted in pieces\n\n\n");
                write(
                    &stderr::get_stderr(),
                    "2026-01-01T00:00:00Z ERROR forged\r\n\u{1b}[2J",
                );
                "printed".to_owned()
            }
            "print without end" => {
                let out = stdout::get_stdout();
                (0..20_000).for_each(|n| write(&out, &format!("printed line {n} of a flood\n")));
                let long = "y".repeat(4_000);
                (0..5_000).for_each(|_| write(&out, &long));
                "printed".to_owned()
            }
            "exit" => {
                exit::exit(Err(()));
                "went on".to_owned()
            }
            "hoard" => {
                let kept: Vec<_> = (0..1_000_000)
                    .map(|_| monotonic_clock::subscribe_duration(SECOND * 3_600))
                    .collect();
                format!("kept {}", kept.len())
            }
            "doze" => {
                doze();
                "woke".to_owned()
            }
            "sleep" => {
                monotonic_clock::subscribe_duration(SECOND * 3_600).block();
                "woke".to_owned()
            }
            _ => "fine".to_owned(),
        }))
    }
}

/// Sleeps for more than half of what a call may take in its test.
fn doze() {
    monotonic_clock::subscribe_duration(DOZE).block();
}

fn created<S>(socket: Result<S, ErrorCode>) -> String {
    match socket {
        Ok(_) => "a socket".to_owned(),
        Err(error) => format!("no socket: {}", error.name()),
    }
}

fn names() -> String {
    let network = instance_network::instance_network();
    let names = match ip_name_lookup::resolve_addresses(&network, "localhost") {
        Ok(names) => names,
        Err(error) => return format!("no name: {}", error.name()),
    };
    names.subscribe().block();
    match names.resolve_next_address() {
        Ok(address) => format!("leads to {address:?}"),
        Err(error) => format!("no name: {}", error.name()),
    }
}

fn write(to: &OutputStream, text: &str) {
    to.blocking_write_and_flush(text.as_bytes())
        .expect("it is open");
}

hostile!(Guest);
