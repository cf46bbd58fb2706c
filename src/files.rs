//! The disk door: every file that muster reads or writes.
//!
//! Lives here: reading whole files, writing them whole (temporary, fsync, rename), appending durably, locks, how many may be
//! open. Does not: what stands in the files. Every error names the path.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What the disk refused, and where.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {path}: {why}", path = path.display())]
pub struct FileError {
    doing: &'static str,
    path: PathBuf,
    #[source]
    why: io::Error,
}

impl FileError {
    fn new(doing: &'static str, path: &Path, why: io::Error) -> Self {
        Self { doing, path: path.into(), why }
    }

    /// Whether the file was not there.
    pub fn is_absent(&self) -> bool {
        self.why.kind() == io::ErrorKind::NotFound
    }
}

/// The system lets this process open too few files.
#[derive(Debug, thiserror::Error)]
#[error(
    "wanted room for {wanted} more files and connections, found room for {found}: {why}\nhint: allow more of them: ulimit -n {}",
    (wanted * 2).next_power_of_two()
)]
pub struct NoRoom {
    wanted: usize,
    found: usize,
    #[source]
    why: io::Error,
}

/// More than any command opens. Plugins of a kubeconfig inherit the limit, and some close every file up to it.
const ENOUGH_FILES: u64 = 4_096;

/// Sees that so many more files and connections can be open at once: what comes short in the middle of its work leaves that
/// half done, and a runtime that comes short panics. What a shell sets lower than the machine allows is raised to that
/// first: macOS gives a process 256.
///
/// # Errors
/// If there is room for fewer.
pub fn room_for(wanted: usize) -> Result<(), NoRoom> {
    if let Err(why) = rlimit::increase_nofile_limit(ENOUGH_FILES) {
        return Err(NoRoom { wanted, found: 0, why });
    }
    let mut open = Vec::with_capacity(wanted);
    while open.len() < wanted {
        let one = File::open("/dev/null").map_err(|why| NoRoom { wanted, found: open.len(), why })?;
        open.push(one);
    }
    Ok(())
}

/// Reads a whole file.
///
/// # Errors
/// If it is not there or cannot be read.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, FileError> {
    let mut bytes = vec![];
    File::open(path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(|why| FileError::new("read", path, why))?;
    Ok(bytes)
}

/// Whether something is there.
pub fn exists(path: &Path) -> bool {
    path.exists()
}

/// Whether a name is taken, be it by a link that leads nowhere; also where that cannot be known.
pub fn is_taken(path: &Path) -> bool {
    let absent = [std::io::ErrorKind::NotFound, std::io::ErrorKind::NotADirectory];
    !path.symlink_metadata().is_err_and(|error| absent.contains(&error.kind()))
}

/// Reads a whole file as UTF-8.
///
/// # Errors
/// If it is not there, cannot be read, or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String, FileError> {
    as_text(read_bytes(path)?, path)
}

fn as_text(bytes: Vec<u8>, path: &Path) -> Result<String, FileError> {
    String::from_utf8(bytes).map_err(|_| FileError::new("read", path, io::Error::other("it is not UTF-8")))
}

/// The largest file that a person writes for muster: a suite, a target. Inclusive, in bytes.
pub const MAX_WRITTEN_BYTES: u64 = 4 << 20;

/// Reads what a person has written, as UTF-8.
///
/// # Errors
/// If it is not there, cannot be read, is not UTF-8, or has more than [`MAX_WRITTEN_BYTES`].
pub fn read_written(path: &Path) -> Result<String, FileError> {
    let wrong = |why| FileError::new("read", path, why);
    let mut bytes = vec![];
    let most = |file: File| file.take(MAX_WRITTEN_BYTES + 1).read_to_end(&mut bytes);
    File::open(path).and_then(most).map_err(wrong)?;
    if bytes.len() as u64 > MAX_WRITTEN_BYTES {
        return Err(wrong(io::Error::other("it has more than 4 MiB")));
    }
    as_text(bytes, path)
}

/// The files and folders in a folder, sorted by name.
///
/// # Errors
/// If it cannot be listed.
pub fn list(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    let listed = || -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect()
    };
    let mut found = listed().map_err(|why| FileError::new("list", path, why))?;
    found.sort();
    Ok(found)
}

/// Makes a folder that only its owner may enter, and those above it.
///
/// # Errors
/// If it cannot be made.
pub fn make_folder(path: &Path) -> Result<(), FileError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|why| FileError::new("make the folder", path, why))
}

/// Writes a file whole: either all of it stands there afterwards, durable, or what stood there before.
///
/// # Errors
/// If any part of that fails.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let folder = parent(path);
    let write = || -> io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix(".muster-")
            .permissions(std::fs::Permissions::from_mode(0o644))
            .tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        File::open(folder)?.sync_all()
    };
    make_folder(folder)?;
    write().map_err(|why| FileError::new("write", path, why))
}

