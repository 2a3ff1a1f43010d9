use super::files::Tree;

/// Most lines of a source file.
const LINES_MAX: usize = 800;

/// Longer files, each with why it cannot be split.
const LONG_FILES: &[(&str, &str)] = &[];

/// Files that may hold `unsafe`, each with why.
const UNSAFE_FILES: &[(&str, &str)] = &[];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &[
    "util", "utils", "common", "helper", "helpers", "misc", "manager",
];

/// What must not stand in any file, and why. Written in two pieces so that this file is clean itself.
const BANNED_TEXTS: &[(&str, &str)] = &[
    (
        concat!("TO", "DO"),
        "finish it, or leave it out and say so in the report",
    ),
    (
        concat!("FIX", "ME"),
        "mend it, or leave it out and say so in the report",
    ),
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/ho", "me/"), "a path of one machine"),
    (concat!("/Us", "ers/"), "a path of one machine"),
    (
        concat!("/tm", "p/"),
        "a path of one machine; ask the system for its folder of temporary files",
    ),
    (
        concat!("registry.", "npmjs.org"),
        "a registry's host; package managers know theirs",
    ),
    (
        concat!("py", "pi.org"),
        "a registry's host; package managers know theirs",
    ),
    (
        concat!("files.python", "hosted.org"),
        "a registry's host; package managers know theirs",
    ),
    (
        concat!("static.", "crates.io"),
        "a registry's host; package managers know theirs",
    ),
    (
        concat!("index.", "crates.io"),
        "a registry's host; package managers know theirs",
    ),
    (
        concat!("deb.", "debian.org"),
        "a registry's host; package managers know theirs",
    ),
    (
        concat!("\"resolved\": \"", "http"),
        "a lock file with a registry's address; set omit-lockfile-registry-resolved",
    ),
];

/// What must not stand in Rust sources.
const BANNED_RUST: &[(&str, &str)] = &[
    (
        concat!("#[ig", "nore]"),
        "a test that does not run is no test",
    ),
    (
        concat!("#[ig", "nore ="),
        "a test that does not run is no test",
    ),
];

/// Generated files, whose texts are not ours.
const GENERATED: &[&str] = &["Cargo.lock"];

/// Sources that break a house rule.
pub(crate) fn violations(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (name, text) in tree.texts() {
        found.extend(length(name, text));
        found.extend(empty_names(name));
        if !GENERATED.contains(&name) {
            found.extend(banned(name, text, BANNED_TEXTS));
        }
        if name.ends_with(".rs") {
            found.extend(banned(name, text, BANNED_RUST));
            found.extend(unlisted_unsafe(name, text));
        }
    }
    let lists = [LONG_FILES, UNSAFE_FILES].concat();
    for (name, _) in lists.iter().filter(|(name, _)| !tree.has(name)) {
        found.push(format!(
            "{name}: listed in xtask as an exception, and not there"
        ));
    }
    found
}

fn is_source(name: &str) -> bool {
    [".rs", ".py", ".ts", ".js", ".mjs", ".svelte", ".sh"]
        .iter()
        .any(|end| name.ends_with(end))
}

fn length(name: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    let listed = LONG_FILES.iter().any(|(long, _)| *long == name);
    (is_source(name) && lines > LINES_MAX && !listed)
        .then(|| format!("{name}: {lines} lines; split it by idea, at most {LINES_MAX}"))
}

fn empty_names(name: &str) -> Vec<String> {
    if !is_source(name) {
        return Vec::new();
    }
    let stems = name
        .split('/')
        .map(|part| part.split('.').next().unwrap_or(part));
    stems
        .filter(|stem| EMPTY_NAMES.contains(stem))
        .map(|stem| format!("{name}: `{stem}` does not say what is inside; name it for its idea"))
        .collect()
}

fn banned(name: &str, text: &str, texts: &[(&str, &str)]) -> Vec<String> {
    let lines = text.lines().enumerate();
    let hits = lines.flat_map(|(index, line)| {
        texts
            .iter()
            .filter(|(banned, _)| line.contains(banned))
            .map(move |(banned, why)| format!("{name}:{}: `{banned}`: {why}", index + 1))
    });
    hits.collect()
}

fn unlisted_unsafe(name: &str, text: &str) -> Vec<String> {
    if UNSAFE_FILES.iter().any(|(listed, _)| *listed == name) {
        return Vec::new();
    }
    let endings = [" {", " fn", " impl", " trait", " extern", "("];
    let is_code = |line: &str| {
        line.match_indices("unsafe").any(|(at, word)| {
            let before = line[..at].chars().next_back();
            let after = &line[at + word.len()..];
            let begins = !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
            begins && endings.iter().any(|ending| after.starts_with(ending))
        })
    };
    let lines = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim_start()));
    lines
        .filter(|(_, line)| !line.starts_with("//"))
        .filter(|(_, line)| is_code(line))
        .map(|(number, _)| {
            format!("{name}:{number}: unsafe code in a file that xtask does not list")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::files::tree;
    use super::*;

    fn found(name: &str, text: &str) -> Vec<String> {
        violations(&tree(&[(name, text)]))
    }

    #[test]
    fn a_clean_file_is_clean() {
        let text =
            "#![forbid(unsafe_code)]\n// not_unsafe() is none\nfn not_unsafe() {}\nfn a() {}\n";
        assert_eq!(
            found("crates/gas-x/src/outbox.rs", text),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_file_too_long_is_found() {
        let lines = |count: usize| "// x\n".repeat(count);
        assert_eq!(found("a.rs", &lines(800)), Vec::<String>::new());
        assert_eq!(found("a.rs", &lines(801)).len(), 1);
        assert_eq!(found("vectors/a.json", &lines(801)), Vec::<String>::new());
    }

    #[test]
    fn a_name_that_says_nothing_is_found() {
        for name in [
            "src/utils.rs",
            "tests/common/mod.rs",
            "a/helpers/x.py",
            "manager.ts",
            "misc.rs",
        ] {
            assert_eq!(found(name, "").len(), 1, "{name}");
        }
        for name in ["src/commons.rs", "docs/common.md", "src/uncommon/mod.rs"] {
            assert_eq!(found(name, ""), Vec::<String>::new(), "{name}");
        }
    }

    #[test]
    fn every_banned_text_is_found_with_its_line() {
        for (banned, _) in BANNED_TEXTS {
            let found = found("docs/a.md", &format!("first\nsee {banned}x\n"));
            assert!(
                found
                    .iter()
                    .any(|violation| violation.contains("docs/a.md:2:")),
                "{banned}"
            );
        }
        for (banned, _) in BANNED_RUST {
            assert_eq!(found("a.rs", &format!("{banned}\n")).len(), 1, "{banned}");
            assert_eq!(found("a.md", &format!("{banned}\n")), Vec::<String>::new());
        }
    }

    #[test]
    fn what_is_generated_may_name_its_registry() {
        let (host, _) = BANNED_TEXTS[11];
        assert_eq!(found("Cargo.lock", host), Vec::<String>::new());
    }

    #[test]
    fn unsafe_code_is_found_where_it_is_not_listed() {
        // The word apart from what follows it, so that this file is clean itself.
        let word = "unsafe";
        for (before, after) in [
            ("    ", " {"),
            ("pub ", " fn a() {}"),
            ("", " impl Send for A {}"),
            ("#[", "(no_mangle)]"),
        ] {
            let code = format!("{before}{word}{after}");
            assert_eq!(found("a.rs", &code).len(), 1, "{code}");
            assert_eq!(found("a.md", &code), Vec::<String>::new(), "{code}");
        }
    }
}
