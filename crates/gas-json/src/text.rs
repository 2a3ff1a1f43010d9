//! Text to [`Node`] (RFC 8259).

use alloc::string::String;
use alloc::vec::Vec;

use crate::{JsonError, Node};

/// Lists and objects within each other, at most; as `serde_json` has it.
const DEPTH_MAX: u8 = 127;

pub(crate) fn parse(json: &[u8]) -> Result<Node, JsonError> {
    let mut text = Text { json, at: 0 };
    let node = text.value(DEPTH_MAX).filter(|_| text.peek().is_none());
    node.ok_or_else(|| {
        let at = text.at.saturating_add(1);
        JsonError::new(&format_args!("it is not JSON of integers at byte {at}"))
    })
}

/// What is still to be read. [`None`] everywhere: it cannot be read, from `at` on.
struct Text<'a> {
    json: &'a [u8],
    at: usize,
}

impl<'a> Text<'a> {
    fn value(&mut self, depth: u8) -> Option<Node> {
        match self.peek()? {
            b'n' => self.word(b"null").map(|()| Node::Null),
            b't' => self.word(b"true").map(|()| Node::Bool(true)),
            b'f' => self.word(b"false").map(|()| Node::Bool(false)),
            b'"' => self.string().map(Node::Text),
            b'[' => self.list(depth.checked_sub(1)?),
            b'{' => self.object(depth.checked_sub(1)?),
            _ => self.number(),
        }
    }

    fn list(&mut self, depth: u8) -> Option<Node> {
        let mut nodes = Vec::new();
        while self.goes_on(nodes.is_empty(), b']')? {
            nodes.push(self.value(depth)?);
        }
        Some(Node::List(nodes))
    }

    fn object(&mut self, depth: u8) -> Option<Node> {
        let mut entries = Vec::new();
        while self.goes_on(entries.is_empty(), b'}')? {
            self.peek().filter(|next| *next == b'"')?;
            let key = self.string()?;
            self.peek().filter(|next| *next == b':')?;
            self.at += 1;
            entries.push((key, self.value(depth)?));
        }
        Some(Node::Object(entries))
    }

    /// Past a bracket or a comma; whether one more follows before `end`, which is read too.
    fn goes_on(&mut self, is_first: bool, end: u8) -> Option<bool> {
        if is_first {
            self.at += 1;
        }
        let next = self.peek()?;
        if next == end {
            self.at += 1;
            return Some(false);
        }
        if !is_first {
            (next == b',').then(|| self.at += 1)?;
        }
        Some(true)
    }

    /// An integer without a sign that changes nothing and without leading zeros.
    fn number(&mut self) -> Option<Node> {
        let is_negative = self.json.get(self.at) == Some(&b'-');
        self.at += usize::from(is_negative);
        let first = self.at;
        let mut value = 0_u64;
        while let Some(digit @ b'0'..=b'9') = self.json.get(self.at) {
            value = value
                .checked_mul(10)?
                .checked_add(u64::from(digit - b'0'))?;
            self.at += 1;
        }
        let digits = self.at - first;
        let one_spelling = digits == 1 || (digits > 1 && self.json.get(first) != Some(&b'0'));
        let ends = !matches!(self.json.get(self.at), Some(b'.' | b'e' | b'E'));
        if !one_spelling || !ends {
            return None;
        }
        if !is_negative {
            return Some(Node::Number(value));
        }
        let value = 0_i64.checked_sub_unsigned(value)?;
        (value != 0).then_some(Node::Negative(value))
    }

    fn string(&mut self) -> Option<String> {
        let mut read = Vec::new();
        self.at += 1;
        loop {
            match self.byte()? {
                b'"' => return String::from_utf8(read).ok(),
                b'\\' => {
                    let letter = self.escaped()?;
                    read.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                }
                // Control characters stand only escaped.
                0..=0x1f => return None,
                other => read.push(other),
            }
        }
    }

    /// What follows a backslash.
    fn escaped(&mut self) -> Option<char> {
        Some(match self.byte()? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.utf16(),
            _ => return None,
        })
    }

    /// One code unit, or two that belong together.
    fn utf16(&mut self) -> Option<char> {
        let first = self.hex()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        self.word(b"\\u")?;
        let second = self.hex()?.checked_sub(0xdc00)?;
        let both = (second < 0x400).then_some(((first - 0xd800) << 10) | second)?;
        char::from_u32(0x1_0000 + both)
    }

    fn hex(&mut self) -> Option<u32> {
        let mut value = 0;
        for _ in 0..4 {
            value = (value << 4) | char::from(self.byte()?).to_digit(16)?;
        }
        Some(value)
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.json.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        let rest = self.json.get(self.at..)?;
        rest.starts_with(word).then(|| self.at += word.len())
    }

    /// The next byte that is no white space, not read yet.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match *self.json.get(self.at)? {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                other => return Some(other),
            }
        }
    }
}