/// Writes a file that only its owner may read (mode 0600), whole.
///
/// # Errors
/// If any part of that fails.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    make_folder(parent(path))?;
    let write = || -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".muster-").tempfile_in(parent(path))?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map(drop).map_err(|error| error.error)
    };
    write().map_err(|why| FileError::new("write", path, why))
}

/// Removes a file; that it is not there is no error.
///
/// # Errors
/// If it is there and cannot be removed.
pub fn remove(path: &Path) -> Result<(), FileError> {
    match std::fs::remove_file(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(FileError::new("remove", path, why)),
        _ => Ok(()),
    }
}

/// Takes everything out of a file.
///
/// # Errors
/// If it is not there or cannot be written.
pub fn empty(path: &Path) -> Result<(), FileError> {
    let emptied = OpenOptions::new().write(true).truncate(true).open(path);
    emptied.map(drop).map_err(|why| FileError::new("empty", path, why))
}

/// Removes a folder and all in it; that it is not there is no error.
///
/// # Errors
/// If it is there and cannot be removed.
pub fn remove_folder(path: &Path) -> Result<(), FileError> {
    match std::fs::remove_dir_all(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(FileError::new("remove", path, why)),
        _ => Ok(()),
    }
}

/// Gives a folder another name, durably; the folder above that name is made if need be.
///
/// # Errors
/// If the folder is not there, or anything stands under the other name.
pub fn rename_folder(from: &Path, to: &Path) -> Result<(), FileError> {
    make_folder(parent(to))?;
    std::fs::rename(from, to)
        .and_then(|()| File::open(parent(to))?.sync_all())
        .map_err(|why| FileError::new("rename", from, why))
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file that grows line by line.
#[derive(Debug)]
pub struct Appender {
    file: File,
    path: PathBuf,
}

impl Appender {
    /// Opens a file for appending, making it if need be.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        make_folder(parent(path))?;
        let open = || -> io::Result<File> {
            let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
            file.sync_all()?;
            File::open(parent(path))?.sync_all()?;
            Ok(file)
        };
        Ok(Self { file: open().map_err(|why| FileError::new("open", path, why))?, path: path.into() })
    }

    /// Takes it for itself, until it is closed or its holder dies.
    ///
    /// # Errors
    /// If another process has it.
    pub fn lock(&self) -> Result<(), FileError> {
        let held = || io::Error::other("another muster is at work with it");
        self.file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => FileError::new("lock", &self.path, held()),
            TryLockError::Error(why) => FileError::new("lock", &self.path, why),
        })
    }

    /// Cuts it to so many bytes, durably: the torn tail of a file whose writer died.
    ///
    /// # Errors
    /// If that fails.
    pub fn cut(&mut self, length: u64) -> Result<(), FileError> {
        let cut = self.file.set_len(length).and_then(|()| self.file.sync_all());
        cut.map_err(|why| FileError::new("cut", &self.path, why))
    }

    /// Appends text whole or not at all.
    ///
    /// # Errors
    /// If not all of it could be written: what was, is taken away again.
    pub fn append(&mut self, text: &str) -> Result<(), FileError> {
        let mut append = || -> io::Result<()> {
            let before = self.file.metadata()?.len();
            self.file.write_all(text.as_bytes()).or_else(|why| {
                self.file.set_len(before)?;
                Err(why)
            })
        };
        append().map_err(|why| FileError::new("append to", &self.path, why))
    }

    /// Whether whoever opens the path finds this file.
    ///
    /// # Errors
    /// If the file was removed, moved, or replaced.
    pub fn stands(&self) -> Result<(), FileError> {
        let replaced = || io::Error::other("another file stands there now");
        match is_at(&self.file, &self.path) {
            Ok(true) => Ok(()),
            Ok(false) => Err(FileError::new("append to", &self.path, replaced())),
            Err(why) => Err(FileError::new("append to", &self.path, why)),
        }
    }

    /// Appends text and returns when it would survive a power cut.
    ///
    /// # Errors
    /// If not all of it could be written, or made durable.
    pub fn append_durably(&mut self, text: &str) -> Result<(), FileError> {
        self.append(text)?;
        self.sync()
    }

    /// Returns when everything appended would survive a power cut.
    ///
    /// # Errors
    /// If it could not be made durable.
    pub fn sync(&mut self) -> Result<(), FileError> {
        self.file.sync_data().map_err(|why| FileError::new("make durable", &self.path, why))
    }
}

/// Whether a path leads to an open file.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let (here, there) = (file.metadata()?, std::fs::metadata(path)?);
    Ok((here.dev(), here.ino()) == (there.dev(), there.ino()))
}

