//! Versions of plugins that are kept: added, listed, pinned and removed; run side by side; refused where
//! they are not what was kept.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::process::{Ended, component, everything_in, mode};
use crate::world::{World, append};

const FLAG: &str = "send_transactional_welcome";
/// What the second version sends in its place.
const OTHER_FLAG: &str = "send_transactional_goodbye";

/// The component with a text replaced by another of the same length: what its author would get by
/// changing a constant.
pub fn with(mut bytes: Vec<u8>, from: &str, to: &str) -> Result<Vec<u8>> {
    ensure!(from.len() == to.len());
    let mut found = 0;
    while let Some(at) = bytes
        .windows(from.len())
        .position(|window| window == from.as_bytes())
    {
        bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
        found += 1;
    }
    ensure!(found > 0, "the component does not hold {from}");
    Ok(bytes)
}

/// A version that calls itself 0.2.0 and sends another flag.
pub fn second() -> Result<Vec<u8>> {
    let first = std::fs::read(component())?;
    let named = with(first, "retention-science0.1.0", "retention-science0.2.0")?;
    with(named, FLAG, OTHER_FLAG)
}

/// A world in which both versions lie as `plugin.wasm` and `second.wasm`, and nothing is kept yet.
pub async fn world() -> Result<World> {
    let world = World::new(5, 80).await?;
    std::fs::write(world.path("second.wasm"), second()?)?;
    Ok(world)
}

/// Lets the authorization run what stands here in TOML, other keys behind it.
pub fn runs(world: &World, plugin: &str) -> Result<()> {
    let text = world.tenant.text();
    let text = text.replace("plugin = \"plugin.wasm\"", &format!("plugin = {plugin}"));
    Ok(std::fs::write(world.path("test.toml"), text)?)
}

pub async fn good(world: &World, args: &[&str]) -> Result<Ended> {
    let ended = world.sluice.call(args).await?;
    ensure!(ended.code == Some(0), "{args:?}: {ended:?}");
    Ok(ended)
}

/// Calls it, and expects this exit code and these words on standard error.
pub async fn refused(world: &World, args: &[&str], code: i32, says: &[&str]) -> Result<()> {
    let ended = world.sluice.call(args).await?;
    ensure!(ended.code == Some(code), "{args:?}: {ended:?}");
    for words in says {
        ensure!(ended.stderr.contains(words), "{args:?}: {words}: {ended:?}");
    }
    Ok(())
}

/// `plugin list --json`: version, channels and users of each.
async fn listed(world: &World) -> Result<Vec<(String, String, String)>> {
    let ended = good(world, &["plugin", "list", "--json"]).await?;
    let all: Value = serde_json::from_str(&ended.stdout)?;
    ensure!(all["nameless"] == serde_json::json!([]), "{all}");
    let versions = all["versions"].as_array().context("no versions")?;
    let words = |value: &Value| {
        let words = value.as_array().into_iter().flatten();
        let words: Vec<_> = words.filter_map(Value::as_str).collect();
        words.join(" ")
    };
    let one = |version: &Value| {
        let name = version["version"].as_str().unwrap_or_default().to_owned();
        (
            name,
            words(&version["channels"]),
            words(&version["used_by"]),
        )
    };
    Ok(versions.iter().map(one).collect())
}

fn version(name: &str, channels: &str, users: &str) -> (String, String, String) {
    (name.to_owned(), channels.to_owned(), users.to_owned())
}

/// How each request for a change shows which version made it, by the member.
fn flags(world: &World) -> Vec<(String, bool, bool)> {
    let sent = world.requests("POST", "/users");
    let one = |request: &Value| {
        let has = |flag: &str| request["body"].get(flag).is_some();
        (request["record_id"].to_string(), has(FLAG), has(OTHER_FLAG))
    };
    sent.iter().map(one).collect()
}

