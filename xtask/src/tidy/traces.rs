use super::files::Tree;

/// The page that says which test shows what.
const PAGE: &str = "docs/traceability.md";

/// Tests and files that the page names and that are not there.
pub(crate) fn violations(tree: &Tree) -> Vec<String> {
    let page = tree.texts().find(|(name, _)| *name == PAGE);
    let Some((_, text)) = page else {
        return vec![format!("{PAGE}: is missing")];
    };
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        // Every second piece between backticks is code.
        for code in line.split('`').skip(1).step_by(2) {
            if let Some(what) = missing(tree, code) {
                found.push(format!("{PAGE}:{}: {what}", index + 1));
            }
        }
    }
    found
}

/// What is wrong with a name on the page: `file.rs::test`, `e2e_file::test` or `file.rs`. Other code is
/// not looked at.
fn missing(tree: &Tree, code: &str) -> Option<String> {
    let (file, test) = match code.split_once("::") {
        Some((file, test)) => (file, Some(test)),
        None if code.ends_with(".rs") => (code, None),
        None => return None,
    };
    let places = [
        file.to_owned(),
        format!("crates/{file}"),
        format!("e2e/tests/{file}.rs"),
    ];
    let text = tree
        .texts()
        .find(|(name, _)| places.iter().any(|place| place == name));
    match (text, test) {
        (None, _) => Some(format!("there is no file `{file}`")),
        (Some((_, text)), Some(test)) if !text.contains(&format!("fn {test}(")) => {
            Some(format!("there is no test `{test}` in `{file}`"))
        }
        (Some(_), _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::tree;
    use super::*;

    fn found(page: &str) -> Vec<String> {
        violations(&tree(&[
            (PAGE, page),
            ("crates/gas-x/tests/a.rs", "fn it_holds() {}"),
            ("e2e/tests/arrows.rs", "async fn a1() {}"),
        ]))
    }

    #[test]
    fn names_that_are_there_are_clean() {
        let page =
            "`gas-x/tests/a.rs::it_holds`, `arrows::a1`, `e2e/tests/arrows.rs`, `message_forged`";
        assert_eq!(found(page), Vec::<String>::new());
    }

    #[test]
    fn names_that_are_not_there_are_found() {
        for name in [
            "gas-x/tests/a.rs::it_hold",
            "gas-x/tests/b.rs::it_holds",
            "arrows::a2",
            "gas-x/src/b.rs",
        ] {
            let found = found(&format!("\n`{name}`"));
            assert_eq!(found.len(), 1, "{name}: {found:?}");
            assert!(found[0].starts_with("docs/traceability.md:2:"), "{found:?}");
        }
        assert_eq!(violations(&tree(&[])), ["docs/traceability.md: is missing"]);
    }
}
