//! JSON Schemas of the types that write themselves as text, for OpenAPI documents.

use crate::{Digest, HexBytes, Jws, PublicKeyHex};

gas_units::json_schemas! {
    Digest: {
        "description": "A SHA-256 digest: 64 lower-case hexadecimal digits.",
        "type": "string", "pattern": "^[0-9a-f]{64}$",
    },
    HexBytes: {
        "description": "A message as bytes, in hexadecimal; at most 512 bytes.",
        "type": "string", "pattern": "^([0-9a-fA-F]{2})*$", "maxLength": 1024,
    },
    Jws: {
        "description": "A signed statement: compact JWS (RFC 7515). Check the signature with the key of `GET /v1/keys`.",
        "type": "string",
    },
    PublicKeyHex: {
        "description": "An Ed25519 public key: 64 lower-case hexadecimal digits.",
        "type": "string", "pattern": "^[0-9a-f]{64}$",
    },
}
