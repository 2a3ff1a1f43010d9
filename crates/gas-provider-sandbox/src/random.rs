use getrandom::Error;

/// `N` random bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// 2 N lower-case hex digits.
pub(crate) fn hex_text<const N: usize>() -> Result<String, Error> {
    bytes::<N>().map(hex::encode)
}

/// `N` decimal digits, for numbers in the provider's style; not evenly spread, which is no harm.
pub(crate) fn digits<const N: usize>() -> Result<String, Error> {
    Ok(bytes::<N>()?
        .into_iter()
        .map(|byte| char::from(b'0' + byte % 10))
        .collect())
}
