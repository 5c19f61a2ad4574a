//! What hostile guests ask for that was not granted, and what they hear.

use super::case::{Case, Ends, delivers, imports, not_started};

use Ends::{Live, Trying};

pub const REQUESTS: &[Case] = &[
    delivers(
        "header_bomb",
        &["many", "large", "long name", "query", "path"],
        Live(&[(5, "denied: ")]),
    ),
    delivers(
        "forbidden_requests",
        FORBIDDEN,
        Live(&[
            (5, "denied: the method must be one of"),
            (12, "denied: the path must begin with"),
            (1, "denied: the URL is not below the endpoint"),
            (6, "denied: no route of the manifest allows this"),
            (9, "is set by the host"),
            (3, "denied: a header's name or value holds"),
            (2, "denied: a part's name, file name or content type holds"),
            (1, "denied: a part names a staged file"),
        ]),
    ),
    delivers("redirect", &["/answers/redirect"], Live(&[(1, REDIRECTED)])),
    delivers("slow_answer", &["/answers/drip"], SLOW)
        .limits(&[("wall_seconds", 2)])
        .named("drip"),
    delivers("slow_answer", &["/answers/silence"], SLOW)
        .limits(&[("wall_seconds", 2)])
        .named("silence"),
    delivers(
        "slow_answer",
        &["/answers/endless", "/answers/headers"],
        Live(&[
            (
                1,
                "too large: the answer (200) is larger than limit `answer_mib` = 1",
            ),
            (1, "interrupted: "),
        ]),
    )
    .limits(&[("answer_mib", 1)]),
    delivers(
        "request_flood",
        &["at once", "one by one", "denied", "none"],
        Live(&[(3, "`deliver` ran into its limit"), (1, "nothing sent")]),
    )
    .limits(&[("requests", 200)]),
    imports(
        "early_requests",
        &["one", "two"],
        Live(&[
            (2, "denied: `stage` may make no requests; `check`,"),
            (1, "denied: `open` may make no requests; `check`,"),
            (1, "answered 200"),
        ]),
    )
    .changes(&["opened", "now"]),
];

/// Ways out of the closed WASI, each with what is found there.
pub const WASI: &[Case] = &[
    delivers(
        "wasi",
        &[
            "environment",
            "arguments",
            "folder",
            "folders",
            "input",
            "tcp",
            "udp",
            "names",
            "clocks",
            "chance",
            "too much chance",
            "print",
            "exit",
            "hoard",
        ],
        Live(&[
            (2, "found []"),
            (1, "found None"),
            (1, "found 0 folders"),
            (1, "read Err(StreamError::Closed)"),
            (2, "no socket: access-denied"),
            (1, "no name: permanent-resolver-failure"),
            (1, "time passes: true, after 2020: true"),
            (1, "32 and 32 bytes"),
            (
                1,
                "`deliver` trapped: requested len 1099511627776 exceeds limit",
            ),
            (1, "printed"),
            (
                1,
                "`deliver` trapped: it called `exit` with status 1, which ends the call",
            ),
            (1, "`deliver` ran into its limit `resources` = 2000"),
        ]),
    ),
    delivers("wasi", &["print without end"], Live(&[(1, "printed")])).named("wasi_flood"),
    delivers(
        "wasi",
        &["sleep"],
        Trying("live", &["`deliver` ran into its limit `wall_seconds` = 2"]),
    )
    .limits(&[("wall_seconds", 2)])
    .named("wasi_sleep"),
    // Neither `open` nor `deliver` takes that long.
    delivers(
        "wasi",
        &["doze"],
        Trying("live", &["`deliver` ran into its limit `wall_seconds` = 3"]),
    )
    .how("doze")
    .limits(&[("wall_seconds", 3)])
    .named("wasi_doze"),
    delivers("wasi_http", WASI_REQUESTS, Live(WASI_ANSWERS)),
    not_started(
        "wasi_unlisted",
        "wasi_unlisted.wasm: imports wasi:keyvalue/store@0.2.0, which this host does not give",
    ),
];

