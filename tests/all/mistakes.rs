//! What people do wrong, and what they are told: the exact exit code of `--help`, and a message
//! that names the place. The texts are golden files in `golden/mistakes/`.

use anyhow::{Context, Result, ensure};
use sluice_audience::Audience;

use sha2::{Digest, Sha256};

use crate::golden_file::{Normal, golden};
use crate::process::{KEY_VARIABLE, component};
use crate::world::{KEY, World, append};

/// For messages that underline the endpoint: a port of its own would be of another length.
const SHOWN_ENDPOINT: &str = "http://127.0.0.1:8090/v3";

/// Where a message must point.
enum At {
    /// At a line and a column of the tenant's file.
    Line,
    /// At nothing: there is no such place.
    Nowhere,
}

/// The beginning of the component's SHA-256, which is another one with each compiler.
fn digest() -> Result<String> {
    let hash = Sha256::digest(std::fs::read(component())?);
    Ok(hash[..6].iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Spoils a good configuration, calls the program, and compares what it says.
async fn shows(
    name: &str,
    args: &[&str],
    code: i32,
    at: At,
    spoil: impl FnOnce(&mut World) -> Result<()>,
) -> Result<()> {
    let mut world = World::new(3, 50).await?;
    let good = world.tenant.text();
    spoil(&mut world)?;
    // Unless the file itself is what was spoilt.
    if std::fs::read_to_string(world.path("test.toml")).is_ok_and(|text| text == good) {
        world.configure()?;
    }
    let ended = world.sluice.call(args).await?;
    let text = Normal::new(&ended.stderr)
        .hide(&world.tenant.endpoint, "ENDPOINT")
        .hide(&digest()?, "DIGEST")
        .hide(&world.folder.path().display().to_string(), "FOLDER");
    let text = format!(
        "$ sluice {}\n{}{}exit code {}\n",
        args.join(" "),
        ended.stdout,
        text.text(),
        ended
            .code
            .map_or("none".to_owned(), |code| code.to_string())
    );
    golden(&format!("mistakes/{name}.txt"), &text);
    ensure!(ended.code == Some(code), "{ended:?}");
    let errors = ended
        .stderr
        .lines()
        .filter(|line| line.starts_with("error"));
    ensure!(errors.count() == 1, "not one message: {}", ended.stderr);
    if matches!(at, At::Line) {
        let place = ended.stderr.split("test.toml:").nth(1);
        let mut numbers = place.context("no place")?.split([':', '\n']);
        for what in ["line", "column"] {
            let number = numbers.next().unwrap_or_default().trim();
            ensure!(number.parse::<u32>().is_ok(), "no {what}: {number}");
        }
    }
    ensure!(!text.contains(KEY), "the key is shown");
    let store = world.path(".sluice/test");
    ensure!(!store.exists(), "something was started");
    Ok(())
}

/// One test for each line: its name, the exit code, where the message points, what is spoilt.
macro_rules! mistakes {
    ($($name:ident: $args:expr, $code:literal, $at:ident, $spoil:expr;)*) => {$(
        #[tokio::test]
        async fn $name() -> Result<()> {
            shows(stringify!($name), &$args, $code, At::$at, $spoil).await
        }
    )*};
}

fn replace(world: &mut World, from: &str, to: &str) -> Result<()> {
    let text = world.tenant.text();
    ensure!(text.contains(from), "there is no {from} to be spoilt");
    write(world, "test.toml", text.replace(from, to))
}

fn write(world: &World, name: &str, bytes: impl AsRef<[u8]>) -> Result<()> {
    Ok(std::fs::write(world.path(name), bytes)?)
}

fn field<'w>(world: &'w mut World, source: &str) -> Result<&'w mut String> {
    let mut fields = world.tenant.fields.iter_mut();
    let found = fields.find(|(name, _)| name == source);
    Ok(&mut found.context("no such field")?.1)
}

