//! A command line: its words as one text, which the program takes apart again.

/// Returns the text that a program splits into these words (`CommandLineToArgvW`).
pub fn command_line<W: AsRef<str>>(words: impl IntoIterator<Item = W>) -> String {
    let quoted: Vec<String> = words.into_iter().map(|word| quoted(word.as_ref())).collect();
    quoted.join(" ")
}

fn quoted(word: &str) -> String {
    let mut quoted = String::from('"');
    let mut backslashes = 0;
    for c in word.chars() {
        match c {
            '\\' => backslashes += 1,
            '"' => {
                // Twice the backslashes before a quotation mark, and one for the mark itself.
                quoted.extend(std::iter::repeat_n('\\', backslashes + 1));
                backslashes = 0;
            }
            _ => backslashes = 0,
        }
        quoted.push(c);
    }
    quoted.extend(std::iter::repeat_n('\\', backslashes));
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted() {
        assert_eq!(command_line([r"C:\My App\a.exe", "remove"]), r#""C:\My App\a.exe" "remove""#);
        assert_eq!(command_line([r"C:\"]), r#""C:\\""#);
        assert_eq!(command_line([r#"a\"b"#, ""]), r#""a\\\"b" """#);
    }
}
