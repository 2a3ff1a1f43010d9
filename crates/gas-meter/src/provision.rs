use gas_token_keys::MeterKey;
use gas_units::{MeterNumber, Unit};
use serde::Deserialize;
use zeroize::Zeroize as _;

/// What makes a meter this meter: written by the company when it adds one, read at the first start.
#[derive(Debug)]
pub struct Provision {
    /// Its number.
    pub meter: MeterNumber,
    /// The key generation it accepts.
    pub generation: u8,
    /// Its key of that generation.
    pub meter_key: MeterKey,
    /// What it counts its balance in.
    pub unit: Unit,
}

/// Why a text is not a provisioning file. Never shows any of the text: it holds a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProvisionError {
    /// The key is not 32 hexadecimal digits.
    #[error("`meter_key_hex` must be 32 hexadecimal digits")]
    Key,
    /// Not the JSON object it should be.
    #[error(
        "not a provisioning file: line {line}, column {column}; it needs meter (14 digits), generation \
         (0..=255), meter_key_hex and unit (fen or centi_cubic_metre)"
    )]
    Json {
        /// Where reading stopped.
        line: usize,
        /// Where reading stopped.
        column: usize,
    },
}

/// Other fields are for other programs.
#[derive(Deserialize)]
struct Fields<'a> {
    meter: MeterNumber,
    generation: u8,
    meter_key_hex: &'a str,
    unit: Unit,
}

impl Provision {
    /// Parses `{"meter":"14 digits","generation":1,"meter_key_hex":"..","unit":"fen"}`.
    ///
    /// # Errors
    /// [`ProvisionError`] naming the place, never the content.
    pub fn parse(json: &str) -> Result<Self, ProvisionError> {
        let fields: Fields<'_> =
            serde_json::from_str(json).map_err(|error| ProvisionError::Json {
                line: error.line(),
                column: error.column(),
            })?;
        let mut key = [0; 16];
        hex::decode_to_slice(fields.meter_key_hex.as_bytes(), &mut key)
            .map_err(|_| ProvisionError::Key)?;
        let meter_key = MeterKey::from_bytes(key);
        key.zeroize();
        Ok(Self {
            meter: fields.meter,
            generation: fields.generation,
            meter_key,
            unit: fields.unit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"meter":"00110000123456","generation":1,"unit":"fen","limit":200000,
        "meter_key_hex":"d57e05befd176af4444d3b4fb47947e8"}"#;

    #[test]
    fn what_the_company_writes_is_read() {
        let provision = Provision::parse(GOOD).unwrap();
        assert_eq!(provision.meter.to_string(), "00110000123456");
        assert_eq!((provision.generation, provision.unit), (1, Unit::Fen));
        assert_eq!(provision.meter_key.expose()[..2], [0xd5, 0x7e]);
    }

    #[test]
    fn what_is_wrong_is_told_without_the_key() {
        for (from, to) in [
            ("00110000123456", "0011000012345"),
            ("\"fen\"", "\"euro\""),
            (":1,", ":256,"),
            ("\"meter_key_hex\"", "\"key\""),
            ("47e8\"", "47\""),
            ("d57e", "g57e"),
        ] {
            let error = Provision::parse(&GOOD.replace(from, to)).unwrap_err();
            assert!(!error.to_string().contains("57e05b"), "{error}");
        }
        let short = Provision::parse(&GOOD.replace("47e8\"", "47\"")).unwrap_err();
        assert_eq!(short, ProvisionError::Key);
    }
}
