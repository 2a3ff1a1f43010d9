//! The gas company's system server
