use gas_link::{Refusal, Response, Status};
use gas_token::{Ask, Tagged};

/// Length of an ask message, bytes.
const ASK_LEN: usize = 18;

/// The ask to put to the meter where it refused `ask` for its key generation: the same challenge, with the
/// generation that the meter has named. It was given a new key, and the company has not seen it at work yet;
/// an ask carries no tag, so whoever carries it may write this. [`None`] for any other answer.
#[must_use]
pub fn ask_under_its_key(ask: &[u8; ASK_LEN], answer: &Response) -> Option<[u8; ASK_LEN]> {
    if answer.status != Status::MeterRefused {
        return None;
    }
    let refusal = Refusal::parse(&answer.body).ok()?;
    let mut asked = Tagged::<Ask>::parse(ask).ok()?;
    let other =
        refusal.code == Refusal::OTHER_GENERATION && refusal.generation != asked.message.generation;
    asked.message.generation = refusal.generation;
    let again = asked.to_bytes();
    other.then(|| again.as_slice().try_into().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use gas_link::{OperationCode, RequestId};

    use super::*;

    fn ask() -> [u8; ASK_LEN] {
        let mut ask = [7; ASK_LEN];
        ask[..10].copy_from_slice(&[1, 0x40, 1, 0x00, 0x11, 0x00, 0x00, 0x12, 0x34, 0x56]);
        ask
    }

    fn answer(status: Status, body: &[u8]) -> Response {
        Response {
            id: RequestId([1; 8]),
            operation: OperationCode::Status.to_byte(),
            status,
            body: body.iter().copied().collect(),
        }
    }

    #[test]
    fn the_generation_that_the_meter_has_named_and_nothing_else_is_written_into_it() {
        let again = ask_under_its_key(&ask(), &answer(Status::MeterRefused, &[3, 2])).unwrap();
        let mut expected = ask();
        expected[2] = 2;
        assert_eq!(again, expected);
    }

    #[test]
    fn for_any_other_answer_the_ask_stands() {
        for (status, body) in [
            (Status::MeterRefused, &[3, 1][..]),
            (Status::MeterRefused, &[1, 2]),
            (Status::MeterRefused, &[3]),
            (Status::MeterRefused, &[]),
            (Status::MeterSilent, &[3, 2]),
            (Status::Ok, &[3, 2]),
        ] {
            assert_eq!(
                ask_under_its_key(&ask(), &answer(status, body)),
                None,
                "{body:?}"
            );
        }
    }
}
