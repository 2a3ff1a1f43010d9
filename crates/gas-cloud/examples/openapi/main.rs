//! Prints the OpenAPI document of the cloud; `cargo xtask openapi` writes it to `openapi/cloud.json`.
#![forbid(unsafe_code)]

mod document;

use std::io::{self, Write as _};

fn main() -> io::Result<()> {
    let document = document::document().map_err(io::Error::other)?;
    io::stdout().lock().write_all(document.as_bytes())
}
