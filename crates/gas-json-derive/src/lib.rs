//! `#[derive(FromJson)]`: reads from a `gas_json::Node` what `#[derive(Deserialize)]` reads by the same
//! attributes, in a tenth of the code. What serde can and this cannot is refused when it is compiled.
#![forbid(unsafe_code)]

mod attributes;

use proc_macro::TokenStream;
use proc_macro2::{Span, TokenStream as Tokens};
use quote::quote;
use syn::spanned::Spanned as _;
use syn::{Data, DataEnum, DeriveInput, Fields, FieldsNamed, Ident, Result, Type};

use crate::attributes::{OfPart, OfType, refuse, snake_case};

/// Implements `gas_json::FromJson` by serde's attributes. `#[blank(..)]` says what a value is before it is read,
/// where that does not follow from its fields.
#[proc_macro_derive(FromJson, attributes(serde, blank))]
pub fn from_json(input: TokenStream) -> TokenStream {
    let derived = syn::parse(input).and_then(|input| derive(&input));
    derived
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}

fn derive(input: &DeriveInput) -> Result<Tokens> {
    let of = OfType::read(&input.attrs)?;
    if !input.generics.params.is_empty() {
        return refuse(input.generics.span(), "a type with parameters is not read");
    }
    let fill = match (&of.from, &of.try_from, &input.data) {
        (Some(from), None, _) => quote! {
            *self = ::core::convert::From::from(<#from as ::gas_json::FromJson>::from_json(node)?);
            ::core::result::Result::Ok(())
        },
        (None, Some(from), _) => quote! {
            *self = ::core::convert::TryFrom::try_from(<#from as ::gas_json::FromJson>::from_json(node)?)
                .map_err(|error| ::gas_json::JsonError::new(&error))?;
            ::core::result::Result::Ok(())
        },
        (None, None, Data::Struct(data)) => match &data.fields {
            Fields::Named(fields) => {
                let fields = Named::read(&of, fields)?;
                let idents = &fields.idents;
                fields.fill(&of, &quote!(node), &quote!(#(&mut self.#idents),*))
            }
            Fields::Unnamed(_) => quote!(::gas_json::Fill::fill(&mut self.0, node)),
            Fields::Unit => return refuse(input.ident.span(), "a struct without fields"),
        },
        (None, None, Data::Enum(data)) => fill_variants(&of, data)?,
        (Some(_), Some(_), _) | (None, None, Data::Union(_)) => {
            return refuse(input.ident.span(), "this cannot be read");
        }
    };
    let (name, blank) = (&input.ident, blank(&of, input)?);
    Ok(quote! {
        #[automatically_derived]
        impl ::gas_json::Fill for #name {
            fn fill(
                &mut self,
                node: &::gas_json::Node,
            ) -> ::core::result::Result<(), ::gas_json::JsonError> {
                #fill
            }
        }

        #[automatically_derived]
        impl ::gas_json::FromJson for #name {
            fn blank() -> Self {
                #blank
            }
        }
    })
}

/// Fields with names.
struct Named {
    idents: Vec<Ident>,
    names: Vec<String>,
    blanks: Vec<Tokens>,
    optional: u32,
}

impl Named {
    fn read(of: &OfType, fields: &FieldsNamed) -> Result<Self> {
        let mut named = Self {
            idents: Vec::new(),
            names: Vec::new(),
            blanks: Vec::new(),
            optional: 0,
        };
        let mut bit = 1_u32;
        for field in &fields.named {
            let of_field = OfPart::read(&field.attrs)?;
            let (Some(ident), false) = (&field.ident, bit == 0) else {
                return refuse(field.span(), "more than 32 fields, or one without a name");
            };
            if of.default && of_field.default {
                return refuse(field.span(), "a default within a default");
            }
            if of.default || of_field.default || is_option(&field.ty) {
                named.optional |= bit;
            }
            bit <<= 1;
            named.blanks.push(if of_field.default {
                quote!(::core::default::Default::default())
            } else {
                quote!(::gas_json::FromJson::blank())
            });
            let name = of_field.rename.unwrap_or_else(|| name_of(ident));
            named.names.push(name);
            named.idents.push(ident.clone());
        }
        Ok(named)
    }

    fn fill(&self, of: &OfType, node: &Tokens, fields: &Tokens) -> Tokens {
        let (names, optional, strict) = (&self.names, self.optional, of.deny_unknown_fields);
        quote! {
            ::gas_json::fill_fields(#node, &[#(#names),*], &mut [#fields], #optional, #strict)
        }
    }
}

fn fill_variants(of: &OfType, data: &DataEnum) -> Result<Tokens> {
    let (mut names, mut arms) = (Vec::new(), Vec::new());
    for (place, variant) in data.variants.iter().enumerate() {
        let ident = &variant.ident;
        let read = match &variant.fields {
            Fields::Unit => quote! {
                variant.nothing()?;
                *self = Self::#ident;
            },
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => quote! {
                *self = Self::#ident(::gas_json::FromJson::from_json(variant.content()?)?);
            },
            Fields::Named(fields) => {
                let fields = Named::read(of, fields)?;
                let (idents, blanks) = (&fields.idents, &fields.blanks);
                let content = quote!(variant.content()?);
                let fill = fields.fill(of, &content, &quote!(#(&mut #idents),*));
                quote! {
                    #(let mut #idents = #blanks;)*
                    #fill?;
                    *self = Self::#ident { #(#idents),* };
                }
            }
            Fields::Unnamed(fields) => return refuse(fields.span(), "more than one value"),
        };
        let is_last = place == data.variants.len().saturating_sub(1);
        let nth = if is_last { quote!(_) } else { quote!(#place) };
        arms.push(quote!(#nth => { #read }));
        let spelled = || {
            let name = name_of(ident);
            if of.snake_case {
                snake_case(&name)
            } else {
                name
            }
        };
        let renamed = OfPart::read(&variant.attrs)?.rename;
        names.push(renamed.unwrap_or_else(spelled));
    }
    Ok(quote! {
        let variant = ::gas_json::Variant::of(node, &[#(#names),*])?;
        match variant.nth() { #(#arms)* }
        ::core::result::Result::Ok(())
    })
}

/// What a value is before it is read: an enum its first variant.
fn blank(of: &OfType, input: &DeriveInput) -> Result<Tokens> {
    let said = input.attrs.iter().find(|it| it.path().is_ident("blank"));
    if let Some(said) = said {
        return Ok(said.meta.require_list()?.tokens.clone());
    }
    if of.default {
        return Ok(quote!(::core::default::Default::default()));
    }
    let (path, fields) = match &input.data {
        Data::Struct(data) => (quote!(Self), &data.fields),
        Data::Enum(data) => match data.variants.first() {
            Some(first) => {
                let ident = &first.ident;
                (quote!(Self::#ident), &first.fields)
            }
            None => return refuse(Span::call_site(), "no variant"),
        },
        Data::Union(_) => return refuse(Span::call_site(), "a union"),
    };
    Ok(match fields {
        Fields::Unit => path,
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
            quote!(#path(::gas_json::FromJson::blank()))
        }
        Fields::Named(fields) => {
            let Named { idents, blanks, .. } = Named::read(of, fields)?;
            quote!(#path { #(#idents: #blanks),* })
        }
        Fields::Unnamed(fields) => return refuse(fields.span(), "more than one value"),
    })
}

fn name_of(ident: &Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").unwrap_or(&name).to_owned()
}

/// As serde sees it: by how it is written.
fn is_option(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    path.path
        .segments
        .last()
        .is_some_and(|last| last.ident == "Option")
}
