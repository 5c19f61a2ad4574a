use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;
use crate::config::{PluginSource, Which};

fn registry() -> (tempfile::TempDir, Registry) {
    let data = tempfile::tempdir().unwrap();
    let registry = Registry::at(&data.path().join("new/data"));
    (data, registry)
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o777
}

#[test]
fn what_is_kept_is_read_and_is_its_owners_alone() {
    let (_data, registry) = registry();
    let kept = registry.keep(b"a component").unwrap();
    assert_eq!(kept.sha256, digest(b"a component"));
    assert_eq!(kept.path, registry.path(&kept.sha256));
    assert_eq!(registry.read(&kept.sha256).unwrap(), b"a component");
    assert_eq!(mode(&kept.path), 0o600);
    assert_eq!(mode(kept.path.parent().unwrap()), 0o700);
    // Once more, by somebody else.
    let again = Registry::at(kept.path.ancestors().nth(2).unwrap());
    assert_eq!(again.keep(b"a component").unwrap(), kept);
}

#[test]
fn what_is_not_there_or_was_altered_is_refused_and_kept_anew() {
    let (_data, registry) = registry();
    let sha256 = digest(b"a component");
    let error = registry.read(&sha256).unwrap_err().to_string();
    assert!(error.contains("is not there"), "{error}");
    let kept = registry.keep(b"a component").unwrap();
    for other in [&b"another one"[..], b"a componen", b""] {
        std::fs::write(&kept.path, other).unwrap();
        let error = registry.read(&sha256).unwrap_err().to_string();
        assert!(error.contains("is not what was kept"), "{error}");
        assert!(error.contains(&digest(other)), "{error}");
    }
    registry.keep(b"a component").unwrap();
    assert_eq!(registry.read(&sha256).unwrap(), b"a component");
}

#[test]
fn what_others_can_write_is_refused() {
    let (_data, registry) = registry();
    let kept = registry.keep(b"a component").unwrap();
    let open = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    open(&kept.path, 0o620);
    let error = registry.read(&kept.sha256).unwrap_err().to_string();
    assert!(error.contains("others can write it"), "{error}");
    // Written anew it is this user's again.
    registry.keep(b"a component").unwrap();
    assert_eq!(mode(&kept.path), 0o600);
    // Where others can put something, what the index says is theirs to say.
    add(&registry, "0.1.0", b"old");
    open(kept.path.parent().unwrap(), 0o777);
    for error in [
        registry.keep(b"another one").unwrap_err(),
        registry.read(&kept.sha256).unwrap_err(),
        registry
            .resolve(&self::kept(Which::Version("0.1.0".to_owned())))
            .unwrap_err(),
    ] {
        let error = error.to_string();
        assert!(error.contains("others can write it"), "{error}");
    }
}

#[test]
fn whoever_brings_one_more_signature_takes_nobody_elses_away() {
    let (_data, registry) = registry();
    let (one, two) = (sluice_signer::Signer::new(), sluice_signer::Signer::new());
    let (first, second) = (one.sign(b"old", "1"), two.sign(b"old", "2"));
    let signed = |signature: &str| registry.add(entry("0.1.0", b"old"), b"old", Some(signature));
    signed(&first).unwrap();
    signed(&second).unwrap();
    let error = signed("no signature").unwrap_err().to_string();
    assert!(error.contains("what should be its signature"), "{error}");
    let text = registry.signatures(&digest(b"old")).unwrap();
    assert!(text.contains(&first) && text.contains(&second), "{text}");
    assert_eq!(registry.list().unwrap().versions[0].signatures.len(), 2);
    for signer in [one, two] {
        let keys = [signer.key().parse().unwrap()];
        assert_eq!(signature::judge(None, b"old", Some(&text), &keys), Ok(()));
    }
}

#[test]
fn a_writer_that_was_killed_leaves_nothing_that_counts() {
    let (_data, registry) = registry();
    let kept = registry.keep(b"a component").unwrap();
    let folder = kept.path.parent().unwrap();
    let half = folder.join(format!(".{}.wasm.0123", digest(b"another one")));
    std::fs::write(&half, b"anoth").unwrap();
    assert!(registry.read(&digest(b"another one")).is_err());
    // One that may still be written stays; one that is old will never be whole.
    registry.keep(b"a third one").unwrap();
    assert!(half.exists());
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(7200);
    let file = std::fs::File::options().write(true).open(&half).unwrap();
    file.set_modified(old).unwrap();
    registry.keep(b"a fourth one").unwrap();
    assert!(!half.exists());
    registry.keep(b"another one").unwrap();
    assert!(registry.read(&digest(b"another one")).is_ok());
}

