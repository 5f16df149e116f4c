//! Where a database file may be.

use std::path::{Path, PathBuf};

use crate::registry::Error;

/// Kinds of file systems on other machines, as `/proc/self/mountinfo` names them.
const NETWORK: [&str; 12] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "afs",
    "ceph",
    "lustre",
    "gfs2",
    "ocfs2",
    "fuse.sshfs",
    "fuse.glusterfs",
];

/// `SQLite` says only "unable to open database file" for each of these.
pub(super) fn check(path: &Path) -> Result<(), Error> {
    let refuse = |cause: String| Err(Error::OpenDatabase { database: path.display().to_string(), cause });
    if path.is_dir() {
        return refuse("it is a directory".to_owned());
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !parent.is_dir() {
        return refuse(format!("there is no directory {}", parent.display()));
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let place = std::fs::canonicalize(parent).unwrap_or_else(|_| parent.to_owned());
    match network_file_system(&mounts, &place) {
        // Its locks, and shared memory between machines, do not hold what SQLite's log needs.
        Some(kind) => refuse(format!("{} is on a network file system ({kind})", place.display())),
        None => Ok(()),
    }
}

/// The kind of the file system that a folder is on, if it is one of another machine.
fn network_file_system<'a>(mounts: &'a str, place: &Path) -> Option<&'a str> {
    // "36 35 98:0 /mnt1 /mnt/parent rw,noatime master:1 - ext3 /dev/root rw": of several mounts at
    // one place the last is on top.
    let mount = |line: &'a str| {
        let (before, after) = line.split_once(" - ")?;
        let point = unescape(before.split(' ').nth(4)?);
        Some((PathBuf::from(point), after.split(' ').next()?))
    };
    let on = mounts.lines().filter_map(mount).filter(|(point, _)| place.starts_with(point));
    let (_, kind) = on.max_by_key(|(point, _)| point.components().count())?;
    NETWORK.contains(&kind).then_some(kind)
}

/// The kernel writes space, tab, newline and backslash as octal numbers.
fn unescape(text: &str) -> String {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    escapes.iter().fold(text.to_owned(), |text, (escape, means)| text.replace(escape, means))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const MOUNTS: &str = "22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/root rw\n\
        40 22 0:40 / /data rw shared:20 - nfs4 server:/export rw,vers=4.2\n\
        41 40 0:41 / /data/my\\040local rw shared:21 - xfs /dev/sdb rw\n\
        42 22 0:42 / /database rw - tmpfs tmpfs rw\n\
        43 22 0:43 / /share rw - ext4 /dev/sdc rw\n\
        44 22 0:44 / /share rw - cifs //server/share rw\n";

    #[test]
    fn the_nearest_mount_tells_whether_the_file_is_on_another_machine() {
        for (place, kind) in [
            ("/data", Some("nfs4")),
            ("/data/registry", Some("nfs4")),
            ("/data/my local/x", None),
            ("/database", None),
            ("/var/lib", None),
            ("/share/x", Some("cifs")),
        ] {
            assert_eq!(network_file_system(MOUNTS, Path::new(place)), kind, "{place}");
        }
        assert_eq!(network_file_system("", Path::new("/")), None);
    }

    #[test]
    fn this_machines_own_temporary_folder_will_do() {
        let folder = tempfile::tempdir().unwrap();
        assert!(check(&folder.path().join("new.db")).is_ok());
    }
}
