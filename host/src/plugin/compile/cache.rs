//! Compiled code on disk, so that a start does not compile again.
//!
//! Whoever can put code here runs it in this process. So the folder, the key and each entry must
//! belong to this user and be nobody else's to read or write; and an entry carries a tag (HMAC-SHA256)
//! over its name and content under a key that lies beside it. One that was altered, renamed, cut off
//! or copied from elsewhere is refused.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::trusted::Trusted;

/// What an entry begins with.
const MAGIC: &[u8; 16] = b"sluice compiled1";

/// Entries that are kept: a few versions of each plugin of a house full of tenants.
const ENTRIES: usize = 64;

/// The key's file.
const KEY: &str = "key";

/// A folder of compiled code.
pub(super) struct Cache {
    folder: PathBuf,
    key: Zeroizing<[u8; 32]>,
    /// The largest `cache_mib` that anybody has, in bytes: one authorization's is no reason to compile
    /// another's plugin anew.
    most: AtomicU64,
}

impl Cache {
    /// Opens the folder, and makes it if it is not there.
    ///
    /// # Errors
    /// It cannot be made, or others could read or write what is in it.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(folder)?;
        let metadata = std::fs::symlink_metadata(folder)?;
        if !metadata.is_dir() {
            return Err(io::Error::other("it is no folder"));
        }
        only_mine(&metadata)?;
        let key = match read_private(&folder.join(KEY), 32) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => make_key(folder)?,
            read => read?,
        };
        let key = <[u8; 32]>::try_from(key.as_slice())
            .map_err(|_| io::Error::other("its key is not 32 bytes long; remove the folder"))?;
        Ok(Self {
            folder: folder.to_owned(),
            key: Zeroizing::new(key),
            most: AtomicU64::new(0),
        })
    }

    /// The code that was kept under a name, if it is there and what was written.
    pub fn read(&self, name: &str) -> Option<Trusted> {
        let path = self.path(name);
        let refuse = |why: &str| {
            tracing::warn!(file = %path.display(), "compiled code is refused: {why}; compiling anew");
            // So that it is told once. Where it cannot be removed, it is refused again.
            let _ = std::fs::remove_file(&path);
            None
        };
        let mut content = match read_private(&path, u64::MAX) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => return refuse(&error.to_string()),
        };
        let head = MAGIC.len() + 32;
        if content.len() < head || !content.starts_with(MAGIC) {
            return refuse("it is no such file");
        }
        let tag = &content[MAGIC.len()..head];
        if self.tag(name, &content[head..]).verify_slice(tag).is_err() {
            return refuse("it is not what was written");
        }
        // For whoever looks for the oldest; what it costs if it fails is a compilation.
        let _ = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        content.drain(..head);
        Some(Trusted::verified(content))
    }

    /// Keeps code under a name, and with it no more than `most` bytes in all. To other processes it is there whole, or not at all. It is not synced:
    /// to have megabytes written down at once would hold up the commits of every export on that disk, and
    /// what a power failure leaves of an entry is told by its tag, and compiled anew.
    ///
    /// # Errors
    /// The disk's, or that it alone is more.
    pub fn write(&self, name: &str, code: &Trusted, most: u64) -> io::Result<()> {
        let most = self.most.fetch_max(most, Ordering::Relaxed).max(most);
        let bytes = (MAGIC.len() + 32 + code.bytes().len()) as u64;
        if bytes > most {
            return Err(io::Error::other(format!(
                "it has {bytes} bytes, which is more than limit `cache_mib` = {}",
                most >> 20
            )));
        }
        self.make_room(most - bytes)?;
        let half = self.folder.join(format!(".{name}.{}", std::process::id()));
        let write = || {
            let mut file = create_private(&half)?;
            file.write_all(MAGIC)?;
            let tag = self.tag(name, code.bytes()).finalize();
            file.write_all(&tag.into_bytes())?;
            file.write_all(code.bytes())?;
            std::fs::rename(&half, self.path(name))
        };
        write().inspect_err(|_| drop(std::fs::remove_file(&half)))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.cwasm"))
    }

    /// The name is part of it: an entry that lies under another's name is not that one.
    fn tag(&self, name: &str, code: &[u8]) -> Hmac<Sha256> {
        let mut tag = Hmac::<Sha256>::new_from_slice(&*self.key).expect("any length will do");
        tag.update(&(name.len() as u64).to_be_bytes());
        tag.update(name.as_bytes());
        tag.update(code);
        tag
    }

    /// Removes the entries that were not used for longest, until there is one less than may be and they have
    /// no more than so many bytes; and what a crash has left half written.
    fn make_room(&self, bytes: u64) -> io::Result<()> {
        let mut entries = vec![];
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            let (path, used) = (entry.path(), metadata.modified()?);
            match path.extension() {
                Some(kind) if kind == "cwasm" => entries.push((used, path, metadata.len())),
                _ if entry.file_name().to_string_lossy().starts_with('.') => {
                    let age = used.elapsed().unwrap_or_default();
                    if age > super::HALF_WRITTEN {
                        let _ = std::fs::remove_file(path);
                    }
                }
                _ => {}
            }
        }
        entries.sort();
        let mut count = entries.len();
        let mut held: u64 = entries.iter().map(|(.., len)| len).sum();
        for (_, path, len) in entries {
            if count < ENTRIES && held <= bytes {
                break;
            }
            let _ = std::fs::remove_file(path);
            (count, held) = (count - 1, held - len);
        }
        Ok(())
    }
}