fn entry(version: &str, component: &[u8]) -> Entry {
    Entry {
        name: "rs".to_owned(),
        version: version.to_owned(),
        sha256: digest(component),
        contract: "0.1.0".to_owned(),
        bytes: component.len() as u64,
        added: jiff::Timestamp::UNIX_EPOCH,
    }
}

fn add(registry: &Registry, version: &str, component: &[u8]) -> String {
    let added = registry.add(entry(version, component), component, None);
    added.unwrap().sha256
}

/// Takes away what nobody uses.
fn remove(registry: &Registry, sha256: &str) {
    let users = registry.remove(sha256, || Ok::<_, RegistryError>(BTreeSet::new()));
    assert_eq!(users.unwrap(), BTreeSet::new());
}

fn kept(which: Which) -> PluginSource {
    let name = "rs".to_owned();
    PluginSource::Kept { name, which }
}

/// Every version with its channels.
fn listed(registry: &Registry) -> Vec<(String, String)> {
    let versions = registry.list().unwrap().versions;
    let one = |one: Listed| (one.entry.version, one.channels.join(" "));
    versions.into_iter().map(one).collect()
}

#[test]
fn a_version_is_found_by_name_channel_and_digest() {
    let (_data, registry) = registry();
    assert_eq!(registry.list().unwrap(), Index::default());
    let (old, new) = (
        add(&registry, "0.1.0", b"old"),
        add(&registry, "0.2.0", b"new"),
    );
    registry.pin("rs", "0.1.0", "stable").unwrap();
    registry.pin("rs", "0.2.0", "next").unwrap();
    let leads = |which| {
        let resolved = registry.resolve(&kept(which)).unwrap();
        assert_eq!(
            resolved.path,
            registry.path(&resolved.entry.clone().unwrap().sha256)
        );
        resolved.entry.unwrap().version
    };
    assert_eq!(leads(Which::Version("0.2.0".to_owned())), "0.2.0");
    assert_eq!(leads(Which::Channel("next".to_owned())), "0.2.0");
    assert_eq!(leads(Which::Channel("stable".to_owned())), "0.1.0");
    assert_eq!(leads(Which::Sha256(old.clone())), "0.1.0");
    // On, and back again.
    registry.pin("rs", "0.2.0", "stable").unwrap();
    assert_eq!(leads(Which::Channel("stable".to_owned())), "0.2.0");
    registry.pin("rs", "0.1.0", "stable").unwrap();
    assert_eq!(leads(Which::Channel("stable".to_owned())), "0.1.0");
    for which in ["rs@0.2.0", &new, &new[..8]] {
        let found = registry.find(which).unwrap();
        assert_eq!(found, (new.clone(), "rs 0.2.0".to_owned()));
    }
}

#[test]
fn what_is_not_kept_is_told_with_what_is() {
    let (_data, registry) = registry();
    let wrong = |source: &PluginSource| {
        let error = registry.resolve(source).unwrap_err();
        (error.to_string(), error.help().unwrap())
    };
    let version = kept(Which::Version("0.3.0".to_owned()));
    let (error, help) = wrong(&version);
    assert!(error.contains("no plugin `rs`"), "{error}");
    assert!(help.contains("sluice plugin add FILE"), "{help}");
    add(&registry, "0.1.0", b"old");
    add(&registry, "0.2.0", b"new");
    let (error, help) = wrong(&version);
    assert!(error.contains("no version `0.3.0`"), "{error}");
    assert_eq!(help, "there are: 0.1.0, 0.2.0");
    let (_, help) = wrong(&kept(Which::Channel("stable".to_owned())));
    assert!(
        help.contains("sluice plugin pin rs VERSION --channel stable"),
        "{help}"
    );
    registry.pin("rs", "0.1.0", "stable").unwrap();
    let (error, help) = wrong(&kept(Which::Channel("stabel".to_owned())));
    assert!(error.contains("no channel `stabel`"), "{error}");
    assert_eq!(help, "did you mean `stable`?");
    let (_, help) = wrong(&kept(Which::Sha256("0".repeat(64))));
    assert!(help.contains(&digest(b"old")), "{help}");
    let other = PluginSource::Kept {
        name: "sr".to_owned(),
        which: Which::Version("0.1.0".to_owned()),
    };
    assert_eq!(wrong(&other).1, "there are: rs");
    for which in [
        "rs@0.3.0",
        "sr@0.1.0",
        "01234567",
        "rs",
        "",
        &digest(b"old")[..7],
    ] {
        assert!(registry.find(which).is_err(), "{which}");
    }
}

