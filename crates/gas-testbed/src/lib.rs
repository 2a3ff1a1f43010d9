//! Starts all parts on one machine, each its own process: demo, up, fault tests
