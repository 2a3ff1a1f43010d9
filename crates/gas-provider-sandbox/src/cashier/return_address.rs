/// Where a payer is sent back to: a web address at one of the merchant's registered hosts.
pub(super) struct ReturnAddress(reqwest::Url);

impl ReturnAddress {
    /// Reads `redirect_url`; `None` where the merchant has not registered its host, or it is no web address.
    pub(super) fn parse(text: &str, merchant_hosts: &[String]) -> Option<Self> {
        let url = reqwest::Url::parse(text).ok()?;
        let web = matches!(url.scheme(), "http" | "https");
        let plain = url.username().is_empty() && url.password().is_none();
        let host = url.host_str()?;
        let registered = merchant_hosts.iter().any(|known| known == host);
        (web && plain && registered).then_some(Self(url))
    }

    /// The address, still to be escaped for HTML.
    pub(super) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The same, to be put behind `redirect_url=`.
    pub(super) fn encoded(&self) -> String {
        let mut carrier = self.0.clone();
        carrier.set_fragment(None);
        carrier
            .query_pairs_mut()
            .clear()
            .append_pair("redirect_url", self.as_str());
        carrier.query().unwrap_or_default().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_to_a_host_of_the_merchants() {
        let hosts = ["gas.example".to_owned(), "127.0.0.1".to_owned()];
        for (text, fits) in [
            ("https://gas.example/back?a=b#c", true),
            ("http://127.0.0.1:8001/", true),
            ("https://evil.example/", false),
            ("https://gas.example.evil.example/", false),
            ("https://gas.example@evil.example/", false),
            ("https://me@gas.example/", false),
            ("javascript://gas.example/%0aalert(1)", false),
            ("//gas.example/", false),
            ("/back", false),
            ("", false),
        ] {
            assert_eq!(ReturnAddress::parse(text, &hosts).is_some(), fits, "{text}");
        }
    }

    #[test]
    fn it_can_be_handed_on() {
        let hosts = ["gas.example".to_owned()];
        let text = "https://gas.example/back?a=b&c=d#e";
        let encoded = ReturnAddress::parse(text, &hosts).unwrap().encoded();
        let again = reqwest::Url::parse(&format!("http://a/?{encoded}")).unwrap();
        let pairs: Vec<_> = again.query_pairs().into_owned().collect();
        assert_eq!(pairs, [("redirect_url".to_owned(), text.to_owned())]);
    }
}
