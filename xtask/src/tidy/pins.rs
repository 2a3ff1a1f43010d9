use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use super::files::Tree;

/// Published bytes: an implementation elsewhere was held to them, so they do not change.
const VECTORS: &[(&str, &str)] = &[
    (
        "vectors/cjt188.json",
        "1fe7b9ecd90761c1e84c0bceaac3d7e8bf789beac1dc7baa658cb819ee08fb5c",
    ),
    (
        "vectors/token.json",
        "e302585193d520d8b9e7ebbc362f76d6e12076ec8a58197b0e31fe7018d3582f",
    ),
];

/// The pinned migrations: a line each, SHA-256 and path.
const MIGRATIONS: &str = "xtask/migrations.sha256";

/// Published files that are not as they were.
pub(crate) fn violations(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (name, pinned) in VECTORS {
        match digest(tree, name) {
            None => found.push(format!("{name}: published vectors, and not there")),
            Some(digest) if digest != *pinned => {
                found.push(format!(
                    "{name}: published vectors were changed; restore them"
                ));
            }
            Some(_) => {}
        }
    }
    found.extend(changed_migrations(tree));
    let pinned = pinned(tree);
    for name in migrations(tree).filter(|name| !pinned.contains_key(name)) {
        found.push(format!(
            "{name}: a new migration; pin it with `cargo xtask tidy --bless`"
        ));
    }
    found
}

/// Pins the migrations that are new. Those pinned before are left as they are: changed ones stay violations.
///
/// # Errors
/// When the list cannot be written.
pub(crate) fn bless(root: &Path, tree: &Tree) -> anyhow::Result<()> {
    let text = blessed(tree);
    fs::write(root.join(MIGRATIONS), text).with_context(|| format!("cannot write {MIGRATIONS}"))
}

fn blessed(tree: &Tree) -> String {
    let mut pins: BTreeMap<&str, String> = pinned(tree)
        .into_iter()
        .map(|(name, digest)| (name, digest.to_owned()))
        .collect();
    for name in migrations(tree) {
        if let Some(digest) = digest(tree, name) {
            pins.entry(name).or_insert(digest);
        }
    }
    pins.iter()
        .map(|(name, digest)| format!("{digest}  {name}\n"))
        .collect()
}

fn changed_migrations(tree: &Tree) -> Vec<String> {
    let changed = pinned(tree).into_iter().filter_map(|(name, pinned)| match digest(tree, name) {
        None => Some(format!("{name}: a migration that databases may have run was removed; restore it")),
        Some(digest) if digest != pinned => Some(format!(
            "{name}: a migration that databases may have run was changed; restore it and add another"
        )),
        Some(_) => None,
    });
    changed.collect()
}

fn pinned(tree: &Tree) -> BTreeMap<&str, &str> {
    let list = tree
        .texts()
        .find(|(name, _)| *name == MIGRATIONS)
        .map_or("", |(_, text)| text);
    list.lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(digest, name)| (name, digest))
        .collect()
}

fn migrations(tree: &Tree) -> impl Iterator<Item = &str> {
    let sql = tree.0.keys().filter(|name| name.ends_with(".sql"));
    sql.filter(|name| name.split('/').any(|part| part == "migrations"))
        .map(String::as_str)
}

fn digest(tree: &Tree, name: &str) -> Option<String> {
    tree.0
        .get(name)
        .map(|bytes| hex::encode(Sha256::digest(bytes)))
}

#[cfg(test)]
mod tests {
    use super::super::files::tree;
    use super::*;

    const FIRST: (&str, &str) = (
        "crates/gas-store/migrations/sqlite/0001_first.sql",
        "CREATE TABLE a;",
    );
    const SECOND: (&str, &str) = (
        "crates/gas-store/migrations/sqlite/0002_second.sql",
        "CREATE TABLE b;",
    );

    /// What is found besides the vectors, which these small trees do not hold.
    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let found = violations(&tree(files)).into_iter();
        found
            .filter(|violation| !violation.starts_with("vectors/"))
            .collect()
    }

    #[test]
    fn changed_or_missing_vectors_are_found() {
        assert_eq!(violations(&tree(&[])).len(), 2);
        let changed = tree(&[("vectors/token.json", "{}"), ("vectors/cjt188.json", "{}")]);
        let found = violations(&changed);
        assert!(
            found
                .iter()
                .all(|violation| violation.contains("were changed")),
            "{found:?}"
        );
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_new_migration_is_found_until_it_is_blessed() {
        assert!(found(&[FIRST])[0].contains("--bless"));
        let list = blessed(&tree(&[FIRST]));
        assert_eq!(found(&[FIRST, (MIGRATIONS, &list)]), Vec::<String>::new());
        assert!(found(&[FIRST, SECOND, (MIGRATIONS, &list)])[0].contains("0002"));
    }

    #[test]
    fn a_changed_or_removed_migration_stays_a_violation_even_when_blessed() {
        let list = blessed(&tree(&[FIRST]));
        let edited = (FIRST.0, "CREATE TABLE a, b;");
        let list = blessed(&tree(&[edited, SECOND, (MIGRATIONS, &list)]));
        let changed = found(&[edited, SECOND, (MIGRATIONS, &list)]);
        assert_eq!(changed.len(), 1, "{changed:?}");
        assert!(changed[0].contains("was changed"), "{changed:?}");
        let removed = found(&[SECOND, (MIGRATIONS, &list)]);
        assert!(removed[0].contains("was removed"), "{removed:?}");
        assert_eq!(
            found(&[FIRST, SECOND, (MIGRATIONS, &list)]),
            Vec::<String>::new()
        );
    }
}
