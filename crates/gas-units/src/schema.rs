//! JSON Schemas of the types as serde writes them, for OpenAPI documents.

use crate::{MeterNumber, Money, RefundId, Unit, UnixMillis, UnixTime, VendId, Volume};

/// An id of ours: a UUID of version 7, in lower case.
const UUID: &str = "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$";

/// Gives each type the JSON Schema that stands behind it, for types whose JSON serde does not derive.
#[macro_export]
macro_rules! json_schemas {
    ($($type:ident: $schema:tt,)*) => {
        $(impl ::schemars::JsonSchema for $type {
            fn schema_name() -> $crate::CowStr {
                stringify!($type).into()
            }

            fn json_schema(_: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                ::schemars::json_schema!($schema)
            }
        })*
    };
}

/// What [`json_schemas!`] names its types with.
#[doc(hidden)]
pub type CowStr = alloc::borrow::Cow<'static, str>;

json_schemas! {
    MeterNumber: {
        "description": "A meter's number: 14 decimal digits.",
        "type": "string", "pattern": "^[0-9]{14}$",
    },
    Money: {
        "description": "Money in fen (0.01 CNY).",
        "type": "integer", "format": "int64",
    },
    RefundId: {
        "description": "A refund: a UUID of version 7, made at the gas company's desk.",
        "type": "string", "format": "uuid", "pattern": UUID,
    },
    Unit: {
        "description": "What a meter counts in: fen, or 0.01 m³.",
        "type": "string", "enum": ["fen", "centi_cubic_metre"],
    },
    UnixMillis: {
        "description": "Milliseconds since 1970 (UTC).",
        "type": "integer", "format": "int64",
    },
    UnixTime: {
        "description": "Seconds since 1970 (UTC), by a meter's clock.",
        "type": "integer", "format": "uint32", "minimum": 0,
    },
    VendId: {
        "description": "A purchase: a UUID of version 7, made by the phone. Who knows it may follow that vend.",
        "type": "string", "format": "uuid", "pattern": UUID,
    },
    Volume: {
        "description": "A volume of gas in 0.01 m³.",
        "type": "integer", "format": "uint32", "minimum": 0,
    },
}

#[cfg(test)]
mod tests {
    use schemars::{JsonSchema, SchemaGenerator};
    use serde_json::{Value, to_value};

    use super::*;

    fn schema<T: JsonSchema>() -> Value {
        SchemaGenerator::default()
            .into_root_schema_for::<T>()
            .into()
    }

    /// A schema says what serde writes.
    #[test]
    fn kinds_and_words_are_those_of_serde() {
        for (schema, value) in [
            (schema::<Money>(), to_value(Money::from_fen(-1))),
            (schema::<Volume>(), to_value(Volume::from_centi_m3(1))),
            (schema::<UnixMillis>(), to_value(UnixMillis::from_millis(1))),
            (schema::<UnixTime>(), to_value(UnixTime::from_seconds(1))),
            (schema::<VendId>(), to_value(VendId::from_parts(1, [7; 10]))),
            (
                schema::<RefundId>(),
                to_value(RefundId::from_parts(1, [7; 10])),
            ),
            (
                schema::<MeterNumber>(),
                to_value("26110000012345".parse::<MeterNumber>().unwrap()),
            ),
        ] {
            let value = value.unwrap();
            let kind = if value.is_string() {
                "string"
            } else {
                "integer"
            };
            assert_eq!(schema["type"], kind, "{value}");
        }
        for unit in [Unit::Fen, Unit::CentiCubicMetre] {
            let words = schema::<Unit>()["enum"].as_array().unwrap().clone();
            assert!(words.contains(&to_value(unit).unwrap()), "{unit:?}");
        }
    }
}
