//! Opening tokens and the meter's acceptance rule; for the meter only
