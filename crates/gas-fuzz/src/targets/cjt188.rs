use std::iter;

use gas_cjt188::{Answer, Decoder, Frame, Request};

use crate::Target;

pub(super) const TARGET: Target = Target {
    name: "cjt188",
    about: "serial frames: one spelling; the decoder finds them bytewise and at once alike",
    run,
    seeds,
    smoke_runs: 30_000,
};

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let vectors = include_str!("../../../../vectors/cjt188.json");
    let frames = super::vector_bytes(vectors, "frame_hex");
    let stream = frames.concat();
    frames.into_iter().chain(iter::once(stream)).collect()
}

fn run(bytes: &[u8]) {
    parse(bytes);
    decode(bytes);
}

fn parse(bytes: &[u8]) {
    let Ok(frame) = Frame::parse(bytes) else {
        return;
    };
    let bare: Vec<u8> = bytes.iter().copied().skip_while(|b| *b == 0xFE).collect();
    let wire = frame.to_wire(0);
    assert_eq!(Frame::parse(&wire).as_ref(), Ok(&frame));
    assert_eq!(wire.as_slice(), bare, "one frame in two spellings");
    if let Ok(request) = Request::parse(&frame) {
        let again = request.to_frame(frame.address, frame.serial, frame.order);
        assert_eq!(Request::parse(&again), Ok(request));
    }
    if let Ok(answer) = Answer::parse(&frame)
        && let gas_cjt188::Address::Meter(meter) = frame.address
    {
        let again = answer.to_frame(&frame, meter);
        assert_eq!(Answer::parse(&again), Ok(answer));
    }
}

/// What comes in one piece or byte by byte is the same stream.
fn decode(bytes: &[u8]) {
    let mut bytewise = Decoder::new();
    let mut frames = Vec::new();
    for byte in bytes {
        bytewise.push(*byte);
        frames.extend(iter::from_fn(|| bytewise.next_frame()));
    }
    bytewise.line_went_quiet();
    frames.extend(iter::from_fn(|| bytewise.next_frame()));
    assert!(!bytewise.is_mid_frame(), "silence leaves nothing behind");
    // At once, as far as the decoder's room goes: one frame's length.
    if bytes.len() <= gas_cjt188::FRAME_MAX {
        let mut at_once = Decoder::new();
        bytes.iter().for_each(|byte| at_once.push(*byte));
        at_once.line_went_quiet();
        let found: Vec<Frame> = iter::from_fn(|| at_once.next_frame()).collect();
        assert_eq!(found, frames);
    }
    // Whatever came before, after silence a frame is heard.
    for frame in &frames {
        let wire = frame.to_wire(4);
        let heard: Vec<Frame> = wire
            .iter()
            .filter_map(|byte| {
                bytewise.push(*byte);
                bytewise.next_frame()
            })
            .collect();
        assert_eq!(heard.as_slice(), std::slice::from_ref(frame));
        assert_eq!(Frame::parse(&wire).as_ref(), Ok(frame));
    }
}
