use gas_token::{Message as _, Receipt, Record, Status, Tag, Tagged};
use gas_token_keys::MeterKeys;

/// Signs a receipt; its tag covers the tag of the command that it answers.
#[must_use]
pub fn sign_receipt(keys: &MeterKeys, receipt: Receipt, command_tag: Tag) -> Tagged<Receipt> {
    let tag = keys.receipt.tag(&[&receipt.untagged(), &command_tag.0]);
    Tagged {
        message: receipt,
        tag,
    }
}

/// Signs a status.
#[must_use]
pub fn sign_status(keys: &MeterKeys, status: Status) -> Tagged<Status> {
    let tag = keys.state.tag(&[&status.untagged()]);
    Tagged {
        message: status,
        tag,
    }
}

/// Signs a record (8 bytes of tag are sent).
#[must_use]
pub fn sign_record(keys: &MeterKeys, record: Record) -> Tagged<Record> {
    let tag = keys.history.tag(&[&record.untagged()]);
    Tagged {
        message: record,
        tag,
    }
}
