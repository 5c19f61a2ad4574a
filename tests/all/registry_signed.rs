//! Plugins run only as they were signed, wherever they come from, and signatures are kept with them.

use anyhow::{Result, ensure};
use serde_json::Value;
use sluice_signer::Signer;

use crate::process::component;
use crate::registry::{good, refused, runs, second, world};
use crate::world::World;

fn sign(keys: &Signer, bytes: &[u8], file: &str) -> String {
    keys.sign(bytes, &format!("timestamp:1\tfile:{file}\thashed"))
}

#[tokio::test]
async fn a_plugin_runs_only_as_it_was_signed_by_one_of_the_keys() -> Result<()> {
    let world = world().await?;
    let (keys, others) = (Signer::new(), Signer::new());
    let (key, other) = (keys.key(), others.key());
    let bytes = std::fs::read(component())?;
    let write = |signature: Option<&str>| match signature {
        Some(text) => std::fs::write(world.path("plugin.wasm.minisig"), text),
        None => std::fs::remove_file(world.path("plugin.wasm.minisig")),
    };
    let good_one = sign(&keys, &bytes, "plugin.wasm");
    let wrong = [
        ("a text".to_owned(), "what should be its signature is none"),
        (
            sign(&others, &bytes, "plugin.wasm"),
            "it is signed by the key",
        ),
        (
            sign(&keys, &second()?, "second.wasm"),
            "and says that it is for second.wasm",
        ),
        (
            sign(&keys, &second()?, "plugin.wasm"),
            "it is not what the key",
        ),
        (
            good_one.replace("timestamp:1", "timestamp:2"),
            "it is not what the key",
        ),
    ];
    let by_tenant = format!("\"plugin.wasm\"\nsigned_by = [\"{key}\"]");
    let by_operator = ["check", "--signed-by", key.as_str()];
    for (plugin, args, by) in [
        (
            by_tenant.as_str(),
            &["check"][..],
            "`signed_by` of [authorizations.main]",
        ),
        ("\"plugin.wasm\"", &by_operator[..], "`--signed-by`"),
    ] {
        runs(&world, plugin)?;
        let path = "plugin.wasm.minisig";
        refused(&world, args, 4, &["it is not signed", by, path]).await?;
        for (signature, says) in &wrong {
            write(Some(signature))?;
            refused(&world, args, 4, &[says, by, path]).await?;
            let run = ["run", "--until-live"];
            let args = [&run[..], &args[1..]].concat();
            refused(&world, &args, 4, &[says]).await?;
        }
        ensure!(
            compiled(&world) == 0,
            "it was compiled before it was judged"
        );
        write(Some(&good_one))?;
        good(&world, args).await?;
        write(None)?;
        std::fs::remove_dir_all(world.path(".sluice/.compiled"))?;
    }

    // What holds for all tenants holds beside what a tenant asks for.
    write(Some(&good_one))?;
    runs(&world, &by_tenant)?;
    good(&world, &by_operator).await?;
    let args = ["check", "--signed-by", other.as_str()];
    refused(&world, &args, 4, &["`--signed-by`"]).await?;
    let both = format!("{other},{key}");
    good(&world, &["check", "--signed-by", &both]).await?;
    refused(
        &world,
        &["check", "--signed-by", "me"],
        2,
        &["no minisign public key"],
    )
    .await?;
    for args in [&["plugin", "inspect"][..], &["plugin", "add"]] {
        let args = [args, &["plugin.wasm", "--signed-by"]].concat();
        refused(
            &world,
            &[&args[..], &[other.as_str()]].concat(),
            4,
            &["`--signed-by`"],
        )
        .await?;
        good(&world, &[&args[..], &[key.as_str()]].concat()).await?;
    }
    Ok(())
}

/// Entries of compiled code.
fn compiled(world: &World) -> usize {
    let entries = std::fs::read_dir(world.path(".sluice/.compiled"));
    let entries = entries.into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.path().extension().is_some_and(|kind| kind == "cwasm"))
        .count()
}

