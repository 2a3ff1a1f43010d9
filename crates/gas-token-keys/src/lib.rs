//! Key derivation and tags of the recharge data; for the issuing and the verifying side only
