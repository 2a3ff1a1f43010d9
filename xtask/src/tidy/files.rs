use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

/// The files of the repository: those that git tracks, and those that it would add.
pub(crate) struct Tree(pub(crate) BTreeMap<String, Vec<u8>>);

impl Tree {
    pub(crate) fn read(root: &Path) -> anyhow::Result<Self> {
        let output = Command::new("git")
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .current_dir(root)
            .output()
            .context("cannot run git, which tells the files to check")?;
        ensure!(
            output.status.success(),
            "git cannot list the files: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        let names = String::from_utf8(output.stdout).context("a file's name is not UTF-8")?;
        let mut files = BTreeMap::new();
        for name in names.split_terminator('\0') {
            let path = root.join(name);
            // Tracked and deleted, or a link to somewhere: nothing to read here.
            if path.symlink_metadata().is_ok_and(|file| file.is_file()) {
                let bytes = fs::read(&path).with_context(|| format!("cannot read {name}"))?;
                files.insert(name.to_owned(), bytes);
            }
        }
        ensure!(
            files.contains_key("Cargo.toml"),
            "{} is not the repository",
            root.display()
        );
        Ok(Self(files))
    }

    /// The files that are text, with their text.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .filter_map(|(name, bytes)| Some((name.as_str(), std::str::from_utf8(bytes).ok()?)))
    }

    /// Whether `path` is a file here or a folder with files in it.
    pub(crate) fn has(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        path.is_empty()
            || self.0.contains_key(path)
            || self
                .0
                .range(folder.clone()..)
                .next()
                .is_some_and(|(name, _)| name.starts_with(&folder))
    }
}

#[cfg(test)]
pub(crate) fn tree(files: &[(&str, &str)]) -> Tree {
    let files = files
        .iter()
        .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()));
    Tree(files.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_git_cannot_be_checked() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Tree::read(dir.path()).is_err());
    }

    #[test]
    fn a_tree_knows_its_files_and_folders() {
        let tree = tree(&[("docs/a.md", ""), ("docs-old/b.md", "")]);
        for (path, there) in [
            ("docs", true),
            ("docs/a.md", true),
            ("doc", false),
            ("docs/b.md", false),
        ] {
            assert_eq!(tree.has(path), there, "{path}");
        }
    }
}
