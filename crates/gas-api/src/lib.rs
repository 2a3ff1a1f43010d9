//! JSON types of all HTTP APIs
