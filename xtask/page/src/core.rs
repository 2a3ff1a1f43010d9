//! gas-phone-wasm, compiled for the page, and the JavaScript that calls it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use wasm_bindgen_cli_support::Bindgen;

const TARGET: &str = "wasm32-unknown-unknown";
/// Where the result goes; ignored by git.
const CORE: &str = "web/src/core";
/// Debian's own Rust, which brings the standard library's sources (packages rustc-web, rust-web-src).
const DISTRIBUTION_RUSTC: &str = "/usr/bin/rustc";

/// Leaves out where and with what words a panic came: a page that panics is reloaded, and goes on from what
/// was saved. Only for a build of the standard library too.
const SMALL: &str =
    "-Zlocation-detail=none -Zfmt-debug=none -Zunstable-options -Cpanic=immediate-abort";
/// Less code, and fast enough for a few signatures.
const COMPACT: &str = "--cfg sha2_backend_soft=\"compact\"";

/// How the core was built.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Size {
    /// The standard library with it: what is shipped, and held to the budget of the first load.
    Small,
    /// With a standard library as it is: told how far over.
    Large,
}

pub(crate) fn build(root: &Path, target: &Path) -> anyhow::Result<Size> {
    let target = target.join("wasm");
    let size = compile(root, &target)?;
    let wasm = target.join(TARGET).join("page/gas_phone_wasm.wasm");
    let mut bindgen = Bindgen::new();
    bindgen
        .input_path(wasm)
        .typescript(true)
        .web(true)?
        .omit_default_module_path(false)
        .remove_name_section(true)
        .remove_producers_section(true);
    bindgen
        .generate(root.join(CORE))
        .context("the JavaScript of the core")?;
    Ok(size)
}

/// With a compiler that has the sources of its own standard library; else with rustup's target.
fn compile(root: &Path, target: &Path) -> anyhow::Result<Size> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root).args(["build", "--locked"]);
    cargo.args(["--package", "gas-phone-wasm", "--profile", "page"]);
    cargo.args(["--target", TARGET, "--target-dir"]).arg(target);
    // This program runs under cargo, which tells of itself in these.
    cargo.env_remove("RUSTC").env_remove("RUSTFLAGS");
    let own = sysroot("rustc")?;
    let has_sources = sysroot(DISTRIBUTION_RUSTC).is_ok_and(|root| {
        root.join("lib/rustlib/src/rust/library/Cargo.lock")
            .is_file()
    });
    if has_sources {
        cargo.args([
            "-Zbuild-std=std,panic_abort",
            "-Zbuild-std-features=optimize_for_size",
        ]);
        cargo.env("RUSTC", DISTRIBUTION_RUSTC);
        // Cargo builds the standard library for nobody else.
        cargo.env("RUSTC_BOOTSTRAP", "1");
        cargo.env("RUSTFLAGS", format!("{SMALL} {COMPACT}"));
        // Debian's compiler comes without the linker of wasm; rustup's has it.
        let linker = linker(&own).context("rustup's toolchain has no rust-lld")?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::env::split_paths(&path).chain([linker]);
        cargo.env("PATH", std::env::join_paths(paths)?);
    } else {
        ensure!(
            own.join("lib/rustlib").join(TARGET).join("lib").is_dir(),
            "there is no Rust for {TARGET}. Install it on Debian with `apt-get install rustc-web rust-web-src`, or \
             with `rustup target add {TARGET}`, whose core is larger"
        );
        cargo.env("RUSTFLAGS", COMPACT);
    }
    let status = cargo.status().context("cargo")?;
    if !status.success() {
        bail!("gas-phone-wasm does not build");
    }
    Ok(if has_sources {
        Size::Small
    } else {
        Size::Large
    })
}

fn sysroot(rustc: &str) -> anyhow::Result<PathBuf> {
    let said = Command::new(rustc).args(["--print", "sysroot"]).output();
    let said = said.with_context(|| format!("{rustc} cannot be run"))?;
    ensure!(said.status.success(), "{rustc} does not tell its sysroot");
    Ok(PathBuf::from(String::from_utf8(said.stdout)?.trim()))
}

/// The folder of `rust-lld`.
fn linker(sysroot: &Path) -> Option<PathBuf> {
    let hosts = sysroot.join("lib/rustlib").read_dir().ok()?;
    let folders = hosts.flatten().map(|host| host.path().join("bin"));
    folders
        .into_iter()
        .find(|folder| folder.join("rust-lld").is_file())
}