#[tokio::test]
async fn versions_are_kept_listed_pinned_and_removed() -> Result<()> {
    let world = world().await?;
    let none = good(&world, &["plugin", "list"]).await?;
    ensure!(none.stdout.contains("No version is kept"), "{none:?}");
    let added = good(&world, &["plugin", "add", "plugin.wasm"]).await?;
    ensure!(
        added.stdout.contains("kept  retention-science 0.1.0"),
        "{added:?}"
    );
    let next = ["plugin", "add", "second.wasm", "--channel", "stable"];
    let added = good(&world, &next).await?;
    ensure!(added.stdout.contains("channel stable: 0.2.0"), "{added:?}");
    // Once more is no change.
    good(&world, &["plugin", "add", "plugin.wasm"]).await?;
    runs(
        &world,
        r#"{ name = "retention-science", channel = "stable" }"#,
    )?;
    let user = "test/everyone";
    let expected = [version("0.1.0", "", ""), version("0.2.0", "stable", user)];
    ensure!(
        listed(&world).await? == expected,
        "{:?}",
        listed(&world).await?
    );

    // A version never changes.
    let changed = with(std::fs::read(component())?, FLAG, OTHER_FLAG)?;
    std::fs::write(world.path("changed.wasm"), changed)?;
    let says = [
        "is kept with another content",
        "sluice plugin remove retention-science@0.1.0",
    ];
    refused(&world, &["plugin", "add", "changed.wasm"], 4, &says).await?;

    let of_second = ["plugin", "remove", "retention-science@0.2.0"];
    let says = ["retention-science 0.2.0 is used by test/everyone"];
    refused(&world, &of_second, 4, &says).await?;
    good(&world, &["plugin", "pin", "retention-science", "0.1.0"]).await?;
    let expected = [version("0.1.0", "stable", user), version("0.2.0", "", "")];
    ensure!(
        listed(&world).await? == expected,
        "{:?}",
        listed(&world).await?
    );
    let text = good(&world, &["plugin", "list"]).await?.stdout;
    ensure!(
        text.contains("retention-science") && text.contains(user),
        "{text}"
    );
    good(&world, &of_second).await?;
    ensure!(listed(&world).await? == [version("0.1.0", "stable", user)]);
    refused(
        &world,
        &of_second,
        4,
        &["no version `0.2.0`", "there are: 0.1.0"],
    )
    .await?;

    // A tenant whose file cannot be read may use it.
    std::fs::write(world.path("other.toml"), "[exports.a]\n")?;
    let last = ["plugin", "remove", "retention-science@0.1.0"];
    refused(
        &world,
        &last,
        3,
        &["what these tenants use is not known", "other"],
    )
    .await?;
    ensure!(mode(&world.path(".sluice/.plugins"))? == 0o700);
    Ok(())
}

#[tokio::test]
async fn trouble_of_the_disk_is_told_from_what_is_wrong_with_a_version() -> Result<()> {
    let world = world().await?;
    let added = good(&world, &["plugin", "add", "plugin.wasm"]).await?;
    let digest = added.stdout.split("SHA-256 ").nth(1);
    let digest = digest.and_then(|rest| rest.split(',').next());
    let digest = digest.context("no digest")?;
    let kept = everything_in(&world.path(".sluice/.plugins"))?;
    let kept = kept.iter().find(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(digest)
    });
    // As root, who may write everywhere: so a folder stands where a file has to go.
    let mut signature = kept.context("nothing is kept")?.clone().into_os_string();
    signature.push(".minisig");
    std::fs::create_dir(&signature)?;
    let remove = ["plugin", "remove", digest];
    refused(&world, &remove, 1, &["registry: ", ".minisig"]).await?;
    std::fs::remove_dir(&signature)?;
    good(&world, &remove).await?;
    // Nor is anything taken away while nobody knows who needs it.
    good(&world, &["plugin", "add", "second.wasm"]).await?;
    good(&world, &["run", "--until-live"]).await?;
    std::fs::write(world.path(".sluice/test/everyone/export.db"), "garbage")?;
    let remove = ["plugin", "remove", "retention-science@0.2.0"];
    refused(
        &world,
        &remove,
        1,
        &["is not known", "nothing was taken away"],
    )
    .await?;
    ensure!(
        good(&world, &["plugin", "list"])
            .await?
            .stdout
            .contains("0.2.0")
    );
    Ok(())
}

