//! The prepaid meter: pure core and the simulator program
