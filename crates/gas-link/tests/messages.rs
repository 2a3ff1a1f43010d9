//! Requests, responses and their bodies as bytes.

use gas_link::{
    AnswerError, CardReport, Operation, OperationCode, RECORD_LEN, Recall, RecordKind, Records,
    Refusal, Request, RequestId, Response, Status, StatusError, TOKEN_MAX, TOKEN_MIN,
};

const ID: RequestId = RequestId([1, 2, 3, 4, 5, 6, 7, 8]);

fn every_operation() -> Vec<Operation> {
    vec![
        Operation::Card,
        Operation::Status([7; 18]),
        Operation::Deliver([9; TOKEN_MIN].into_iter().collect()),
        Operation::Deliver([9; TOKEN_MAX].into_iter().collect()),
        Operation::Result(RequestId([9; 8])),
        Operation::Records {
            kind: RecordKind::Daily,
            first: 1001,
            at_most: 24,
        },
        Operation::Records {
            kind: RecordKind::Hourly,
            first: u32::MAX,
            at_most: 255,
        },
    ]
}

#[test]
fn requests_round_trip() {
    for operation in every_operation() {
        let request = Request { id: ID, operation };
        assert_eq!(Request::parse(&request.to_frame()), Ok(request));
    }
}

#[test]
fn a_request_is_no_response_and_the_other_way_round() {
    let request = Request {
        id: ID,
        operation: Operation::Card,
    };
    assert!(Response::parse(&request.to_frame()).is_err());
    let response = Response::bare(ID, OperationCode::Card, Status::Ok);
    let fault = Request::parse(&response.to_frame()).unwrap_err();
    assert_eq!(fault.status, Status::Malformed);
    assert_eq!(fault.id, ID);
}

#[test]
fn every_status_round_trips_and_no_other() {
    let known = [
        0x00, 0x01, 0x10, 0x11, 0x13, 0x14, 0x15, 0x17, 0x20, 0x21, 0x22, 0x23, 0x30,
    ];
    for byte in 0..=255 {
        match Status::try_from(byte) {
            Ok(status) => {
                assert_eq!(status.to_byte(), byte);
                assert!(known.contains(&byte));
                let mut response = Response::bare(ID, OperationCode::Deliver, status);
                response.body.extend([1, 2, 3]);
                assert_eq!(Response::parse(&response.to_frame()), Ok(response));
                assert_eq!(status.is_final(), [0, 0x21, 0x22].contains(&byte));
            }
            Err(error) => {
                assert_eq!(error, StatusError(byte));
                assert!(!known.contains(&byte));
            }
        }
    }
}

#[test]
fn card_report_is_31_bytes() {
    let report = CardReport {
        firmware: [0, 1, 7],
        meter: Some("00110000123456".parse().unwrap()),
        answered_s_ago: Some(61),
        daily: (24, 1001),
        hourly: (77, 1030),
    };
    let body = report.to_body();
    assert_eq!(
        hex::encode(&body),
        "00010701001100001234560000003d00000018000003e90000004d00000406"
    );
    assert_eq!(CardReport::parse(&body), Ok(report));
    let fresh = CardReport {
        meter: None,
        answered_s_ago: None,
        daily: (0, 0),
        hourly: (0, 0),
        ..report
    };
    assert_eq!(CardReport::parse(&fresh.to_body()), Ok(fresh));
    for length in 0..body.len() {
        assert_eq!(
            CardReport::parse(&body[..length]),
            Err(AnswerError::Length(length))
        );
    }
    let mut wrong = body.clone();
    wrong.push(0).unwrap();
    assert_eq!(CardReport::parse(&wrong), Err(AnswerError::Length(32)));
    let mut wrong = body;
    wrong[3] = 2;
    assert_eq!(
        CardReport::parse(&wrong),
        Err(AnswerError::Field("meter known"))
    );
    wrong[3] = 1;
    wrong[4] = 0xA0;
    assert_eq!(CardReport::parse(&wrong), Err(AnswerError::Field("meter")));
}

#[test]
fn records_count_must_agree_with_the_length() {
    let two = [5; 2 * RECORD_LEN];
    let records = Records {
        kind: RecordKind::Daily,
        oldest: 1,
        newest: 1001,
        records: &two,
    };
    let body = records.to_body();
    assert_eq!(Records::parse(&body), Ok(records));
    assert_eq!(records.iter().count(), 2);
    for length in 0..body.len() {
        assert!(matches!(
            Records::parse(&body[..length]),
            Err(AnswerError::Length(_))
        ));
    }
    let mut wrong = body.clone();
    wrong[9] = 25;
    assert_eq!(Records::parse(&wrong), Err(AnswerError::Field("count")));
    wrong[9] = 1;
    assert!(matches!(
        Records::parse(&wrong),
        Err(AnswerError::Length(_))
    ));
    let mut wrong = body;
    wrong[0] = 3;
    assert_eq!(Records::parse(&wrong), Err(AnswerError::Field("kind")));
    let many = [5; 30 * RECORD_LEN];
    let body = Records {
        records: &many,
        ..records
    }
    .to_body();
    assert_eq!(Records::parse(&body).unwrap().iter().count(), 24);
}

#[test]
fn recall_and_refusal() {
    let refusal = Refusal {
        code: 3,
        generation: 2,
    };
    assert_eq!(Refusal::parse(&refusal.to_bytes()), Ok(refusal));
    assert_eq!(Refusal::parse(&[3]), Err(AnswerError::Length(1)));
    assert_eq!(Refusal::parse(&[3, 2, 1]), Err(AnswerError::Length(3)));
    let bytes = refusal.to_bytes();
    let recall = Recall {
        operation: OperationCode::Deliver,
        status: Status::MeterRefused,
        body: &bytes,
    };
    let body = recall.to_body();
    assert_eq!(body.as_slice(), [3, 0x21, 3, 2]);
    assert_eq!(Recall::parse(&body), Ok(recall));
    assert_eq!(Recall::parse(&[3]), Err(AnswerError::Length(1)));
    assert_eq!(Recall::parse(&[6, 0]), Err(AnswerError::Field("operation")));
    assert_eq!(
        Recall::parse(&[3, 0x02]),
        Err(AnswerError::Status(StatusError(2)))
    );
}
