//! A meter at the level of bytes, with its own few lines of CJ/T 188: nothing of the code under test.

use std::collections::{BTreeSet, VecDeque};

use gas_token::{
    Kind, MeterState, Nonce, Receipt, ReceiptResult, Record, Seq, ShortTag, StateFlags, Status,
    Tag, Tagged, Total,
};
use gas_units::{MeterNumber, Unit, UnixTime, Volume};

pub(crate) const METER: &str = "00110000123456";
pub(crate) const OTHER_METER: &str = "00110000999999";

/// How the next question is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mood {
    Honest,
    /// Takes the question to heart, but the answer is lost.
    Lost,
    /// Does not even hear it.
    Deaf,
    /// One bit of the answer falls over: its sum is wrong.
    Garbled,
    /// A good frame whose body is rubbish.
    Nonsense,
    /// A good message that answers something else: another nonce, or another meter's.
    Mixed,
    /// The answer comes after the card has given up waiting for it.
    Late,
    /// An answer with another serial number first, then the right one.
    Confused,
    /// C4 with code and detail.
    Error(u8, u8),
}

pub(crate) struct Meter {
    pub(crate) number: MeterNumber,
    /// How the next questions are answered; when empty, as `always`.
    pub(crate) moods: VecDeque<Mood>,
    pub(crate) always: Mood,
    /// Every token that reached it whole, in order.
    pub(crate) delivered: Vec<Vec<u8>>,
    /// Every frame it heard: identifier, serial number.
    pub(crate) heard: Vec<(u16, u8)>,
    pub(crate) records: Vec<Vec<u8>>,
    /// Answers A203 with this, whatever is asked.
    pub(crate) forged: Option<Vec<u8>>,
    /// How often the line woke it.
    pub(crate) woken: u32,
    applied: BTreeSet<Vec<u8>>,
}

fn state() -> MeterState {
    MeterState {
        last_seq: Seq::from_bits(8),
        last_tag: ShortTag([1, 2, 3, 4]),
        total: 115_000,
        keypad: 0,
        balance: 32_345,
        volume: Volume::from_centi_m3(123_456),
        time: UnixTime::from_seconds(1_795_422_700),
        flags: StateFlags(0),
    }
}

/// A total token of form; its tag is anything, as nobody here can check it.
pub(crate) fn token(meter: &str, seq: u32) -> Vec<u8> {
    Tagged {
        message: Total {
            generation: 1,
            meter: meter.parse().unwrap(),
            seq: Seq::from_bits(seq),
            unit: Unit::try_from(1).unwrap(),
            total: 100_000 + seq,
            amount: 20_000,
            tid_floor: 6_781_470,
            tariff: 3,
            issued: UnixTime::from_seconds(1_795_422_615),
            reference: [7; 8],
        },
        tag: Tag([seq.to_be_bytes()[3]; 16]),
    }
    .to_bytes()
}

pub(crate) fn record(meter: &str, number: u32) -> Vec<u8> {
    Tagged {
        message: Record {
            generation: 1,
            meter: meter.parse().unwrap(),
            number,
            // Number 0 would stand at a UTC+8 midnight.
            time: UnixTime::from_seconds(1_795_363_200 + number * 3600),
            volume: Volume::from_centi_m3(number * 3),
            balance: 20_000,
            flags: StateFlags(0),
        },
        tag: Tag([0x77; 16]),
    }
    .to_bytes()
}