pub const WASI_REQUESTS: &[&str] = &[
    // What was granted: the way below the endpoint, whatever that is, and bodies of a size.
    "POST|https|destination|/users",
    "GET|http|destination|/answers/one?a=b%20c",
    "POST|http|DESTINATION|/users|body|2",
    // More than a guest's memory holds.
    "POST|https|destination|/users|body|20",
    // Denied, after a megabyte was taken from the guest.
    "POST|https|destination|/admin|body|1",
    // Other hosts, and other places of this one.
    "POST|http|evil.test|/users",
    "POST|http|169.254.169.254|/latest/meta-data",
    "POST|http|127.0.0.1|/wasi_http/users",
    "POST|http|destination@evil.test|/users",
    "POST|https|destination:443|/users",
    // Out of the endpoint, and beside the routes.
    "POST|https|destination|/users/../admin",
    "POST|https|destination|/users%2fadmin",
    "POST|https|destination|/%2e%2e/admin",
    "GET|https|destination|/users",
    "TRACE|https|destination|/users",
    // Headers that are the host's.
    "POST|https|destination|/users|authorization|ApiKey mine",
    "POST|https|destination|/users|cookie|a=b",
    "POST|https|destination|/users|host|evil.test",
    "POST|https|destination|/users|transfer-encoding|chunked",
    // Answers that are cut, by the destination or at a limit: none looks like one that has ended.
    "GET|https|destination|/answers/cut",
    "GET|https|destination|/answers/chunk",
    "GET|https|destination|/answers/endless",
    "GET|https|destination|/answers/wide",
    // What no gate has.
    "POST|ftp|destination|/users",
];

pub const WASI_ANSWERS: &[(u64, &str)] = &[
    (3, "answered 200"),
    (1, "cut off: StreamError::Closed"),
    // The only words that `wasi:http` has room for.
    (
        5,
        "no answer: ErrorCode::InternalError(Some(\"denied: the URL is not below the endpoint",
    ),
    (3, "(Some(\"denied: the path must begin with"),
    (2, "(Some(\"denied: no route of the manifest allows this"),
    (1, "(Some(\"denied: the method must be one of"),
    (2, "is set by the host and by nobody else"),
    (2, "no header: HeaderError::Forbidden"),
    (1, "no answer: ErrorCode::HttpProtocolError"),
    (2, "no answer: ErrorCode::ConnectionTerminated"),
    (1, "no answer: ErrorCode::HttpResponseBodySize(None)"),
    (
        1,
        "no answer: ErrorCode::HttpResponseHeaderSectionSize(Some(",
    ),
];

pub const SLOW: Ends = Trying("live", &["`deliver` ran into its limit `wall_seconds` = 2"]);

/// The answer, and then what came of going there in six ways.
pub const REDIRECTED: &str = "302 to http://169.254.169.254/latest/meta-data/; denied: ";

pub const FORBIDDEN: &[&str] = &[
    // Out of the endpoint.
    "POST|http://evil.test/users",
    "POST|//evil.test/users",
    "POST|evil.test/users",
    "POST|@evil.test/users",
    "POST|/users/../admin",
    r"POST|/users\..\admin",
    "POST|/./users",
    "POST|/users~Host: evil.test",
    "POST|",
    "POST|/users?admin=1",
    "POST|/users#fragment",
    "POST|/users%2fadmin",
    "POST|/%2e%2e/admin",
    // Beside the routes.
    "POST|/admin",
    "POST|/Users",
    "POST|/users/1",
    "POST|/%75sers",
    "POST|/@evil.test",
    "GET|/users",
    // Methods that are none.
    "post|/users",
    "CONNECT|/users",
    "TRACE|/users",
    "POST /admin HTTP/1.1~~POST|/users",
    "|/users",
    // Headers that are the host's.
    "POST|/users|Host|evil.test",
    "POST|/users|authorization|ApiKey mine",
    "POST|/users|Cookie|a=b",
    "POST|/users|Content-Length|0",
    "POST|/users|Transfer-Encoding|chunked",
    "POST|/users|Connection|close",
    "POST|/users|Proxy-Authorization|mine",
    "POST|/users|Upgrade|h2c",
    "POST|/users|TE|trailers",
    // Headers that would be two.
    "POST|/users|x-one|1~Host: evil.test",
    "POST|/users|x-one~Host|1",
    "POST|/users|x one|1",
    // Parts that would be two.
    "POST|/users|part|name~~--|file",
    "POST|/users|part|name|file~content-type: text/html",
    // A file that this call was not given.
    "POST|/users|staged|0000-1",
];