#[test]
fn a_version_never_changes() {
    let (_data, registry) = registry();
    let old = add(&registry, "0.1.0", b"old");
    let error = registry.add(entry("0.1.0", b"new"), b"new", None);
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains(short(&old)) && error.contains("sluice plugin remove rs@0.1.0"),
        "{error}"
    );
    assert!(
        registry.read(&digest(b"new")).is_err(),
        "nothing of it is kept"
    );
    // The same once more is no change; a component that was lost is there again.
    std::fs::remove_file(registry.path(&old)).unwrap();
    add(&registry, "0.1.0", b"old");
    assert_eq!(registry.read(&old).unwrap(), b"old");
    remove(&registry, &old);
    add(&registry, "0.1.0", b"new");
}

#[test]
fn what_is_removed_goes_with_all_that_is_about_it() {
    let (_data, registry) = registry();
    let old = add(&registry, "0.1.0", b"old");
    add(&registry, "0.2.0", b"new");
    registry.pin("rs", "0.1.0", "stable").unwrap();
    registry.pin("rs", "0.1.0", "other").unwrap();
    registry.pin("rs", "0.2.0", "next").unwrap();
    registry
        .add_signature(&old, &sluice_signer::Signer::new().sign(b"old", "old"))
        .unwrap();
    assert_eq!(disk::names(&registry.folder).unwrap().len(), 8);
    remove(&registry, &old);
    assert_eq!(listed(&registry), [("0.2.0".to_owned(), "next".to_owned())]);
    let files = disk::names(&registry.folder).unwrap();
    assert_eq!(files.len(), 3, "{files:?}");
    remove(&registry, &old);
}

#[test]
fn who_uses_a_version_is_asked_while_nobody_can_begin_to() {
    let (_data, registry) = registry();
    let old = add(&registry, "0.1.0", b"old");
    let lock = || std::fs::File::open(registry.folder.join(".lock")).unwrap();
    let is_held = || matches!(lock().try_lock(), Err(std::fs::TryLockError::WouldBlock));
    assert!(!is_held());
    let user = BTreeSet::from(["t/e".to_owned()]);
    let users = registry.remove(&old, || {
        assert!(is_held(), "somebody may begin to use it");
        Ok::<_, RegistryError>(user.clone())
    });
    assert_eq!(users.unwrap(), user);
    assert_eq!(registry.read(&old).unwrap(), b"old");
    // Nor is it taken away under who is about to say so.
    assert!(registry.hold(&old, is_held).unwrap());
    let unknown = registry.remove(&old, || {
        Err::<BTreeSet<_>, _>(RegistryError::NotFound {
            which: "a store".to_owned(),
        })
    });
    assert!(unknown.is_err());
    assert_eq!(registry.read(&old).unwrap(), b"old");
    remove(&registry, &old);
    let gone = registry.hold(&old, || panic!("it is gone"));
    assert!(matches!(gone, Err(RegistryError::Gone { .. })));
    assert!(!is_held());
}

/// Whoever is killed between two steps has done the earlier ones. Each is one rename or one removal.
#[test]
fn a_change_that_was_killed_at_any_step_leaves_an_index_that_holds() {
    let (_data, registry) = registry();
    add(&registry, "0.1.0", b"old");
    registry.pin("rs", "0.1.0", "stable").unwrap();
    let before = listed(&registry);
    // Adding: the component, then its signature, then the entry.
    let new = registry.keep(b"new").unwrap().sha256;
    assert_eq!(listed(&registry), before);
    assert_eq!(
        registry.list().unwrap().nameless,
        std::slice::from_ref(&new)
    );
    registry
        .add_signature(&new, &sluice_signer::Signer::new().sign(b"new", "new"))
        .unwrap();
    assert_eq!(listed(&registry), before);
    std::fs::write(registry.folder.join(".rs@0.2.0.json.0123"), "{\"name\":").unwrap();
    std::fs::write(registry.folder.join(".rs@stable.channel.0123"), "{").unwrap();
    assert_eq!(listed(&registry), before);
    // It is done once more.
    add(&registry, "0.2.0", b"new");
    assert!(registry.list().unwrap().nameless.is_empty());
    // Removing: channels, then the entry, then the signature, then the component.
    registry.pin("rs", "0.2.0", "next").unwrap();
    for gone in ["rs@next.channel", "rs@0.2.0.json"] {
        disk::remove(&registry.folder, gone).unwrap();
        registry.list().unwrap();
    }
    assert_eq!(listed(&registry), before);
    let (found, _) = registry.find(&new[..8]).unwrap();
    remove(&registry, &found);
    assert!(registry.list().unwrap().nameless.is_empty());
    assert_eq!(disk::names(&registry.folder).unwrap().len(), 3);
}