pub(crate) fn status_bytes(meter: MeterNumber, nonce: [u8; 8]) -> Vec<u8> {
    Tagged {
        message: Status {
            generation: 1,
            meter,
            nonce: Nonce(nonce),
            state: state(),
            battery_percent: 92,
            settings: [1, 0, 0, 0, 0],
        },
        tag: Tag([0x55; 16]),
    }
    .to_bytes()
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self {
            number: METER.parse().unwrap(),
            moods: VecDeque::new(),
            always: Mood::Honest,
            delivered: Vec::new(),
            heard: Vec::new(),
            records: Vec::new(),
            forged: None,
            woken: 0,
            applied: BTreeSet::new(),
        }
    }

    /// Answers as `(delay in ms, bytes)`.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
        self.woken += 1;
        let start = bytes.iter().position(|byte| *byte != 0xFE).unwrap();
        assert!(start >= 2, "the meter sleeps: it needs a preamble");
        let frame = &bytes[start..];
        let (sum, end) = (frame[frame.len() - 2], frame[frame.len() - 1]);
        let body = &frame[..frame.len() - 2];
        assert_eq!(
            body.iter().fold(0_u8, |all, byte| all.wrapping_add(*byte)),
            sum
        );
        assert_eq!((frame[0], end), (0x68, 0x16));
        assert_eq!(usize::from(frame[10]), body.len() - 11);
        let mut address: [u8; 7] = frame[2..9].try_into().unwrap();
        address.reverse();
        let broadcast = address == [0xAA; 7];
        if !broadcast && MeterNumber::from_bcd(address) != Ok(self.number) {
            return Vec::new();
        }
        let identifier = u16::from_be_bytes([frame[11], frame[12]]);
        let serial = frame[13];
        let mood = self.moods.pop_front().unwrap_or(self.always);
        if mood == Mood::Deaf {
            return Vec::new();
        }
        self.heard.push((identifier, serial));
        let control = frame[9];
        self.answers(mood, (control, identifier, serial), &body[14..])
    }

    fn answers(
        &mut self,
        mood: Mood,
        (control, identifier, serial): (u8, u16, u8),
        asked: &[u8],
    ) -> Vec<(u64, Vec<u8>)> {
        let answer = if let Mood::Error(code, detail) = mood {
            self.frame(control | 0xC0, &[serial, code, detail])
        } else {
            match self.body(identifier, asked) {
                Some(mut body) => {
                    if mood == Mood::Nonsense {
                        body.iter_mut().for_each(|byte| *byte = !*byte);
                    }
                    if mood == Mood::Mixed {
                        match identifier {
                            0xA202 => body[10] ^= 1,
                            0xA201 | 0xA203 => body[9] = 0x57,
                            _ => {}
                        }
                    }
                    let [high, low] = identifier.to_be_bytes();
                    let mut data = vec![high, low, serial];
                    data.extend(body);
                    self.frame(control | 0x80, &data)
                }
                None => self.frame(control | 0xC0, &[serial, 0x10, 0]),
            }
        };
        match mood {
            Mood::Honest | Mood::Nonsense | Mood::Mixed | Mood::Error(..) => vec![(50, answer)],
            Mood::Lost | Mood::Deaf => Vec::new(),
            Mood::Garbled => {
                let mut broken = answer;
                let middle = broken.len() / 2;
                broken[middle] ^= 0x10;
                vec![(50, broken)]
            }
            Mood::Late => vec![(1_400, answer)],
            Mood::Confused => {
                let [high, low] = identifier.to_be_bytes();
                let stray = self.frame(control | 0x80, &[high, low, serial.wrapping_add(1), 9]);
                vec![(30, stray), (90, answer)]
            }
        }
    }

    fn body(&mut self, identifier: u16, asked: &[u8]) -> Option<Vec<u8>> {
        match identifier {
            0x810A => Some(Vec::new()),
            0x901F => Some(
                [
                    0x56, 0x34, 0x12, 0x00, 0x2C, 0x00, 0x00, 0x12, 0x00, 0x2C, 0x15, 0x30, 0x08,
                    0x23, 0x11, 0x26, 0x20, 0x00, 0x00,
                ]
                .to_vec(),
            ),
            0xA201 => {
                self.delivered.push(asked.to_vec());
                let fresh = self.applied.insert(asked.to_vec());
                Some(self.receipt(asked, fresh))
            }
            0xA202 => {
                let nonce = asked[10..18].try_into().unwrap();
                Some(status_bytes(self.number, nonce))
            }
            0xA203 if self.forged.is_some() => self.forged.clone(),
            0xA203 => {
                let wanted = u32::from_be_bytes(asked.try_into().unwrap());
                self.records
                    .iter()
                    .find(|record| number_of(record) >= wanted)
                    .cloned()
            }
            0xA204 => {
                let edge = |record: Option<&Vec<u8>>| record.map_or(0, |r| number_of(r));
                let (oldest, newest) = (edge(self.records.first()), edge(self.records.last()));
                Some([oldest.to_be_bytes(), newest.to_be_bytes()].concat())
            }
            other => panic!("the card asked {other:04x}"),
        }
    }

    fn receipt(&self, token: &[u8], fresh: bool) -> Vec<u8> {
        Tagged {
            message: Receipt {
                generation: 1,
                meter: self.number,
                result: match fresh {
                    true => ReceiptResult::Applied,
                    false => ReceiptResult::Duplicate,
                },
                answered: Kind::try_from(token[1]).unwrap(),
                state: state(),
            },
            tag: Tag([0x66; 16]),
        }
        .to_bytes()
    }

    fn frame(&self, control: u8, data: &[u8]) -> Vec<u8> {
        let mut address = self.number.to_bcd();
        address.reverse();
        let mut frame = vec![0x68, 0x30];
        frame.extend(address);
        frame.extend([control, u8::try_from(data.len()).unwrap()]);
        frame.extend(data);
        let sum = frame.iter().fold(0_u8, |all, byte| all.wrapping_add(*byte));
        frame.extend([sum, 0x16]);
        [vec![0xFE, 0xFE], frame].concat()
    }
}

fn number_of(record: &[u8]) -> u32 {
    u32::from_be_bytes(record[10..14].try_into().unwrap())
}
