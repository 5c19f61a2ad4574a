//! Which imports of WASI a component may have. Pure: a name on the list is linked, any other refused.

/// The track of WASI that this host serves: any `0.2.x` that is no pre-release.
const TRACK: &str = "0.2.";

/// What may be imported, as messages name it.
pub const GIVEN: &str = "`sluice:sink/*` and, of WASI 0.2, `wasi:cli`, `wasi:clocks`, `wasi:filesystem`, \
    `wasi:io`, `wasi:random`, `wasi:sockets` (files and sockets are denied when asked for) and outgoing `wasi:http`";

/// Every interface. Those of files and sockets link, because interpreters import them whether or not
/// they are called; whoever calls them is denied.
const INTERFACES: [&str; 29] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:http/outgoing-handler",
    "wasi:http/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];

/// Whether an import, like `wasi:cli/stdout@0.2.9`, is given.
pub fn is_given(import: &str) -> bool {
    let Some((interface, version)) = import.split_once('@') else {
        return false;
    };
    let patch = version.strip_prefix(TRACK);
    let numbered = patch.is_some_and(|patch| {
        !patch.is_empty() && patch.len() < 6 && patch.bytes().all(|byte| byte.is_ascii_digit())
    });
    numbered && INTERFACES.contains(&interface)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_a_list_of_names_in_one_track() {
        for interface in INTERFACES {
            for version in ["0.2.0", "0.2.9", "0.2.12"] {
                assert!(is_given(&format!("{interface}@{version}")), "{interface}");
            }
        }
        for import in [
            "wasi:cli/stdout",
            "wasi:cli/stdout@0.2",
            "wasi:cli/stdout@0.2.",
            "wasi:cli/stdout@0.2.0-rc-2023-11-10",
            "wasi:cli/stdout@0.2.+1",
            "wasi:cli/stdout@0.3.0",
            "wasi:cli/stdout@1.2.0",
            "wasi:cli/run@0.2.9",
            "wasi:http/incoming-handler@0.2.9",
            "wasi:keyvalue/store@0.2.0",
            "wasi:nn/graph@0.2.0",
            "evil:files/open@0.2.0",
            "evil:files/open",
        ] {
            assert!(!is_given(import), "{import}");
        }
    }
}
