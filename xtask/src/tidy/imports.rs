use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

/// Crates that must not reach others by normal dependencies, directly or through any number of crates.
struct Wall {
    these: &'static [&'static str],
    never_reach: &'static [&'static str],
    because: &'static str,
}

const WALLS: &[Wall] = &[
    Wall {
        these: &[
            "gas-bridge",
            "gas-cloud",
            "gas-phone",
            "gas-phone-cli",
            "gas-phone-wasm",
            "gas-pay",
        ],
        never_reach: &["gas-token-issue", "gas-token-verify", "gas-token-keys"],
        because: "carriers do not link the code that could make or open a token",
    },
    Wall {
        these: &["gas-company"],
        never_reach: &["gas-link", "gas-card", "gas-token-verify"],
        because: "the gas company issues; it neither opens tokens nor speaks Bluetooth",
    },
    Wall {
        these: &["gas-card"],
        never_reach: &[
            "gas-api",
            "gas-token-issue",
            "gas-token-verify",
            "gas-token-keys",
        ],
        because: "the card carries what meter and phone say, and runs on a microcontroller",
    },
    Wall {
        these: &[
            "gas-units",
            "gas-token",
            "gas-token-issue",
            "gas-token-keys",
            "gas-token-verify",
            "gas-cjt188",
            "gas-link",
            "gas-card",
            "gas-json",
            "gas-json-derive",
            "gas-phone",
            "gas-phone-wasm",
            "gas-tariff",
            "gas-statement",
            "gas-ledger",
            "gas-sales",
            "gas-vend",
            "gas-tender",
            "gas-tender-wechat",
        ],
        never_reach: &["tokio", "sqlx", "reqwest", "axum"],
        because: "a core decides; it performs no IO",
    },
];

/// Crates at the top, and the only ones that may depend on them, for any purpose.
const TOPS: &[(&str, &[&str])] = &[
    ("gas-credit-model", &[]),
    ("gas-fuzz", &[]),
    ("gas-sim", &["e2e"]),
    ("gas-testbed", &["e2e"]),
];

/// What `cargo metadata` says of the workspace and of everything it depends on.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    id: String,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) manifest_path: String,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// `None` for a normal dependency, `dev` or `build` otherwise.
    kind: Option<String>,
}

impl Metadata {
    pub(crate) fn read(root: &Path) -> anyhow::Result<Self> {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked"])
            .current_dir(root)
            .output()
            .context("cannot run cargo metadata, which tells the imports")?;
        ensure!(
            output.status.success(),
            "cargo metadata failed, so the imports cannot be checked: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        serde_json::from_slice(&output.stdout)
            .context("cargo metadata said something else than expected")
    }

    /// The workspace's own packages.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| self.workspace_members.contains(&package.id))
    }
}

/// Imports that the walls forbid.
pub(crate) fn violations(metadata: &Metadata) -> Vec<String> {
    let names: BTreeMap<&str, &str> = metadata
        .packages
        .iter()
        .map(|package| (package.id.as_str(), package.name.as_str()))
        .collect();
    let members: BTreeMap<&str, &str> = metadata
        .members()
        .map(|package| (package.name.as_str(), package.id.as_str()))
        .collect();
    let mut found = Vec::new();
    for wall in WALLS {
        for name in wall.these {
            let Some(id) = members.get(name) else {
                found.push(format!(
                    "`{name}` is in the import table of xtask and not in the workspace"
                ));
                continue;
            };
            for path in paths_to(metadata, &names, id, wall.never_reach) {
                found.push(format!(
                    "imports {path}: forbidden, because {}",
                    wall.because
                ));
            }
        }
    }
    for node in &metadata.resolve.nodes {
        let from = names.get(node.id.as_str()).copied().unwrap_or("?");
        for dependency in &node.deps {
            let to = names.get(dependency.pkg.as_str()).copied().unwrap_or("?");
            let top = TOPS
                .iter()
                .find(|(top, may)| *top == to && !may.contains(&from));
            if let Some((top, may)) = top {
                found.push(format!(
                    "imports {from} -> {top}: only {may:?} may depend on it"
                ));
            }
        }
    }
    found
}

