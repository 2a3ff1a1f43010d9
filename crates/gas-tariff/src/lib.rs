//! The tiered tariff: what gas costs, explained line by line
