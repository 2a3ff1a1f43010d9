/// RFC 3339 with the provider's offset: `2018-06-08T10:34:56+08:00`. Times are ms since 1970.
pub(crate) fn beijing(ms: i64) -> String {
    let beijing = jiff::tz::TimeZone::fixed(jiff::tz::offset(8));
    let timestamp = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    timestamp
        .to_zoned(beijing)
        .strftime("%Y-%m-%dT%H:%M:%S%:z")
        .to_string()
}

/// For people: `2018-06-08 10:34:56`, at the provider's offset.
pub(crate) fn for_people(ms: i64) -> String {
    beijing(ms)
        .chars()
        .take(19)
        .map(|c| if c == 'T' { ' ' } else { c })
        .collect()
}

/// Reads RFC 3339 with any offset.
pub(crate) fn parse(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>()
        .ok()
        .map(jiff::Timestamp::as_millisecond)
}
