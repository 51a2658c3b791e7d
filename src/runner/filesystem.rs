//! What kind of file system a folder lies on, and how much room it has.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{statfs, statvfs};

/// Variable that names folders to be treated as network file systems, separated by colons: for those that the
/// table below does not know.
pub const NETWORK_FOLDERS: &str = "DATAENVGYM_NETWORK_FOLDERS";

/// What holds a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// A disk of this machine.
    Local(&'static str),
    /// Shared with other machines, or served by another process: SQLite's write-ahead log cannot live here.
    Network(&'static str),
    /// This machine's memory; gone with its next start.
    Memory(&'static str),
}

impl FileSystem {
    /// Its name, `ext4` for example.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local(name) | Self::Network(name) | Self::Memory(name) => name,
        }
    }

    /// Whether a live database must not lie here.
    pub fn is_network(self) -> bool {
        matches!(self, Self::Network(_))
    }
}

/// Looks at file systems. Tests hand in one of their own.
pub trait FileSystemProbe: Send + Sync {
    /// What holds an existing folder.
    ///
    /// # Errors
    /// When the system cannot say.
    fn kind(&self, folder: &Path) -> io::Result<FileSystem>;

    /// Bytes that this user can still write there.
    ///
    /// # Errors
    /// When the system cannot say.
    fn free_bytes(&self, folder: &Path) -> io::Result<u64>;
}

/// Asks the system.
#[derive(Debug, Clone, Default)]
pub struct SystemProbe {
    network: Vec<PathBuf>,
}

impl SystemProbe {
    /// A probe that treats what lies below `network` as shared.
    pub fn new(network: Vec<PathBuf>) -> Self {
        Self { network }
    }

    /// A probe as the environment describes it, see [`NETWORK_FOLDERS`].
    pub fn from_environment() -> Self {
        let named = std::env::var_os(NETWORK_FOLDERS).unwrap_or_default();
        Self::new(std::env::split_paths(&named).filter(|path| path.is_absolute()).collect())
    }
}

impl FileSystemProbe for SystemProbe {
    fn kind(&self, folder: &Path) -> io::Result<FileSystem> {
        let folder = folder.canonicalize()?;
        if self.network.iter().any(|network| folder.starts_with(network)) {
            return Ok(FileSystem::Network("named as shared"));
        }
        Ok(named(statfs(&folder)?.f_type as u64 & 0xffff_ffff))
    }

    fn free_bytes(&self, folder: &Path) -> io::Result<u64> {
        let found = statvfs(folder)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }
}

/// File systems by the magic number of `statfs(2)` and the Linux sources of each.
fn named(magic: u64) -> FileSystem {
    match magic {
        0x6969 => FileSystem::Network("nfs"),
        0x517b => FileSystem::Network("smb"),
        0xff53_4d42 => FileSystem::Network("cifs"),
        0xfe53_4d42 => FileSystem::Network("smb2"),
        0x0bd0_0bd0 => FileSystem::Network("lustre"),
        0x4750_4653 => FileSystem::Network("gpfs"),
        0x00c3_6400 => FileSystem::Network("ceph"),
        0x1983_0326 => FileSystem::Network("beegfs"),
        0x6573_5546 => FileSystem::Network("fuse"),
        0x0102_1997 => FileSystem::Network("9p"),
        0x5346_414f | 0x6b41_4653 => FileSystem::Network("afs"),
        0x7461_636f => FileSystem::Network("ocfs2"),
        0x0116_1970 => FileSystem::Network("gfs2"),
        0xaad7_aaea => FileSystem::Network("panfs"),
        0x2003_0528 => FileSystem::Network("orangefs"),
        0x0102_1994 => FileSystem::Memory("tmpfs"),
        0x8584_58f6 => FileSystem::Memory("ramfs"),
        0xef53 => FileSystem::Local("ext4"),
        0x5846_5342 => FileSystem::Local("xfs"),
        0x9123_683e => FileSystem::Local("btrfs"),
        0x2fc1_2fc1 => FileSystem::Local("zfs"),
        0x794c_7630 => FileSystem::Local("overlay"),
        0xf2f5_2010 => FileSystem::Local("f2fs"),
        0xca45_1a4e => FileSystem::Local("bcachefs"),
        _ => FileSystem::Local("local"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_file_systems_are_known_by_number() {
        for magic in [0x6969, 0xff53_4d42, 0x0bd0_0bd0, 0x4750_4653, 0x00c3_6400, 0x6573_5546] {
            assert!(named(magic).is_network(), "{magic:x}");
        }
        assert!(!named(0xef53).is_network() && !named(0x0102_1994).is_network() && !named(1).is_network());
    }

    #[test]
    fn a_folder_can_be_named_as_shared() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        let inside = path.join("inside");
        std::fs::create_dir(&inside).unwrap();
        assert!(SystemProbe::new(vec![path]).kind(&inside).unwrap().is_network());
        assert!(SystemProbe::default().free_bytes(&inside).unwrap() > 0);
        assert!(SystemProbe::default().kind(&inside.join("missing")).is_err());
    }
}
