use gas_token::{ReceiptResult, Seq, Setting, SettingKind, ShortTag, Total};

use crate::open::Opened;

/// What the meter remembers of its purchases. Amounts are in the meter's unit. Stored as a whole.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Account {
    /// Sequence last applied; 0 before the first. Never goes back within a generation.
    pub last_seq: Seq,
    /// First 4 bytes of the tag of the token last applied.
    pub last_tag: ShortTag,
    /// All that was ever credited, keypad codes included.
    pub total: u32,
    /// What was typed at the keypad since `last_seq`.
    pub keypad: u32,
    /// What remains; may be negative (emergency credit).
    pub balance: i32,
    /// Keypad codes up to this TID are refused.
    pub tid_floor: u32,
}

/// What a command comes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Applied<S> {
    /// What to answer.
    pub result: ReceiptResult,
    /// The state from now on: changed only where `result` is [`ReceiptResult::Applied`].
    pub state: S,
}

/// Rules 2 to 4: what a genuine total token does to the account.
#[must_use]
pub fn accept_total(account: Account, token: &Opened<Total>) -> Applied<Account> {
    let unchanged = |result| Applied {
        result,
        state: account,
    };
    if token.seq <= account.last_seq {
        return unchanged(ReceiptResult::Duplicate);
    }
    let delta = i64::from(token.total) - i64::from(account.total);
    let balance = i64::from(account.balance) + delta;
    if delta < 0 && balance < 0 {
        return unchanged(ReceiptResult::Insufficient);
    }
    let Ok(balance) = i32::try_from(balance) else {
        return unchanged(ReceiptResult::OutOfRange);
    };
    let state = Account {
        last_seq: token.seq,
        last_tag: token.tag().short(),
        total: token.total,
        keypad: 0,
        balance,
        tid_floor: account.tid_floor.max(token.tid_floor),
    };
    Applied {
        result: ReceiptResult::Applied,
        state,
    }
}

/// Versions of the five settings, each its own.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SettingVersions(pub [u16; 5]);

impl SettingVersions {
    /// The version of one setting; 0 before the first.
    #[must_use]
    pub const fn of(self, kind: SettingKind) -> u16 {
        self.0[kind.index()]
    }
}

/// Rule 5: a newer version replaces, the same or an older one is a duplicate. What the body means, and
/// whether it makes sense, is for the caller to see **before** it stores the new versions.
#[must_use]
pub fn accept_setting(
    versions: SettingVersions,
    setting: &Opened<Setting>,
) -> Applied<SettingVersions> {
    if setting.version <= versions.of(setting.kind) {
        return Applied {
            result: ReceiptResult::Duplicate,
            state: versions,
        };
    }
    let mut state = versions;
    state.0[setting.kind.index()] = setting.version;
    Applied {
        result: ReceiptResult::Applied,
        state,
    }
}
