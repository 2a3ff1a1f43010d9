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

/// Implements `gas_json::FromJson` by serde's attributes.
#[proc_macro_derive(FromJson, attributes(serde))]
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
    let body = match (&of.from, &of.try_from, &input.data) {
        (Some(from), None, _) => quote! {
            ::core::result::Result::Ok(::core::convert::From::from(
                <#from as ::gas_json::FromJson>::from_json(node)?,
            ))
        },
        (None, Some(from), _) => quote! {
            ::core::convert::TryFrom::try_from(<#from as ::gas_json::FromJson>::from_json(node)?)
                .map_err(|error| ::gas_json::JsonError::new(&error))
        },
        (None, None, Data::Struct(data)) => match &data.fields {
            Fields::Named(fields) => object(&of, &quote!(Self), fields, &quote!(node))?,
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => quote! {
                ::core::result::Result::Ok(Self(::gas_json::FromJson::from_json(node)?))
            },
            Fields::Unnamed(_) | Fields::Unit => {
                return refuse(
                    input.ident.span(),
                    "only named fields, or one without a name",
                );
            }
        },
        (None, None, Data::Enum(data)) => variants(&of, data)?,
        (Some(_), Some(_), _) | (None, None, Data::Union(_)) => {
            return refuse(input.ident.span(), "this cannot be read");
        }
    };
    let name = &input.ident;
    Ok(quote! {
        #[automatically_derived]
        impl ::gas_json::FromJson for #name {
            fn from_json(
                node: &::gas_json::Node,
            ) -> ::core::result::Result<Self, ::gas_json::JsonError> {
                #body
            }
        }
    })
}

/// Named fields, read in the order in which they are declared.
fn object(of: &OfType, path: &Tokens, fields: &FieldsNamed, node: &Tokens) -> Result<Tokens> {
    let (mut names, mut reads, mut optional) = (Vec::new(), Vec::new(), 0_u32);
    for (place, field) in fields.named.iter().enumerate() {
        let of_field = OfPart::read(&field.attrs)?;
        let Some(ident) = &field.ident else {
            return refuse(field.span(), "a field without a name");
        };
        let may_lack = of.default || of_field.default || is_option(&field.ty);
        if may_lack {
            let bit = u32::try_from(place)
                .ok()
                .and_then(|place| 1_u32.checked_shl(place));
            let Some(bit) = bit else {
                return refuse(field.span(), "more than 32 fields");
            };
            optional |= bit;
        }
        reads.push(if of.default && !of_field.default {
            quote!(#ident: fields.or(default.#ident)?)
        } else if may_lack {
            quote!(#ident: fields.optional()?)
        } else {
            quote!(#ident: fields.required()?)
        });
        names.push(of_field.rename.unwrap_or_else(|| name_of(ident)));
    }
    let strict = of.deny_unknown_fields;
    let default = of.default.then(|| {
        quote! {
            let default = <Self as ::core::default::Default>::default();
        }
    });
    Ok(quote! {
        let mut fields = ::gas_json::Fields::of(#node, &[#(#names),*], #optional, #strict)?;
        #default
        ::core::result::Result::Ok(#path { #(#reads),* })
    })
}

fn variants(of: &OfType, data: &DataEnum) -> Result<Tokens> {
    let (mut names, mut arms) = (Vec::new(), Vec::new());
    let last = data.variants.len().saturating_sub(1);
    for (place, variant) in data.variants.iter().enumerate() {
        let ident = &variant.ident;
        let read = match &variant.fields {
            Fields::Unit => quote!(variant.nothing().map(|()| Self::#ident)),
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => quote! {
                ::core::result::Result::Ok(Self::#ident(
                    ::gas_json::FromJson::from_json(variant.content()?)?,
                ))
            },
            Fields::Named(fields) => {
                let read = object(
                    of,
                    &quote!(Self::#ident),
                    fields,
                    &quote!(variant.content()?),
                )?;
                quote!({ #read })
            }
            Fields::Unnamed(fields) => return refuse(fields.span(), "more than one value"),
        };
        let nth = if place == last {
            quote!(_)
        } else {
            quote!(#place)
        };
        arms.push(quote!(#nth => #read));
        let spelled = || {
            if of.snake_case {
                snake_case(&name_of(ident))
            } else {
                name_of(ident)
            }
        };
        names.push(OfPart::read(&variant.attrs)?.rename.unwrap_or_else(spelled));
    }
    if names.is_empty() {
        return refuse(Span::call_site(), "no variant");
    }
    Ok(quote! {
        let variant = ::gas_json::Variant::of(node, &[#(#names),*])?;
        match variant.nth() { #(#arms),* }
    })
}

fn name_of(ident: &Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").map_or(name.clone(), str::to_owned)
}

/// As serde sees it: by how it is written.
fn is_option(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    path.path
        .segments
        .last()
        .is_some_and(|last| last.ident == "Option")
}