/// The component as if it were built for another contract.
fn of_another_contract() -> Result<Vec<u8>> {
    let mut bytes = std::fs::read(component())?;
    let mut found = 0;
    while let Some(at) = bytes.windows(6).position(|six| six == b"@0.2.0") {
        bytes[at..at + 6].copy_from_slice(b"@0.9.0");
        found += 1;
    }
    ensure!(found > 0, "the component names no version");
    Ok(bytes)
}

mistakes! {
    a_line_that_is_no_toml: ["check"], 3, Line, |world| replace(world, "label = \"Main\"", "label = Main");
    a_misspelt_key: ["check"], 3, Line, |world| replace(world, "audience =", "audiense =\"\"\naudience =");
    a_value_of_the_wrong_kind: ["check"], 3, Line, |world| {
        world.tenant.endpoint = SHOWN_ENDPOINT.to_owned();
        replace(world, "allow_http = true", "allow_http = \"yes\"")
    };
    an_unknown_authorization: ["check"], 3, Line, |world| replace(world, "authorization = \"main\"", "authorization = \"mian\"");
    plain_http_without_leave: ["check"], 3, Line, |world| {
        world.tenant.endpoint = SHOWN_ENDPOINT.to_owned();
        replace(world, "allow_http = true\n", "")
    };
    an_address_without_leave: ["check"], 3, Line, |world| {
        world.tenant.endpoint = SHOWN_ENDPOINT.to_owned();
        replace(world, "allow_addresses = [\"127.0.0.0/8\"]\n", "")
    };
    an_address_of_another_range: ["check"], 3, Line, |world| {
        world.tenant.endpoint = "http://169.254.169.254/latest".to_owned();
        Ok(())
    };
    a_range_that_is_none: ["check"], 3, Line, |world| replace(world, "[\"127.0.0.0/8\"]", "[\"127.0.0.1/8\"]");
    a_proxy_that_is_none: ["check"], 3, Line, |world| replace(world, "allow_http = true\n", "allow_http = true\nproxy = \"proxy.internal:3128\"\n");
    a_route_that_the_plugin_does_not_ask_for: ["check"], 3, Line, |world| replace(world, "allow_http = true\n", "allow_http = true\nroutes = [\"GET /users\", \"POST /user\"]\n");
    a_route_that_is_none: ["check"], 3, Line, |world| replace(world, "allow_http = true\n", "allow_http = true\nroutes = [\"post /users\"]\n");
    a_secret_that_is_too_short: ["check"], 3, Line, |world| {
        world.sluice.key = Some("12345".to_owned());
        Ok(())
    };
    a_secret_in_the_wrong_form: ["check"], 3, Line, |world| replace(world, "{ env =", "{ enf =");
    neither_members_nor_changes: ["check"], 3, Line, |world| {
        world.tenant.members = None;
        world.tenant.changes = None;
        Ok(())
    };
    no_fields: ["check"], 3, Line, |world| {
        world.tenant.fields.clear();
        Ok(())
    };
    no_configuration: ["check"], 3, Nowhere, |world| Ok(std::fs::remove_file(world.path("test.toml"))?);
    a_folder_that_is_not_there: ["check", "--config", "nowhere"], 3, Nowhere, |_| Ok(());
    an_unknown_export: ["preview", "everybody"], 3, Nowhere, |_| Ok(());
    an_unknown_export_to_run: ["run", "--export", "test/everybody"], 3, Nowhere, |_| Ok(());
    two_goals: ["run", "--until-live", "--until-idle"], 2, Nowhere, |world| {
        // Clap's usage line would name what is set there.
        world.sluice.environment.clear();
        Ok(())
    };
    an_unknown_command: ["chek"], 2, Nowhere, |_| Ok(());

    a_plugin_that_is_not_there: ["check"], 4, Line, |world| Ok(std::fs::remove_file(world.path("plugin.wasm"))?);
    a_plugin_that_is_a_text: ["check"], 4, Line, |world| write(world, "plugin.wasm", "a text\n");
    a_plugin_that_is_empty: ["check"], 4, Line, |world| write(world, "plugin.wasm", "");
    a_plugin_that_is_a_core_module: ["check"], 4, Line, |world| write(world, "plugin.wasm", b"\0asm\x01\0\0\0");
    a_plugin_that_is_an_empty_component: ["check"], 4, Line, |world| write(world, "plugin.wasm", b"\0asm\x0d\0\x01\0");
    a_plugin_for_another_contract: ["check"], 4, Line, |world| write(world, "plugin.wasm", of_another_contract()?);
    a_plugin_for_another_contract_inspected: ["plugin", "inspect", "plugin.wasm"], 4, Nowhere, |world| write(world, "plugin.wasm", of_another_contract()?);

    a_missing_option: ["check"], 3, Line, |world| {
        world.tenant.options.clear();
        Ok(())
    };
    a_misspelt_option: ["check"], 3, Line, |world| {
        world.tenant.options += "exitt = \"ignore\"\n";
        Ok(())
    };
    an_option_with_an_unknown_value: ["check"], 3, Line, |world| {
        world.tenant.options += "exit = \"unsubscribe\"\n";
        Ok(())
    };
    a_misspelt_field_of_the_destination: ["check"], 3, Line, |world| {
        *field(world, "phone")? = "fone".to_owned();
        Ok(())
    };
    no_identity_mapped: ["check"], 3, Line, |world| {
        world.tenant.fields.retain(|(source, _)| source == "city");
        Ok(())
    };
    a_members_file_that_is_not_there: ["check"], 3, Line, |world| Ok(std::fs::remove_file(world.path("members.ndjson"))?);
    a_secret_that_is_not_there: ["run", "--until-live"], 3, Line, |world| {
        world.sluice.key = None;
        Ok(())
    };
    a_secret_that_is_empty: ["check"], 3, Line, |world| {
        world.sluice.key = Some(String::new());
        Ok(())
    };
    a_misspelt_secret: ["check"], 3, Line, |world| replace(
        world,
        &format!("api-key = {{ env = \"{KEY_VARIABLE}\" }}"),
        &format!("api_key = {{ env = \"{KEY_VARIABLE}\" }}\napi-key = {{ env = \"{KEY_VARIABLE}\" }}"),
    );
    a_wrong_key: ["check"], 5, Nowhere, |world| {
        world.sluice.key = Some("not-the-key-8d1".to_owned());
        Ok(())
    };
    a_destination_that_is_down: ["check"], 5, Nowhere, |world| {
        // A port that was free a moment ago.
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        world.tenant.endpoint = format!("http://{address}/v3");
        Ok(())
    };
}

