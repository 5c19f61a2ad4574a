use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;

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
    open(kept.path.parent().unwrap(), 0o777);
    let error = registry.keep(b"another one").unwrap_err().to_string();
    assert!(error.contains("others can write it"), "{error}");
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
