//! The cloud data server
