//! Attribute values as text between quotes: with `&amp;` and the four other entities that XML
//! defines.

use std::borrow::Cow;
use std::fmt::Display;

const ENTITIES: [(&str, char); 5] = [("amp;", '&'), ("lt;", '<'), ("gt;", '>'), ("quot;", '"'), ("apos;", '\'')];

/// Appends a space and one attribute to `text`.
pub fn push_attribute(text: &mut String, name: &str, value: impl Display) {
    text.extend([" ", name, "=\"", &escape(&value.to_string()), "\""]);
}

/// Replaces the five characters that an attribute value cannot hold.
pub fn escape(value: &str) -> Cow<'_, str> {
    if !value.contains(['&', '<', '>', '"', '\'']) {
        return value.into();
    }
    let mut escaped = String::with_capacity(value.len() + 16);
    for character in value.chars() {
        match ENTITIES.iter().find(|(_, plain)| *plain == character) {
            Some((name, _)) => escaped.extend(["&", name]),
            None => escaped.push(character),
        }
    }
    escaped.into()
}

/// Replaces the five entities; returns `None` for any other reference.
pub(super) fn unescape(raw: &str) -> Option<Cow<'_, str>> {
    let Some((before, mut rest)) = raw.split_once('&') else {
        return Some(raw.into());
    };
    let mut value = before.to_owned();
    loop {
        let (name, character) = ENTITIES.iter().find(|(name, _)| rest.starts_with(name))?;
        value.push(*character);
        rest = &rest[name.len()..];
        match rest.split_once('&') {
            Some((text, next)) => {
                value.push_str(text);
                rest = next;
            }
            None => {
                value.push_str(rest);
                return Some(value.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaping_round_trips() {
        let value = "a<b>&\"c'd";
        assert_eq!(unescape(&escape(value)).as_deref(), Some(value));
    }
}
