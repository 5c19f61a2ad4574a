//! `sluice plugin add`.

use sluice::plugin::{ComponentFile, Limits, Plugin};
use sluice::registry::{Entry, Registry, RegistryError, names, short};

use super::args::AddArgs;
use super::exit::Exit;
use super::{engine, logs, pin, remove, select};

pub async fn add(args: AddArgs) -> anyhow::Result<Exit> {
    logs::start_quiet();
    match keep(&args).await {
        Ok(entry) => {
            let Entry {
                name,
                version,
                sha256,
                contract,
                bytes,
                ..
            } = &entry;
            println!(
                "kept  {name} {version}: {bytes} bytes, SHA-256 {}, contract sluice:sink@{contract}",
                short(sha256)
            );
            match &args.channel {
                Some(channel) => Ok(pin::point(&args.place, name, version, channel)),
                None => Ok(Exit::Fine),
            }
        }
        Err(error) => Ok(remove::refused(&error)),
    }
}

/// What is judged and loaded is what is kept: the file is read once.
async fn keep(args: &AddArgs) -> Result<Entry, RegistryError> {
    if let Some(channel) = &args.channel {
        names::channel(channel)?;
    }
    let (limits, load) = (Limits::default(), select::largest(&args.place));
    let mut file = ComponentFile::read(&args.file, &load)?;
    if let Some(signature) = &args.signature {
        file = file.signed_by(signature);
    }
    let engine = engine::keeping(&args.place);
    let plugin = engine.load_read(&file, &limits, &load).await?;
    let registry = Registry::at(&args.place.data());
    registry.add(entry(&plugin), file.bytes(), file.signature()?)
}

fn entry(plugin: &Plugin) -> Entry {
    let (manifest, seen) = (&plugin.manifest, &plugin.inspection);
    Entry {
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        sha256: seen.sha256.clone(),
        contract: seen.contract.clone(),
        bytes: seen.bytes,
        added: jiff::Timestamp::now(),
    }
}