/// Another process may be making it at the same time: whose file is there first is the key's.
fn make_key(folder: &Path) -> io::Result<Vec<u8>> {
    let half = folder.join(format!(".{KEY}.{}", std::process::id()));
    let path = folder.join(KEY);
    let made = create_private(&half).and_then(|mut file| {
        file.write_all(&rand::random::<[u8; 32]>())?;
        file.sync_all()?;
        std::fs::hard_link(&half, &path)
    });
    let _ = std::fs::remove_file(&half);
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => read_private(&path, 32),
    }
}

fn create_private(path: &Path) -> io::Result<File> {
    let _ = std::fs::remove_file(path);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Reads a file that is this user's alone; what is checked is what is read.
fn read_private(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let nofollow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nofollow)
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    only_mine(&metadata)?;
    let mut content = vec![];
    file.take(most).read_to_end(&mut content)?;
    Ok(content)
}

fn only_mine(metadata: &std::fs::Metadata) -> io::Result<()> {
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("it belongs to another user"));
    }
    match metadata.mode() & 0o077 {
        0 => Ok(()),
        _ => Err(io::Error::other(
            "others can read or write it; make it this user's alone (`chmod go= …`), or remove it",
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// More than these tests write.
    const MOST: u64 = 1 << 20;

    fn kept(folder: &Path) -> Cache {
        let cache = Cache::open(folder).unwrap();
        let code = Trusted::fresh(b"some machine code".to_vec());
        cache.write("a-1", &code, MOST).unwrap();
        cache
    }

    /// Puts something into the place of an entry, for its owner only.
    fn put(path: &Path, bytes: &[u8]) {
        std::fs::write(path, bytes).unwrap();
        open(path, 0o600);
    }

    fn open(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_was_written_is_read_also_by_the_next_process() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("deep/compiled");
        let cache = kept(&folder);
        assert_eq!(cache.read("a-1").unwrap().bytes(), b"some machine code");
        let next = Cache::open(&folder).unwrap();
        assert_eq!(next.read("a-1").unwrap().bytes(), b"some machine code");
        assert!(next.read("a-2").is_none());
        for entry in std::fs::read_dir(&folder).unwrap() {
            let mode = entry.unwrap().metadata().unwrap().mode() & 0o777;
            assert_eq!(mode, 0o600);
        }
        assert_eq!(std::fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn an_entry_that_is_not_what_was_written_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("compiled");
        let cache = kept(&folder);
        let path = cache.path("a-1");
        let whole = std::fs::read(&path).unwrap();
        for at in [0, 20, 50, whole.len() - 1] {
            let mut altered = whole.clone();
            altered[at] ^= 1;
            put(&path, &altered);
            assert!(cache.read("a-1").is_none(), "byte {at}");
            assert!(!path.exists(), "it would be refused again and again");
        }
        for length in [0, 10, 48, whole.len() - 1] {
            put(&path, &whole[..length]);
            assert!(cache.read("a-1").is_none(), "{length} bytes");
        }
        put(&path, &whole);
        assert!(cache.read("a-1").is_some());
        // Under another name, and under another key.
        put(&cache.path("b-1"), &whole);
        assert!(cache.read("b-1").is_none());
        put(&folder.join(KEY), &[7; 32]);
        assert!(Cache::open(&folder).unwrap().read("a-1").is_none());
    }

    #[test]
    fn what_others_could_have_written_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("compiled");
        let cache = kept(&folder);
        let whole = std::fs::read(cache.path("a-1")).unwrap();
        open(&cache.path("a-1"), 0o620);
        assert!(cache.read("a-1").is_none());
        put(&cache.path("a-1"), &whole);
        // A link may lead to where others write.
        std::os::unix::fs::symlink(cache.path("a-1"), cache.path("c-1")).unwrap();
        assert!(cache.read("c-1").is_none());
        open(&folder.join(KEY), 0o644);
        assert!(Cache::open(&folder).is_err());
        open(&folder.join(KEY), 0o600);
        open(&folder, 0o755);
        assert!(Cache::open(&folder).is_err());
    }

    #[test]
    fn the_entries_that_were_used_last_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("compiled");
        let cache = kept(&folder);
        let old = SystemTime::now() - super::super::HALF_WRITTEN * 2;
        let code = Trusted::fresh(vec![1]);
        for n in 0..ENTRIES {
            cache.write(&format!("n-{n}"), &code, MOST).unwrap();
            let file = File::open(cache.path(&format!("n-{n}"))).unwrap();
            file.set_modified(old).unwrap();
        }
        // Written first, used last: `n-0` and its like are older.
        assert!(cache.read("a-1").is_some());
        let half = folder.join(".half");
        std::fs::write(&half, b"").unwrap();
        File::open(&half).unwrap().set_modified(old).unwrap();
        cache.write("last-1", &code, MOST).unwrap();
        assert!(cache.read("a-1").is_some() && cache.read("last-1").is_some());
        assert!(!half.exists());
        let entries = std::fs::read_dir(&folder).unwrap().count();
        assert_eq!(entries, ENTRIES + 1, "with the key");
    }

    #[test]
    fn no_more_bytes_are_kept_than_the_largest_limit_says_and_the_oldest_go_first() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(&folder.path().join("compiled")).unwrap();
        let code = |kib: usize| Trusted::fresh(vec![7; kib << 10]);
        let there = |names: [&str; 5]| names.map(|name| cache.path(name).exists());
        let write = |name: &str, kib, age, most| {
            cache.write(name, &code(kib), most).unwrap();
            let used = SystemTime::now() - std::time::Duration::from_secs(age);
            let file = File::open(cache.path(name)).unwrap();
            file.set_modified(used).unwrap();
        };
        let names = ["a", "b", "c", "d", "e"];
        write("a", 300, 300, 1 << 20);
        write("b", 300, 400, 1 << 20);
        write("c", 300, 200, 1 << 20);
        assert_eq!(there(names), [true, true, true, false, false]);
        // Another's limit is smaller: those that are there are none of its business.
        write("d", 100, 100, 100 << 10);
        assert_eq!(there(names), [true, true, true, true, false]);
        // The two that were used least, so that one of 500 KiB has room.
        write("e", 500, 0, 1 << 20);
        assert_eq!(there(names), [false, false, true, true, true]);
        let refused = cache.write("f", &code(1025), 1 << 20).unwrap_err();
        assert!(refused.to_string().contains("`cache_mib` = 1"), "{refused}");
        assert_eq!(there(names), [false, false, true, true, true]);
    }
}