#[tokio::test]
async fn nothing_wrong() -> Result<()> {
    let world = World::new(3, 51).await?;
    for (args, told) in [
        (&["check"][..], "ok  test/everyone"),
        (&["check", "--offline"], "the destination was not asked"),
    ] {
        let ended = world.sluice.call(args).await?;
        ensure!(ended.code == Some(0), "{ended:?}");
        ensure!(ended.stdout.contains(told), "{ended:?}");
        ensure!(ended.stderr.is_empty(), "{ended:?}");
    }
    Ok(())
}

#[tokio::test]
async fn every_mistake_is_shown_at_once() -> Result<()> {
    let mut world = World::new(3, 52).await?;
    world.tenant.options = "exit = \"unsubscribe\"\n".to_owned();
    *field(&mut world, "phone")? = "fone".to_owned();
    std::fs::remove_file(world.path("members.ndjson"))?;
    world.configure()?;
    let ended = world.sluice.call(&["check"]).await?;
    ensure!(ended.code == Some(3), "{ended:?}");
    for told in [
        "cannot read the members file",
        "`import_type` is missing",
        "fone",
        "unsubscribe",
        "\n4 mistakes.\n",
    ] {
        ensure!(ended.stderr.contains(told), "{told}: {}", ended.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn with_a_wrong_key_nothing_is_lost_and_the_right_one_completes_it() -> Result<()> {
    let mut world = World::new(500, 53).await?;
    world.append(0..60)?;
    world.sluice.key = Some("not-the-key-8d1".to_owned());
    let ended = world.run(&["--until-live"]).await?;
    ensure!(ended.code == Some(5), "{ended:?}");
    for output in [&ended.stdout, &ended.stderr] {
        ensure!(output.contains("the destination refused the credential"));
        ensure!(!output.contains("not-the-key-8d1"), "{output}");
    }
    let status = world.sluice.status().await?;
    ensure!(status["phase"] == "parked", "{status}");
    ensure!(
        status["state"]["reason"]["why"] == "unauthorized",
        "{status}"
    );
    ensure!(world.simulator.users().is_empty());
    world.sluice.key = Some(KEY.to_owned());
    world.finish().await
}

#[tokio::test]
async fn a_key_that_is_revoked_while_live_parks_the_export_with_its_changes() -> Result<()> {
    let mut world = World::new(200, 54).await?;
    world.append(0..20)?;
    let mut running = world.start(&[])?;
    let phase = |wanted: &'static str| {
        move |status: &serde_json::Value| {
            status["phase"] == wanted && status["live"]["received"] != 0
        }
    };
    running
        .until_status(&world.sluice, "it is live", phase("live"))
        .await?;
    world
        .simulator
        .patch_config(&serde_json::json!({"api_key": "the-next-key-55"}))?;
    world.append(20..60)?;
    running
        .until_status(&world.sluice, "it is parked", phase("parked"))
        .await?;
    let ended = running.terminate().await?;
    ensure!(ended.code == Some(0), "{ended:?}");
    let status = world.sluice.status().await?;
    ensure!(status["adds_up"] == true, "{status}");
    world.sluice.key = Some("the-next-key-55".to_owned());
    world.finish().await
}

#[tokio::test]
async fn lines_that_are_no_json_are_kept_with_their_place_and_the_rest_is_delivered() -> Result<()>
{
    let mut world = World::with(Audience::new(600, 55).broken_lines(3)).await?;
    let members = std::fs::read_to_string(world.path("members.ndjson"))?;
    let broken: Vec<String> = (1..)
        .zip(members.lines())
        .filter(|(_, line)| serde_json::from_str::<serde_json::Value>(line).is_err())
        .map(|(number, _)| format!("members.ndjson:{number}"))
        .collect();
    ensure!(broken.len() == 3, "{broken:?}");
    world.append(0..10)?;
    let wrong = [
        "{\"change\":\"enter\",",
        "{\"change\":\"rename\",\"user\":{\"user_id\":\"u1\"}}",
        "[1, 2]",
    ]
    .map(str::to_owned);
    append(&world.path("changes.ndjson"), &wrong)?;
    // The model takes any word for a change, so it is told of another mistake of the same weight.
    for line in [&wrong[0], &wrong[2], &wrong[2]] {
        world.expected.change(line);
    }
    world.append(10..30)?;
    ensure!(world.good_end() == 7);
    world.finish().await?;
    let quarantine = world.quarantine()?;
    let at = |position: &str| {
        let found = quarantine.iter().find(|(place, _)| place == position);
        found.map(|(_, reason)| reason.as_str())
    };
    for place in &broken {
        let reason = at(place).with_context(|| format!("{place} is not there"))?;
        ensure!(
            reason.starts_with("the line is no JSON"),
            "{place}: {reason}"
        );
    }
    for (line, told) in [
        (11, "ends too early"),
        (12, "other than enter, update, exit"),
        (13, "not of the expected shape"),
    ] {
        let reason = at(&format!("changes.ndjson:{line}")).context("it is not there")?;
        ensure!(reason.contains(told), "line {line}: {reason}");
    }
    // A person can see how many there are.
    let ended = world.sluice.call(&["status"]).await?;
    let told = format!("test/everyone: {} rows are in quarantine", quarantine.len());
    ensure!(ended.stdout.contains(&told), "{}", ended.stdout);
    Ok(())
}
