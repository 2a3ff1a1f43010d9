use std::fmt;

use gas_json::{Fill, FromJson, JsonError, Node};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Most bytes taken from one field: no message of the recharge data is longer.
const BYTES_MAX: usize = 512;

/// A message as bytes; hexadecimal in JSON. At most 512 bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HexBytes(pub Vec<u8>);

impl fmt::Display for HexBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl Serialize for HexBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl Fill for HexBytes {
    fn fill(&mut self, node: &Node) -> Result<(), JsonError> {
        *self = parse(&String::from_json(node)?).map_err(|error| JsonError::new(&error))?;
        Ok(())
    }
}

impl FromJson for HexBytes {
    fn blank() -> Self {
        Self(Vec::new())
    }
}

fn parse(text: &str) -> Result<HexBytes, String> {
    if text.len() > 2 * BYTES_MAX {
        return Err("more than 512 bytes of hexadecimal".to_owned());
    }
    // `hex::decode` would be a second one of the same in the page.
    let mut bytes = vec![0; text.len() / 2];
    hex::decode_to_slice(text, &mut bytes).map_err(|error| format!("not hexadecimal: {error}"))?;
    Ok(HexBytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_hexadecimal_up_to_its_bound_and_nothing_else() {
        let read = |text: &str| serde_json::from_str::<HexBytes>(&format!("\"{text}\""));
        assert_eq!(read("00ff").unwrap(), HexBytes(vec![0, 255]));
        assert_eq!(
            serde_json::to_string(&HexBytes(vec![0, 255])).unwrap(),
            "\"00ff\""
        );
        assert!(
            read("0")
                .unwrap_err()
                .to_string()
                .contains("not hexadecimal")
        );
        assert!(
            read("zz")
                .unwrap_err()
                .to_string()
                .contains("not hexadecimal")
        );
        assert_eq!(read(&"00".repeat(512)).unwrap().0.len(), 512);
        assert!(
            read(&"00".repeat(513))
                .unwrap_err()
                .to_string()
                .contains("more than 512")
        );
    }
}
