//! The desktop entry: the text that tells a desktop of Linux how a program is shown and started.
//!
//! It follows the freedesktop.org Desktop Entry Specification.

use std::fmt::Write as _;

/// The program, its looks, and how to uninstall it.
pub struct DesktopEntry<'a> {
    /// The name that users read.
    pub title: &'a str,
    /// The program's file.
    pub program: &'a str,
    /// The icon's name in the icon theme.
    pub icon: Option<&'a str>,
    /// The categories of the menu.
    pub categories: &'a [String],
    /// The command that uninstalls the program; `None` for autostart.
    pub uninstall: Option<&'a [String]>,
}

impl DesktopEntry<'_> {
    /// Returns the text of the file.
    pub fn text(&self) -> String {
        let mut text = String::from("[Desktop Entry]\nType=Application\n");
        let mut add = |key: &str, value: &str| {
            // Writing to a string never fails.
            let _ = writeln!(text, "{key}={value}");
        };
        add("Name", &string(self.title));
        add("Exec", &command([self.program]));
        add("TryExec", &string(self.program));
        if let Some(icon) = self.icon {
            add("Icon", &string(icon));
        }
        if !self.categories.is_empty() {
            add("Categories", &format!("{};", self.categories.join(";")));
        }
        add("Terminal", "false");
        if let Some(uninstall) = self.uninstall {
            add("Actions", "uninstall;");
            add("\n[Desktop Action uninstall]\nName", &string(&format!("Uninstall {}", self.title)));
            add("Exec", &command(uninstall.iter().map(String::as_str)));
        }
        text
    }
}

/// Escapes a value of the type string (section 4).
fn string(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (at, c) in text.chars().enumerate() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            ' ' if at == 0 => escaped.push_str("\\s"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Quotes the arguments of a command (section 7), then escapes the value as a string.
fn command<'a>(arguments: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = arguments.into_iter().map(quoted).collect();
    string(&quoted.join(" "))
}

fn quoted(argument: &str) -> String {
    let mut quoted = String::from('"');
    for c in argument.chars() {
        match c {
            '"' | '`' | '$' | '\\' => quoted.extend(['\\', c]),
            // Field codes such as %f are expanded within quotes, too.
            '%' => quoted.push_str("%%"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_quoted_and_then_escaped() {
        assert_eq!(command(["/opt/app", "a b"]), r#""/opt/app" "a b""#);
        assert_eq!(command([r"a\b"]), r#""a\\\\b""#);
        assert_eq!(command([r#"a"b`c$d"#]), r#""a\\"b\\`c\\$d""#);
        assert_eq!(command(["100%f", "a;b'c"]), r#""100%%f" "a;b'c""#);
        assert_eq!(command(["a\nb"]), "\"a\\nb\"");
    }

    #[test]
    fn no_value_adds_a_key_or_a_group() {
        let evil = "a\nExec=evil\n[Desktop Action x]\r\tb\\";
        let entry = DesktopEntry {
            title: evil,
            program: evil,
            icon: Some(evil),
            categories: &[],
            uninstall: Some(&[evil.to_owned()]),
        };
        let text = entry.text();
        let lines: Vec<&str> = text.lines().map(|line| line.split('=').next().unwrap_or_default()).collect();
        let keys = ["[Desktop Entry]", "Type", "Name", "Exec", "TryExec", "Icon", "Terminal", "Actions"];
        assert_eq!(lines, [&keys[..], &["", "[Desktop Action uninstall]", "Name", "Exec"]].concat());
    }
}