#[tokio::test]
async fn what_is_not_kept_is_told_at_its_line() -> Result<()> {
    let world = world().await?;
    good(
        &world,
        &["plugin", "add", "plugin.wasm", "--channel", "stable"],
    )
    .await?;
    for (plugin, says) in [
        (
            r#"{ name = "retention-sciense", version = "0.1.0" }"#,
            "did you mean `retention-science`?",
        ),
        (
            r#"{ name = "retention-science", version = "0.1.1" }"#,
            "there are: 0.1.0",
        ),
        (
            r#"{ name = "retention-science", channel = "stabel" }"#,
            "did you mean `stable`?",
        ),
    ] {
        runs(&world, plugin)?;
        refused(&world, &["check"], 4, &["test.toml:3:", says]).await?;
        refused(&world, &["run", "--until-live"], 4, &["test.toml:3:", says]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_kept_component_that_was_altered_is_refused_until_it_is_added_anew() -> Result<()> {
    let world = world().await?;
    good(&world, &["plugin", "add", "plugin.wasm"]).await?;
    runs(
        &world,
        r#"{ name = "retention-science", version = "0.1.0" }"#,
    )?;
    good(&world, &["check"]).await?;
    let files = std::fs::read_dir(world.path(".sluice/.plugins"))?;
    let kept = files
        .filter_map(|file| Some(file.ok()?.path()))
        .find(|path| path.extension().is_some_and(|kind| kind == "wasm"));
    let kept = kept.context("nothing is kept")?;
    let text = with(std::fs::read(&kept)?, FLAG, OTHER_FLAG)?;
    for altered in [text, b"a text".to_vec(), vec![]] {
        std::fs::write(&kept, altered)?;
        let says = ["is not what was kept", "sluice plugin add FILE"];
        refused(&world, &["check"], 4, &says).await?;
    }
    std::fs::remove_file(&kept)?;
    refused(
        &world,
        &["check"],
        4,
        &["is not there", "sluice plugin add FILE"],
    )
    .await?;
    good(&world, &["plugin", "add", "plugin.wasm"]).await?;
    good(&world, &["check"]).await?;
    Ok(())
}

/// Two exports of one authorization, each on its own version; then one of them goes back.
#[tokio::test]
async fn versions_run_side_by_side_under_one_authorization() -> Result<()> {
    let world = world().await?;
    good(&world, &["plugin", "add", "plugin.wasm"]).await?;
    good(
        &world,
        &["plugin", "add", "second.wasm", "--channel", "next"],
    )
    .await?;
    let text = world.tenant.text();
    let (authorization, export) = text.split_once("[exports.everyone]").context("no export")?;
    let export = format!("[exports.everyone]{export}")
        .replace("members = { file = \"members.ndjson\" }\n", "");
    let next = r#"plugin = { name = "retention-science", channel = "next" }"#;
    let other = export
        .replace("exports.everyone", "exports.next")
        .replace("changes.ndjson", "next.ndjson")
        .replace("label = ", &format!("{next}\nlabel = "));
    let kept = r#"plugin = { name = "retention-science", version = "0.1.0" }"#;
    let authorization = authorization.replace("plugin = \"plugin.wasm\"", kept);
    std::fs::write(
        world.path("test.toml"),
        format!("{authorization}{export}\n{other}"),
    )?;
    let change = |id: &str| {
        let user = format!(r#"{{"user_id":"{id}","email":"{id}@example.com"}}"#);
        format!(r#"{{"change":"enter","audience":"everyone","user":{user}}}"#)
    };
    append(&world.path("changes.ndjson"), &[change("1"), change("2")])?;
    append(&world.path("next.ndjson"), &[change("3")])?;
    good(&world, &["run", "--until-idle"]).await?;
    let mut sent = flags(&world);
    sent.sort();
    let sent: Vec<_> = sent
        .iter()
        .map(|(_, first, second)| (*first, *second))
        .collect();
    let (first, second) = ((true, false), (false, true));
    ensure!(sent == [first, first, second], "{:?}", flags(&world));
    let users = listed(&world).await?;
    let expected = [
        version("0.1.0", "", "test/everyone"),
        version("0.2.0", "next", "test/next"),
    ];
    ensure!(users == expected, "{users:?}");
    let text = good(&world, &["status"]).await?.stdout;
    for status in world.sluice.statuses().await? {
        let runs = match status["export"].as_str() {
            Some("test/next") => "0.2.0",
            _ => "0.1.0",
        };
        ensure!(status["usage"][0]["plugin_version"] == runs, "{status:#}");
        let configured = &status["plugin"];
        ensure!(configured["version"] == runs, "{status:#}");
        let digest = configured["sha256"].as_str().unwrap_or_default();
        ensure!(
            text.contains(&format!("{runs}, SHA-256 {}", &digest[..12])),
            "{text}"
        );
    }

    // Going back is pinning the older one.
    good(
        &world,
        &[
            "plugin",
            "pin",
            "retention-science",
            "0.1.0",
            "--channel",
            "next",
        ],
    )
    .await?;
    append(&world.path("next.ndjson"), &[change("4")])?;
    good(&world, &["run", "--until-idle"]).await?;
    let sent = flags(&world);
    let last = sent.last().map(|(_, first, second)| (*first, *second));
    ensure!(sent.len() == 4 && last == Some(first), "{sent:?}");
    Ok(())
}
