//! CJ/T 188 frames and session (2004 and 2018 byte order)
