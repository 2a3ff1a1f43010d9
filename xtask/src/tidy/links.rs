use super::files::Tree;

/// Relative links in Markdown files that lead nowhere.
pub(crate) fn violations(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (name, text) in tree.texts().filter(|(name, _)| name.ends_with(".md")) {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (number, target) in links(text) {
            match resolve(folder, target) {
                Some(path) if tree.has(&path) => {}
                Some(path) => found.push(format!(
                    "{name}:{number}: the link to `{path}` leads nowhere"
                )),
                None => found.push(format!(
                    "{name}:{number}: the link `{target}` leads out of the repository"
                )),
            }
        }
    }
    found
}

/// The targets of relative links, without their `#fragment`, with their lines. Code is skipped.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        // Every second piece between backticks is code.
        for piece in line.split('`').step_by(2) {
            for rest in piece.split("](").skip(1) {
                let target = rest.split([')', ' ', '#']).next().unwrap_or(rest);
                let absolute = target.contains("://") || target.starts_with("mailto:");
                if !target.is_empty() && !absolute {
                    found.push((index + 1, target));
                }
            }
        }
    }
    found
}

/// `target` as seen from `folder`; nothing where it leads out of the repository.
fn resolve(folder: &str, target: &str) -> Option<String> {
    let mut path: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    if target.starts_with('/') {
        return None;
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                path.pop()?;
            }
            part => path.push(part),
        }
    }
    Some(path.join("/"))
}

#[cfg(test)]
mod tests {
    use super::super::files::tree;
    use super::*;

    fn found(text: &str) -> Vec<String> {
        violations(&tree(&[
            ("docs/a.md", text),
            ("docs/b.md", ""),
            ("README.md", ""),
        ]))
    }

    #[test]
    fn links_that_lead_somewhere_are_clean() {
        let text = "[b](b.md) ![up](../README.md#top) [here](#x) [folder](../docs/) [web](https://example.org/x) \
                    `[code](nowhere.md)`\n```\n[code](nowhere.md)\n```\n[b](b.md \"title\")\n";
        assert_eq!(found(text), Vec::<String>::new());
    }

    #[test]
    fn links_that_lead_nowhere_or_out_are_found() {
        for text in [
            "[c](c.md)",
            "[b](../b.md)",
            "[x](../../x.md)",
            "[x](/etc/x)",
            "[b](b.md)[c](c.md#b)",
        ] {
            let found = found(&format!("\n{text}\n"));
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].starts_with("docs/a.md:2:"), "{found:?}");
        }
    }
}
