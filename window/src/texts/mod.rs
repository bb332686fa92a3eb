//! The texts of the window, in the user's language.

mod amounts;
mod table;

pub use amounts::TransferProgress;
pub use table::TextKey;

use serde_json::Value;
use std::collections::BTreeMap;
use table::{TABLE, TAGS};

/// The size of the largest file of an app's own texts.
pub const MAX_FILE_BYTES: u64 = 64 << 10;

/// The signs around inserted text in a right-to-left language. They keep a name or a number in
/// Latin script from reordering the sentence.
const ISOLATE: [char; 2] = ['\u{2068}', '\u{2069}'];

/// The texts of one language, some of them replaced by the app.
#[derive(Debug, Clone, Default)]
pub struct Texts {
    column: usize,
    own: BTreeMap<TextKey, String>,
}

impl Texts {
    /// Chooses the first language of `wanted` that the table has; English if it has none.
    pub fn new<'a>(wanted: impl IntoIterator<Item = &'a str>) -> Self {
        let column = wanted.into_iter().find_map(column_of).unwrap_or_default();
        Self { column, own: BTreeMap::new() }
    }

    /// Replaces texts by those of an app: a JSON object with the names of texts.
    ///
    /// # Errors
    /// A message if it is no such object, or if a name is unknown.
    pub fn replace(&mut self, json: &str) -> Result<(), String> {
        let Ok(Value::Object(texts)) = serde_json::from_str(json) else {
            return Err("it is not a JSON object".to_owned());
        };
        for (name, text) in texts {
            let row = TABLE.iter().find(|(_, known, _)| *known == name);
            let (Some((key, ..)), Value::String(text)) = (row, text) else {
                return Err(format!("`{name}` is not the name of a text, or its value is not a text"));
            };
            self.own.insert(*key, text);
        }
        Ok(())
    }

    /// Returns a text.
    pub fn text(&self, key: TextKey) -> &str {
        let row = || TABLE.iter().find(|(known, ..)| *known == key);
        self.own.get(&key).map(String::as_str).or_else(|| row().map(|row| row.2[self.column])).unwrap_or_default()
    }

    /// Returns a text with values in the place of `{name}`, `{version}` and so on.
    pub fn filled(&self, key: TextKey, values: &[(&str, &str)]) -> String {
        let mut filled = String::new();
        let mut rest = self.text(key);
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let value = after.split_once('}').and_then(|(name, after)| {
                let (_, value) = values.iter().find(|(known, _)| *known == name)?;
                Some((value, after))
            });
            match value {
                Some((value, after)) if self.is_rtl() => {
                    filled.extend([ISOLATE[0]].into_iter().chain(value.chars()).chain([ISOLATE[1]]));
                    rest = after;
                }
                Some((value, after)) => {
                    filled.push_str(value);
                    rest = after;
                }
                None => {
                    filled.push('{');
                    rest = after;
                }
            }
        }
        filled + rest
    }

    /// Returns `true` for a language that is written from right to left.
    pub fn is_rtl(&self) -> bool {
        self.tag() == "ar"
    }

    /// Returns the tag of the language.
    pub fn tag(&self) -> &'static str {
        TAGS[self.column]
    }
}

/// Returns the column of a language tag such as `de-AT`, `pt_BR.UTF-8` or `zh-Hans`.
fn column_of(tag: &str) -> Option<usize> {
    let language = tag.split(['-', '_', '.', '@']).next()?.to_ascii_lowercase();
    // Traditional Chinese has no column, but its readers understand simplified rather than English.
    TAGS.iter().position(|known| *known == language)
}

#[cfg(test)]
mod tests {
    use super::table::{LANGUAGES, TABLE, TAGS};
    use super::{TextKey, Texts};
    use std::collections::BTreeSet;

    fn placeholders(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)).collect()
    }

    #[test]
    fn no_text_is_missing_and_each_has_the_same_placeholders() {
        for (key, _, texts) in TABLE {
            for column in 0..LANGUAGES {
                assert!(!texts[column].trim().is_empty(), "{key:?} in {}", TAGS[column]);
                assert_eq!(placeholders(texts[column]), placeholders(texts[0]), "{key:?} in {}", TAGS[column]);
            }
        }
    }

    #[test]
    fn names_and_keys_are_unique() {
        let names: BTreeSet<_> = TABLE.iter().map(|(_, name, _)| name).collect();
        let keys: BTreeSet<_> = TABLE.iter().map(|(key, ..)| key).collect();
        assert_eq!((names.len(), keys.len()), (TABLE.len(), TABLE.len()));
    }

    #[test]
    fn the_first_known_language_is_chosen() {
        for (wanted, tag) in [
            (&["de-AT"][..], "de"),
            (&["pt_BR.UTF-8"], "pt"),
            (&["zh-Hans"], "zh"),
            (&["tlh", "FR"], "fr"),
            (&["C.UTF-8"], "en"),
            (&[], "en"),
        ] {
            assert_eq!(Texts::new(wanted.iter().copied()).tag(), tag, "{wanted:?}");
        }
    }

    #[test]
    fn values_replace_their_names_only() {
        let texts = Texts::new(["en"]);
        let values = [("name", "{version}"), ("version", "2.1")];
        assert_eq!(texts.filled(TextKey::Available, &values), "{version} 2.1 is available");
        assert_eq!(texts.filled(TextKey::Available, &[("name", "App")]), "App {version} is available");
    }

    #[test]
    fn values_are_isolated_in_right_to_left_texts() {
        let text = Texts::new(["ar"]).filled(TextKey::UpToDate, &[("name", "App")]);
        assert!(text.starts_with("\u{2068}App\u{2069}"), "{text:?}");
    }

    #[test]
    fn an_app_replaces_texts_by_name() {
        let mut texts = Texts::new(["de"]);
        assert_eq!(texts.replace(r#"{"later": "Morgen"}"#), Ok(()));
        assert_eq!((texts.text(TextKey::Later), texts.text(TextKey::Close)), ("Morgen", "Schließen"));
        for wrong in ["[]", r#"{"latter": "x"}"#, r#"{"later": 1}"#, "{"] {
            assert!(texts.replace(wrong).is_err(), "{wrong}");
        }
    }
}
