//! Sealing tokens and checking the meter's answers; for the gas company only