#[test]
fn two_who_add_at_once_do_not_lose_each_others() {
    let (_data, registry) = registry();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let registry = &registry;
            scope.spawn(move || {
                for n in 0..8 {
                    // The same component for all of them, and one of its own.
                    let same = format!("{n}.0.0");
                    add(registry, &same, same.as_bytes());
                    let own = format!("{n}.{writer}.1");
                    add(registry, &own, own.as_bytes());
                    registry.pin("rs", &own, "stable").unwrap();
                }
            });
        }
    });
    let versions = listed(&registry);
    assert_eq!(versions.len(), 8 + 4 * 8);
    let stable = versions.iter().filter(|(_, channels)| channels == "stable");
    assert_eq!(stable.count(), 1);
    for one in registry.list().unwrap().versions {
        assert_eq!(
            registry.read(&one.entry.sha256).unwrap(),
            one.entry.version.as_bytes()
        );
    }
}

#[test]
fn signatures_that_come_at_once_for_a_component_without_a_name_are_all_kept() {
    const WRITERS: usize = 6;
    /// What every component begins with, and no more.
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
    let (data, registry) = registry();
    let path = data.path().join("component.wasm");
    std::fs::write(&path, COMPONENT).unwrap();
    let load = crate::plugin::LoadLimits::default();
    let files: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let signature = data.path().join(format!("{writer}.minisig"));
            let signer = sluice_signer::Signer::new();
            std::fs::write(&signature, signer.sign(COMPONENT, "it")).unwrap();
            let file = crate::plugin::ComponentFile::read(&path, &load).unwrap();
            file.signed_by(&signature)
        })
        .collect();
    let together = std::sync::Barrier::new(WRITERS);
    std::thread::scope(|scope| {
        for file in &files {
            scope.spawn(|| {
                together.wait();
                registry.keep_file(file).unwrap();
            });
        }
    });
    let text = registry.signatures(&digest(COMPONENT)).unwrap();
    assert_eq!(signature::signers(&text).len(), WRITERS, "{text}");
}

#[test]
fn a_file_of_the_index_that_was_altered_is_told() {
    let (_data, registry) = registry();
    add(&registry, "0.1.0", b"old");
    let path = registry.folder.join("rs@0.1.0.json");
    let good = std::fs::read_to_string(&path).unwrap();
    for wrong in [
        "{}".to_owned(),
        good.replace("0.1.0", "0.2.0"),
        good.replace(&digest(b"old"), "../secret"),
        good.replace("\"bytes\"", "\"byte\""),
    ] {
        assert_ne!(wrong, good);
        std::fs::write(&path, &wrong).unwrap();
        let error = registry.resolve(&kept(Which::Version("0.1.0".to_owned())));
        let error = error.unwrap_err().to_string();
        assert!(error.contains("is not what was written there"), "{error}");
        assert!(error.contains("rs@0.1.0.json"), "{error}");
        assert!(registry.list().is_err());
    }
}

#[test]
fn a_component_without_a_name_is_swept_once_nobody_needs_it_or_has_just_kept_it() {
    let (_data, registry) = registry();
    assert_eq!(registry.sweep(&BTreeSet::new()).unwrap(), [""; 0]);
    add(&registry, "0.1.0", b"named");
    let kept = registry.keep(b"a candidate").unwrap();
    registry
        .add_signature(
            &kept.sha256,
            &sluice_signer::Signer::new().sign(b"a candidate", "it"),
        )
        .unwrap();
    let age = || {
        for name in disk::names(&registry.folder).unwrap() {
            let file = std::fs::File::open(registry.folder.join(name)).unwrap();
            let long_ago = std::time::SystemTime::now() - FRESH * 2;
            file.set_modified(long_ago).unwrap();
        }
    };
    let nobody = BTreeSet::new();
    let somebody = BTreeSet::from([kept.sha256.clone()]);
    assert_eq!(registry.sweep(&nobody).unwrap(), [""; 0], "just kept");
    age();
    assert_eq!(registry.sweep(&somebody).unwrap(), [""; 0], "needed");
    registry.keep(b"a candidate").unwrap();
    assert_eq!(registry.sweep(&nobody).unwrap(), [""; 0], "kept once more");
    age();
    assert!(registry.keeps(&kept.sha256));
    assert_eq!(registry.sweep(&nobody).unwrap(), [""; 0], "found there");
    age();
    assert_eq!(registry.sweep(&nobody).unwrap(), [kept.sha256]);
    // The named one with its entry, and nothing else.
    assert_eq!(disk::names(&registry.folder).unwrap().len(), 2);
}
