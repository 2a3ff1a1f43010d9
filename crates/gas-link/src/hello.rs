use crate::segment::FLAG_HELLO;

/// The phone's first value: what it can do (link.md section 2 step 3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hello {
    /// Lowest link version the phone speaks.
    pub version_min: u8,
    /// Highest link version the phone speaks.
    pub version_max: u8,
    /// Longest GATT value the phone can write and take, bytes. Under 20 counts as 20.
    pub value_max: u16,
    /// Unacknowledged data segments the phone can take, 1..=8.
    pub window: u8,
    /// Any 4 bytes; the answer repeats them, so an answer to an older hello is told apart.
    pub session: [u8; 4],
}

/// The card's answer to a hello (link.md section 2 step 4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HelloAnswer {
    /// The version both will speak; 0: there is none, and the card disconnects.
    pub version: u8,
    /// Longest value either side may send from now on, bytes.
    pub value_bytes: u16,
    /// Longest message the card takes, bytes.
    pub message_max: u16,
    /// Unacknowledged data segments the card can take, 1..=8.
    pub window: u8,
    /// The hello's own 4 bytes.
    pub session: [u8; 4],
}

/// Why a value is not a hello, or not an answer to one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HelloError {
    /// The first byte is not `80`.
    #[error("not a hello: it begins with {0:#04x}")]
    Flags(u8),
    /// Another length than 10 (hello) or 11 (answer).
    #[error("a hello has 10 bytes and its answer 11, not {0}")]
    Length(usize),
    /// Versions upside down, or a window outside 1..=8.
    #[error("hello field `{0}` is out of range")]
    Range(&'static str),
}

impl Hello {
    /// Length of the value.
    pub const LEN: usize = 10;

    /// Parses the value.
    ///
    /// # Errors
    /// [`HelloError`] naming what is wrong.
    pub fn parse(value: &[u8]) -> Result<Self, HelloError> {
        let &[
            flags,
            version_min,
            version_max,
            v1,
            v0,
            window,
            s3,
            s2,
            s1,
            s0,
        ] = value
        else {
            return Err(HelloError::Length(value.len()));
        };
        checked_flags(flags)?;
        if version_min > version_max {
            return Err(HelloError::Range("version"));
        }
        Ok(Self {
            version_min,
            version_max,
            value_max: u16::from_be_bytes([v1, v0]),
            window: checked_window(window)?,
            session: [s3, s2, s1, s0],
        })
    }

    /// The value.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; Self::LEN] {
        let [v1, v0] = self.value_max.to_be_bytes();
        let [s3, s2, s1, s0] = self.session;
        [
            FLAG_HELLO,
            self.version_min,
            self.version_max,
            v1,
            v0,
            self.window,
            s3,
            s2,
            s1,
            s0,
        ]
    }
}

impl HelloAnswer {
    /// Length of the value.
    pub const LEN: usize = 11;

    /// Parses the value.
    ///
    /// # Errors
    /// [`HelloError`] naming what is wrong.
    pub fn parse(value: &[u8]) -> Result<Self, HelloError> {
        let &[flags, version, v1, v0, m1, m0, window, s3, s2, s1, s0] = value else {
            return Err(HelloError::Length(value.len()));
        };
        checked_flags(flags)?;
        Ok(Self {
            version,
            value_bytes: u16::from_be_bytes([v1, v0]),
            message_max: u16::from_be_bytes([m1, m0]),
            window: checked_window(window)?,
            session: [s3, s2, s1, s0],
        })
    }

    /// The value.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; Self::LEN] {
        let [v1, v0] = self.value_bytes.to_be_bytes();
        let [m1, m0] = self.message_max.to_be_bytes();
        let [s3, s2, s1, s0] = self.session;
        [
            FLAG_HELLO,
            self.version,
            v1,
            v0,
            m1,
            m0,
            self.window,
            s3,
            s2,
            s1,
            s0,
        ]
    }
}

const fn checked_flags(flags: u8) -> Result<(), HelloError> {
    if flags == FLAG_HELLO {
        Ok(())
    } else {
        Err(HelloError::Flags(flags))
    }
}

const fn checked_window(window: u8) -> Result<u8, HelloError> {
    if window >= 1 && window <= crate::WINDOW_MAX {
        Ok(window)
    } else {
        Err(HelloError::Range("window"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: Hello = Hello {
        version_min: 1,
        version_max: 1,
        value_max: 244,
        window: 8,
        session: [0xA1, 0xB2, 0xC3, 0xD4],
    };
    const ANSWER: HelloAnswer = HelloAnswer {
        version: 1,
        value_bytes: 244,
        message_max: 1024,
        window: 4,
        session: [0xA1, 0xB2, 0xC3, 0xD4],
    };

    #[test]
    fn hello_and_answer_are_these_bytes() {
        assert_eq!(hex::encode(HELLO.to_bytes()), "80010100f408a1b2c3d4");
        assert_eq!(Hello::parse(&HELLO.to_bytes()), Ok(HELLO));
        assert_eq!(hex::encode(ANSWER.to_bytes()), "800100f4040004a1b2c3d4");
        assert_eq!(HelloAnswer::parse(&ANSWER.to_bytes()), Ok(ANSWER));
    }

    #[test]
    fn any_other_length_is_refused() {
        let long = [0x80; 13];
        for length in (0..13).filter(|length| *length != Hello::LEN) {
            let refused = Hello::parse(&long[..length]);
            assert_eq!(refused, Err(HelloError::Length(length)));
        }
        for length in (0..13).filter(|length| *length != HelloAnswer::LEN) {
            let refused = HelloAnswer::parse(&long[..length]);
            assert_eq!(refused, Err(HelloError::Length(length)));
        }
    }

    #[test]
    fn impossible_fields_are_refused() {
        let changed = |at: usize, value: u8| {
            let mut bytes = HELLO.to_bytes();
            bytes[at] = value;
            Hello::parse(&bytes)
        };
        assert_eq!(changed(0, 0x81), Err(HelloError::Flags(0x81)));
        assert_eq!(changed(1, 2), Err(HelloError::Range("version")));
        assert_eq!(changed(5, 0), Err(HelloError::Range("window")));
        assert_eq!(changed(5, 9), Err(HelloError::Range("window")));
        let mut bytes = ANSWER.to_bytes();
        bytes[6] = 0;
        assert_eq!(HelloAnswer::parse(&bytes), Err(HelloError::Range("window")));
    }
}
