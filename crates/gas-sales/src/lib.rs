//! The gas company's rules: issue log, believed states, reservations, debits
