//! What serde's attributes say. One that is not understood here is refused: both derives must read alike.

use proc_macro2::Span;
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Error, LitStr, Result, Type};

/// Of a type.
#[derive(Default)]
pub(crate) struct OfType {
    pub(crate) deny_unknown_fields: bool,
    pub(crate) default: bool,
    pub(crate) snake_case: bool,
    pub(crate) from: Option<Type>,
    pub(crate) try_from: Option<Type>,
}

/// Of a field or a variant.
#[derive(Default)]
pub(crate) struct OfPart {
    pub(crate) rename: Option<String>,
    pub(crate) default: bool,
}

impl OfType {
    pub(crate) fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut of = Self::default();
        each(attributes, |meta| {
            if meta.path.is_ident("deny_unknown_fields") {
                of.deny_unknown_fields = true;
            } else if meta.path.is_ident("default") {
                of.default = flag(meta)?;
            } else if meta.path.is_ident("rename_all") {
                of.snake_case = text(meta)?.value() == "snake_case";
                if !of.snake_case {
                    return Err(meta.error("only snake_case is read"));
                }
            } else if meta.path.is_ident("from") {
                of.from = Some(text(meta)?.parse()?);
            } else if meta.path.is_ident("try_from") {
                of.try_from = Some(text(meta)?.parse()?);
            } else if meta.path.is_ident("into") {
                text(meta)?;
            } else if !meta.path.is_ident("transparent") {
                return Err(meta.error("derive(FromJson) does not know this"));
            }
            Ok(())
        })?;
        Ok(of)
    }
}

impl OfPart {
    pub(crate) fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut of = Self::default();
        each(attributes, |meta| {
            if meta.path.is_ident("rename") {
                of.rename = Some(text(meta)?.value());
            } else if meta.path.is_ident("default") {
                of.default = flag(meta)?;
            } else if meta.path.is_ident("skip_serializing_if") {
                text(meta)?;
            } else {
                return Err(meta.error("derive(FromJson) does not know this"));
            }
            Ok(())
        })?;
        Ok(of)
    }
}

fn each(
    attributes: &[Attribute],
    mut take: impl FnMut(&ParseNestedMeta<'_>) -> Result<()>,
) -> Result<()> {
    let ours = |attribute: &&Attribute| attribute.path().is_ident("serde");
    for attribute in attributes.iter().filter(ours) {
        attribute.parse_nested_meta(|meta| take(&meta))?;
    }
    Ok(())
}

/// `name = "text"`.
fn text(meta: &ParseNestedMeta<'_>) -> Result<LitStr> {
    meta.value()?.parse()
}

/// `name` alone.
fn flag(meta: &ParseNestedMeta<'_>) -> Result<bool> {
    if meta.input.peek(syn::Token![=]) {
        return Err(meta.error("only Default::default is read"));
    }
    Ok(true)
}

/// As serde does it.
pub(crate) fn snake_case(variant: &str) -> String {
    let mut snake = String::new();
    for (place, letter) in variant.char_indices() {
        if letter.is_uppercase() && place > 0 {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

pub(crate) fn refuse<T>(span: Span, why: &str) -> Result<T> {
    Err(Error::new(span, why))
}