/// What of a file changes when it is written to, or when another takes its place.
#[derive(Debug, PartialEq, Eq)]
pub struct Mark([u64; 2], [i64; 4]);

/// How a file stands.
///
/// # Errors
/// If it is not there.
pub fn mark(path: &Path) -> Result<Mark, FileError> {
    let seen = std::fs::metadata(path).map_err(|why| FileError::new("look at", path, why))?;
    let times = [seen.mtime(), seen.mtime_nsec(), seen.ctime(), seen.ctime_nsec()];
    Ok(Mark([seen.ino(), seen.len()], times))
}

/// Whether a process has locked a file. What is none, is not there, or cannot be opened is locked by nobody.
pub fn is_locked(path: &Path) -> bool {
    path.is_file()
        && File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// A lock that ends with its holder, however it dies.
#[derive(Debug)]
pub struct Lock {
    _held: File,
}

/// Takes a lock; `None` if someone else holds it. The holder's line is written into the file for the next one to read,
/// if there is room.
///
/// # Errors
/// If the file cannot be opened.
pub fn try_lock(path: &Path, holder: &str) -> Result<Option<Lock>, FileError> {
    make_folder(parent(path))?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(|why| FileError::new("open", path, why))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(why)) => return Err(FileError::new("lock", path, why)),
    }
    // Whoever holds a file that was removed meanwhile keeps nobody out.
    if !is_at(&file, path).unwrap_or(false) {
        return try_lock(path, holder);
    }
    // A full disk has no room for the holder's line, and is no reason to put nothing back: it is locked all the same.
    let mut held = &file;
    file.set_len(0).and_then(|()| held.write_all(holder.as_bytes())).ok();
    Ok(Some(Lock { _held: file }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_whole_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.txt");
        write_whole(&path, b"one").unwrap();
        write_whole(&path, b"two").unwrap();
        assert_eq!(read_text(&path).unwrap(), "two");
        assert_eq!(list(&folder.path().join("a")).unwrap(), [path], "no temporary file stays");
    }

    #[test]
    fn what_is_private_is_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        write_private(&path, b"x").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_torn_tail_is_cut_before_the_next_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        Appender::open(&path).unwrap().append_durably("one\ntw").unwrap();
        let mut again = Appender::open(&path).unwrap();
        again.cut(4).unwrap();
        again.append_durably("two\n").unwrap();
        assert_eq!(read_text(&path).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn a_file_that_was_removed_moved_or_replaced_stands_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("log"), folder.path().join("other"));
        let log = Appender::open(&path).unwrap();
        log.stands().unwrap();
        std::fs::rename(&path, &other).unwrap();
        assert!(log.stands().unwrap_err().is_absent());
        write_whole(&path, b"").unwrap();
        assert!(log.stands().unwrap_err().to_string().ends_with("another file stands there now"));
        std::fs::rename(&other, &path).unwrap();
        log.stands().unwrap();
    }

    #[test]
    fn a_lock_has_one_holder_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = try_lock(&path, "run a").unwrap();
        assert!(first.is_some() && try_lock(&path, "run b").unwrap().is_none());
        drop(first);
        assert!(try_lock(&path, "run b").unwrap().is_some());
        assert_eq!(read_text(&path).unwrap(), "run b");
    }

    #[test]
    fn what_is_appended_to_can_be_taken_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let first = Appender::open(&path).unwrap();
        assert!(!is_locked(&path));
        first.lock().unwrap();
        let error = Appender::open(&path).unwrap().lock().unwrap_err().to_string();
        assert!(is_locked(&path) && error.ends_with("another muster is at work with it"), "{error}");
        drop(first);
        assert!(!is_locked(&path) && Appender::open(&path).unwrap().lock().is_ok());
    }

    #[test]
    fn what_a_person_writes_is_of_a_size_that_a_person_can_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("target.yaml");
        let most = usize::try_from(MAX_WRITTEN_BYTES).unwrap();
        write_whole(&path, "é".repeat(most / 2).as_bytes()).unwrap();
        assert_eq!(read_written(&path).unwrap().len(), most);
        write_whole(&path, format!("x{}", "é".repeat(most / 2)).as_bytes()).unwrap();
        let error = read_written(&path).unwrap_err().to_string();
        assert!(error.ends_with("target.yaml: it has more than 4 MiB"), "{error}");
    }

    #[test]
    fn an_error_names_the_path() {
        let error = read_text(Path::new("/nowhere/at/all")).unwrap_err();
        assert!(error.is_absent());
        assert_eq!(error.to_string(), "cannot read /nowhere/at/all: No such file or directory (os error 2)");
    }
}