/// For each forbidden crate that `from` reaches, one shortest way there.
fn paths_to(
    metadata: &Metadata,
    names: &BTreeMap<&str, &str>,
    from: &str,
    forbidden: &[&str],
) -> Vec<String> {
    let nodes: BTreeMap<&str, &Node> = metadata
        .resolve
        .nodes
        .iter()
        .map(|node| (node.id.as_str(), node))
        .collect();
    let mut seen = BTreeSet::from([from]);
    let mut layer = vec![(from, names.get(from).copied().unwrap_or("?").to_owned())];
    let mut found = Vec::new();
    while !layer.is_empty() {
        let mut next = Vec::new();
        for (id, path) in layer {
            for dependency in nodes.get(id).map_or(&[][..], |node| &node.deps) {
                let normal = dependency.dep_kinds.iter().any(|kind| kind.kind.is_none());
                if !normal || !seen.insert(&dependency.pkg) {
                    continue;
                }
                let name = names.get(dependency.pkg.as_str()).copied().unwrap_or("?");
                let path = format!("{path} -> {name}");
                if forbidden.contains(&name) {
                    found.push(path.clone());
                }
                next.push((dependency.pkg.as_str(), path));
            }
        }
        layer = next;
    }
    found
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn strings(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// A workspace of the crates in the table and `others`, with these edges (`kind` empty: normal).
    pub(crate) fn workspace(others: &[&str], edges: &[(&str, &str, &str)]) -> Metadata {
        let mut all = strings(others);
        for wall in WALLS {
            all.extend(strings(wall.these));
            all.extend(strings(wall.never_reach));
        }
        let dependency = |to: &str, kind: &str| Dependency {
            pkg: to.to_owned(),
            dep_kinds: vec![Kind {
                kind: (!kind.is_empty()).then(|| kind.to_owned()),
            }],
        };
        let nodes = all.iter().map(|name| Node {
            id: name.clone(),
            deps: edges
                .iter()
                .filter(|(from, _, _)| from == name)
                .map(|(_, to, kind)| dependency(to, kind))
                .collect(),
        });
        let packages = all.iter().map(|name| Package {
            id: name.clone(),
            name: name.clone(),
            description: Some("A part".to_owned()),
            manifest_path: format!("/repository/crates/{name}/Cargo.toml"),
        });
        Metadata {
            packages: packages.collect(),
            resolve: Resolve {
                nodes: nodes.collect(),
            },
            workspace_members: all,
        }
    }

    #[test]
    fn a_clean_workspace_is_clean() {
        let edges = [
            ("gas-cloud", "gas-token", ""),
            ("gas-company", "gas-token-issue", ""),
        ];
        assert_eq!(
            violations(&workspace(&["e2e"], &edges)),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_forbidden_import_is_found_through_other_crates() {
        let edges = [
            ("gas-cloud", "gas-x", ""),
            ("gas-x", "gas-y", ""),
            ("gas-y", "gas-token-keys", ""),
        ];
        let found = violations(&workspace(&["gas-x", "gas-y"], &edges));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].contains("gas-cloud -> gas-x -> gas-y -> gas-token-keys"),
            "{found:?}"
        );
    }

    #[test]
    fn every_wall_is_a_wall_for_each_of_its_crates() {
        for wall in WALLS {
            for (these, never) in wall
                .these
                .iter()
                .flat_map(|a| wall.never_reach.iter().map(move |b| (a, b)))
            {
                let found = violations(&workspace(&[], &[(these, never, "")]));
                assert!(!found.is_empty(), "{these} -> {never}");
            }
        }
    }

    #[test]
    fn tests_and_build_scripts_may_reach_over() {
        let edges = [
            ("gas-company", "gas-token-verify", "dev"),
            ("gas-phone", "tokio", "build"),
        ];
        assert_eq!(violations(&workspace(&[], &edges)), Vec::<String>::new());
    }

    #[test]
    fn nothing_but_the_end_to_end_tests_imports_the_testbed() {
        let all = ["e2e", "gas-testbed", "gas-sim"];
        let allowed = [("e2e", "gas-testbed", "dev"), ("e2e", "gas-sim", "")];
        assert_eq!(violations(&workspace(&all, &allowed)), Vec::<String>::new());
        for kind in ["", "dev", "build"] {
            let found = violations(&workspace(&all, &[("gas-cloud", "gas-testbed", kind)]));
            assert_eq!(found.len(), 1, "{kind}: {found:?}");
        }
    }

    #[test]
    fn a_crate_that_left_the_workspace_must_leave_the_table() {
        let mut metadata = workspace(&[], &[]);
        metadata.workspace_members.remove("gas-vend");
        let found = violations(&metadata);
        assert!(found[0].contains("`gas-vend`"), "{found:?}");
    }

    #[test]
    fn where_cargo_metadata_cannot_run_nothing_is_clean() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Metadata::read(dir.path()).is_err());
    }
}
