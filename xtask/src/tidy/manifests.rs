use std::collections::BTreeMap;

use super::files::Tree;
use super::imports::Metadata;

/// Crates without a description or without the workspace's lints.
pub(crate) fn violations(metadata: &Metadata, tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for package in metadata.members() {
        let described = package
            .description
            .as_deref()
            .is_some_and(|text| !text.trim().is_empty());
        if !described {
            found.push(format!(
                "{}: its Cargo.toml has no description",
                package.name
            ));
        }
    }
    let manifests: BTreeMap<&str, &str> = tree
        .texts()
        .filter(|(name, _)| name.ends_with("Cargo.toml"))
        .collect();
    for package in metadata.members() {
        let manifest = manifests.iter().find(|(name, _)| {
            package.manifest_path.ends_with(&format!("/{name}")) && **name != "Cargo.toml"
        });
        match manifest {
            None => found.push(format!(
                "{}: its Cargo.toml is not among git's files",
                package.name
            )),
            Some((name, text)) if !has_workspace_lints(text) => {
                found.push(format!("{name}: lacks `[lints]` with `workspace = true`"));
            }
            Some(_) => {}
        }
    }
    found
}

fn has_workspace_lints(manifest: &str) -> bool {
    let mut lines = manifest
        .lines()
        .map(str::trim)
        .skip_while(|line| *line != "[lints]")
        .skip(1);
    lines
        .by_ref()
        .take_while(|line| !line.starts_with('['))
        .any(|line| line == "workspace = true")
}

#[cfg(test)]
mod tests {
    use super::super::files::tree;
    use super::super::imports::tests::workspace;
    use super::*;

    const GOOD: &str = "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n\n[dependencies]\n";

    fn manifests_of(metadata: &Metadata, last: &str) -> Tree {
        let names: Vec<String> = metadata
            .members()
            .map(|package| format!("crates/{}/Cargo.toml", package.name))
            .collect();
        let mut files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), GOOD)).collect();
        if let Some(file) = files.last_mut() {
            file.1 = last;
        }
        tree(&files)
    }

    #[test]
    fn a_crate_without_the_lints_is_found() {
        let metadata = workspace(&[], &[]);
        assert_eq!(
            violations(&metadata, &manifests_of(&metadata, GOOD)),
            Vec::<String>::new()
        );
        for wrong in [
            "[package]\n",
            "[lints]\n[x]\nworkspace = true\n",
            "[lints.rust]\nworkspace = true\n",
        ] {
            let found = violations(&metadata, &manifests_of(&metadata, wrong));
            assert_eq!(found.len(), 1, "{wrong}: {found:?}");
            assert!(found[0].contains("[lints]"), "{found:?}");
        }
    }

    #[test]
    fn a_crate_without_a_description_is_found() {
        let mut metadata = workspace(&[], &[]);
        metadata.packages[0].description = None;
        metadata.packages[1].description = Some("  ".to_owned());
        let found = violations(&metadata, &manifests_of(&metadata, GOOD));
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn a_manifest_that_git_does_not_know_is_found() {
        let metadata = workspace(&[], &[]);
        let found = violations(&metadata, &tree(&[("Cargo.toml", GOOD)]));
        assert_eq!(found.len(), metadata.members().count());
    }
}
