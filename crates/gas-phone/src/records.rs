use std::collections::BTreeMap;

use gas_api::HexBytes;
use gas_json::{Fill, FromJson, JsonError, Node, numbered};
use serde::{Deserialize, Serialize, Serializer};

/// Whole record messages by their numbers, which rise. In JSON an object. A page would download ten times the
/// code for a tree; readings come in order, so that most are put at the end.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(from = "BTreeMap<u32, HexBytes>")]
pub(crate) struct ByNumber(Vec<(u32, HexBytes)>);

impl ByNumber {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Of two with one number, the later one stays.
    pub(crate) fn insert(&mut self, number: u32, record: HexBytes) {
        let place = self.place_of(number);
        match self.0.get_mut(place) {
            Some((there, old)) if *there == number => *old = record,
            _ => self.0.insert(place, (number, record)),
        }
    }

    /// Those above this number.
    pub(crate) fn after(&self, number: u32) -> &[(u32, HexBytes)] {
        let first = number
            .checked_add(1)
            .map_or(self.0.len(), |next| self.place_of(next));
        self.0.get(first..).unwrap_or_default()
    }

    pub(crate) fn all(&self) -> &[(u32, HexBytes)] {
        &self.0
    }

    /// Where it is, or would be.
    fn place_of(&self, number: u32) -> usize {
        self.0.partition_point(|(there, _)| *there < number)
    }
}

impl From<BTreeMap<u32, HexBytes>> for ByNumber {
    fn from(records: BTreeMap<u32, HexBytes>) -> Self {
        Self(records.into_iter().collect())
    }
}

impl Serialize for ByNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(number, record)| (number, record)))
    }
}

impl Fill for ByNumber {
    fn fill(&mut self, node: &Node) -> Result<(), JsonError> {
        self.0.clear();
        for (number, record) in numbered(node)? {
            self.insert(number, record);
        }
        Ok(())
    }
}

impl FromJson for ByNumber {
    fn blank() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_stand_in_order_and_the_later_of_two_stays() {
        let mut records = ByNumber::new();
        for (number, byte) in [(3, 1), (1, 2), (u32::MAX, 3), (3, 4), (2, 5), (0, 6)] {
            records.insert(number, HexBytes(vec![byte]));
        }
        let bytes = |records: &[(u32, HexBytes)]| -> Vec<u8> {
            records
                .iter()
                .flat_map(|(_, bytes)| bytes.0.clone())
                .collect()
        };
        assert_eq!(bytes(records.all()), [6, 2, 5, 4, 3]);
        assert_eq!(bytes(records.after(1)), [5, 4, 3]);
        assert_eq!(bytes(records.after(3)), [3]);
        assert!(records.after(u32::MAX).is_empty());
        let json = r#"{"0":"06","1":"02","2":"05","3":"04","4294967295":"03"}"#;
        assert_eq!(serde_json::to_string(&records).unwrap(), json);
        assert_eq!(gas_json::to_string(&records).unwrap(), json);
    }
}