#[tokio::test]
async fn a_signature_is_kept_with_its_version() -> Result<()> {
    let world = world().await?;
    let keys = Signer::new();
    let key = keys.key();
    let bytes = std::fs::read(component())?;
    runs(
        &world,
        &format!(
            "{{ name = \"retention-science\", version = \"0.1.0\" }}\nsigned_by = [\"{key}\"]"
        ),
    )?;
    good(&world, &["plugin", "add", "plugin.wasm"]).await?;
    refused(&world, &["check"], 4, &["it is not signed"]).await?;
    // It may lie anywhere, and come later than the version.
    std::fs::write(world.path("signature"), sign(&keys, &bytes, "plugin.wasm"))?;
    let add = ["plugin", "add", "plugin.wasm", "--signature"];
    refused(
        &world,
        &[&add[..], &["nowhere"]].concat(),
        4,
        &["cannot read its signature"],
    )
    .await?;
    good(&world, &[&add[..], &["signature"]].concat()).await?;
    good(&world, &["check"]).await?;
    let all = good(&world, &["plugin", "list", "--json"]).await?;
    let all: Value = serde_json::from_str(&all.stdout)?;
    let signed_by = all["versions"][0]["signatures"][0].as_str();
    ensure!(signed_by.is_some_and(|id| id.len() == 16), "{all}");
    // Somebody else's beside it takes nothing away, and what is none is not taken.
    let other = Signer::new();
    std::fs::write(world.path("other"), sign(&other, &bytes, "plugin.wasm"))?;
    good(&world, &[&add[..], &["other"]].concat()).await?;
    std::fs::write(world.path("other"), "no signature")?;
    refused(
        &world,
        &[&add[..], &["other"]].concat(),
        4,
        &["what should be its signature is none"],
    )
    .await?;
    good(&world, &["check", "--signed-by", &other.key()]).await?;
    // Taken away, it is missed.
    good(&world, &["plugin", "list"]).await?;
    for file in std::fs::read_dir(world.path(".sluice/.plugins"))? {
        let path = file?.path();
        if path.extension().is_some_and(|kind| kind == "minisig") {
            std::fs::remove_file(path)?;
        }
    }
    refused(&world, &["check"], 4, &["it is not signed"]).await
}

/// A shadow sends nothing, but it sees what members are.
#[tokio::test]
async fn what_is_not_signed_is_not_tried_on_live_batches_either() -> Result<()> {
    let world = world().await?;
    let keys = Signer::new();
    let bytes = std::fs::read(component())?;
    let signature = sign(&keys, &bytes, "plugin.wasm");
    std::fs::write(world.path("plugin.wasm.minisig"), signature)?;
    let signed_by = format!("\"plugin.wasm\"\nsigned_by = [\"{}\"]", keys.key());
    runs(&world, &signed_by)?;
    good(&world, &["run", "--until-live"]).await?;
    let shadow = ["plugin", "shadow", "retention-science", "second.wasm"];
    refused(
        &world,
        &shadow,
        4,
        &["it is not signed", "`signed_by` of [authorizations.main]"],
    )
    .await
}

/// The one that works was kept without a signature, and is signed later, while another one is tried.
#[tokio::test]
async fn a_component_that_is_kept_gets_the_signature_that_comes_later() -> Result<()> {
    let world = world().await?;
    let keys = Signer::new();
    let bytes = std::fs::read(component())?;
    good(&world, &["run", "--until-live"]).await?;
    let signature = sign(&keys, &bytes, "plugin.wasm");
    std::fs::write(world.path("plugin.wasm.minisig"), signature)?;
    let signed_by = format!("\"plugin.wasm\"\nsigned_by = [\"{}\"]", keys.key());
    runs(&world, &signed_by)?;
    good(&world, &["run", "--until-idle"]).await?;
    // Now it has to be loaded from where it is kept.
    std::fs::write(world.path("plugin.wasm"), second()?)?;
    let signature = sign(&keys, &second()?, "second.wasm");
    std::fs::write(world.path("plugin.wasm.minisig"), signature)?;
    let kept = std::fs::read_dir(world.path(".sluice/.plugins"))?;
    let signatures = kept.flatten().filter(|file| {
        file.path()
            .extension()
            .is_some_and(|kind| kind == "minisig")
    });
    ensure!(signatures.count() == 1);
    Ok(())
}
