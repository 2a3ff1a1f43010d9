//! Signed statements that anyone can check: quote, payment, issue, settlement (JWS, Ed25519)
