//! Where a page comes from, as a browser says it (RFC 6454, section 6.2).

use std::str::FromStr;

use axum::http::{HeaderValue, Uri};

/// The origin of a page, like `https://gas.example` or `http://127.0.0.1:8001`: compared letter by letter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PageOrigin(String);

/// Not an origin as browsers write it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "an origin is written like https://gas.example or http://127.0.0.1:8001: lower case, nothing behind the port"
)]
pub struct PageOriginError;

impl PageOrigin {
    pub(crate) fn is(&self, said: &HeaderValue) -> bool {
        said.as_bytes() == self.0.as_bytes()
    }
}

impl FromStr for PageOrigin {
    type Err = PageOriginError;

    fn from_str(text: &str) -> Result<Self, PageOriginError> {
        let uri: Uri = text.parse().map_err(|_| PageOriginError)?;
        let (Some(scheme @ ("http" | "https")), Some(authority)) =
            (uri.scheme_str(), uri.authority())
        else {
            return Err(PageOriginError);
        };
        // As a browser would write it; anything else would never be said.
        let is_plain = text == format!("{scheme}://{authority}")
            && !authority.as_str().contains('@')
            && !text.bytes().any(|byte| byte.is_ascii_uppercase());
        is_plain
            .then(|| Self(text.to_owned()))
            .ok_or(PageOriginError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_browsers_write_and_nothing_else() {
        for good in [
            "https://gas.example",
            "http://127.0.0.1:8001",
            "http://localhost:8001",
            "http://[::1]:8001",
        ] {
            let origin: PageOrigin = good.parse().unwrap();
            assert!(origin.is(&HeaderValue::from_static(good)), "{good}");
            assert!(!origin.is(&HeaderValue::from_static("null")));
            assert!(!origin.is(&HeaderValue::from_static("https://gas.example.evil")));
        }
        for bad in [
            "",
            "null",
            "*",
            "gas.example",
            "https://gas.example/",
            "https://gas.example/page",
            "https://gas.example?a",
            "https://Gas.example",
            "https://user@gas.example",
            "wss://gas.example",
            "https://",
        ] {
            assert_eq!(bad.parse::<PageOrigin>(), Err(PageOriginError), "{bad}");
        }
    }
}
