//! Tells the compiler where the phone's page is built, and when it has been built anew.

use std::env;
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    // Without `..` in it: a debug build compares it with the paths of files that it finds only later.
    let repository = Path::new(&env::var("CARGO_MANIFEST_DIR")?)
        .join("../..")
        .canonicalize()?;
    let page = repository.join("web").join("dist");
    println!("cargo::rustc-env=PILOTLIGHT_PAGE={}", page.display());
    println!("cargo::rerun-if-changed=build.rs");
    // A debug build reads the files while it runs. Of a folder that is not there cargo thinks that it has
    // changed, so a build that embeds is then made again each time, and never misses a new page.
    if env::var_os("CARGO_CFG_DEBUG_ASSERTIONS").is_none() {
        println!("cargo::rerun-if-changed={}", page.display());
    }
    Ok(())
}
