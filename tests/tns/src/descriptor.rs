//! What a client wants to connect to, as `(DESCRIPTION=(CONNECT_DATA=(SERVICE_NAME=x)…))`.

/// The value of the first `(NAME=value)`, whatever it is nested in. Names are compared in any case.
pub fn value<'a>(descriptor: &'a str, name: &str) -> Option<&'a str> {
    descriptor.split('(').find_map(|part| {
        let (key, rest) = part.split_once('=')?;
        if !key.trim().eq_ignore_ascii_case(name) {
            return None;
        }
        let value = rest.split(')').next()?.trim().trim_matches('"');
        if value.is_empty() { None } else { Some(value) }
    })
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn values_are_found_by_name() {
        let text = "(DESCRIPTION=(ADDRESS=(PROTOCOL=tcp)(HOST=h)(PORT=1))(CONNECT_DATA=(service_name= S1 )\
                    (CID=(PROGRAM=p)(HOST=me)(USER=u))(SERVER=)))";
        for (name, expected) in [
            ("SERVICE_NAME", Some("S1")),
            ("PROGRAM", Some("p")),
            ("SID", None),
            ("SERVER", None),
            ("CONNECT_DATA", None),
        ] {
            assert_eq!(value(text, name), expected, "{name}");
        }
    }
}
