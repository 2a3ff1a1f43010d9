//! The house rules that a program can check. Each rule finds what is wrong and says what to do; each has
//! a test that a violation is found.

mod files;
mod imports;
mod links;
mod manifests;
mod pins;
mod sources;
mod traces;

use std::path::Path;

/// Everything that breaks a rule, one line each.
///
/// # Errors
/// When a rule cannot be checked: a check that cannot run has not passed.
pub(crate) fn run(root: &Path, bless: bool) -> anyhow::Result<Vec<String>> {
    let tree = files::Tree::read(root)?;
    let metadata = imports::Metadata::read(root)?;
    if bless {
        pins::bless(root, &tree)?;
        return Ok(pins::violations(&files::Tree::read(root)?));
    }
    let mut found = Vec::new();
    found.extend(imports::violations(&metadata));
    found.extend(manifests::violations(&metadata, &tree));
    found.extend(sources::violations(&tree));
    found.extend(links::violations(&tree));
    found.extend(traces::violations(&tree));
    found.extend(pins::violations(&tree));
    Ok(found)
}
