//! The arguments of the window. Options that it does not know are those of `patcher`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The text of `--help`.
pub const HELP: &str = "\
Shows an update to the user, downloads it, and says what the user has decided.

Usage: patcher-window [OPTIONS] [OPTIONS of patcher]

Options:
  --name NAME          The name of the program [default: that of the component]
  --only NAME          A component to update; repeat it for several [default: all]
  --if-available       Show no window unless an update is available
  --after-rollback     Show which version was rolled back, and where the log is
  --lang TAG           A language of the window and of the notes; repeat it, the best first
  --texts FILE         Replace texts: a JSON object with names and texts
  --theme THEME        light, dark or system [default: system]
  --patcher FILE       The program `patcher` [default: beside this program]
  -h, --help           Print this help
  -V, --version        Print the version

Every other option is passed to `patcher`, as --channel NAME. Without --root, the window takes the
folder that it is installed in, and without --key, release.pub.pem beside it. --key takes a file or
the text of a key.

It prints one JSON line and ends with 12 if the program must restart now, 13 if the program must
install the update when it ends, 0 if there is nothing to do, and else with the code of the error.
";

/// The name of the manifest in the folder of a component.
const MANIFEST_NAME: &str = "manifest.xml";
/// The name of the key that is used without `--key`.
const KEY_NAME: &str = "release.pub.pem";

/// The colours of the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Theme {
    /// Dark text on a light ground.
    Light,
    /// Light text on a dark ground.
    Dark,
    /// As the desktop is.
    #[default]
    System,
}

/// The arguments of the window.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct WindowArguments {
    /// The name of the program.
    pub name: Option<String>,
    /// The name of the program if neither `--name` nor a release gives one.
    pub fallback_name: String,
    /// The components to update; all if there are none.
    pub only: Vec<String>,
    /// `true` if no window appears without an update.
    pub if_available: bool,
    /// `true` if the window shows the last rollback.
    pub after_rollback: bool,
    /// The languages, the best first.
    pub languages: Vec<String>,
    /// The file with the app's own texts.
    pub texts: Option<PathBuf>,
    /// The colours.
    pub theme: Theme,
    /// The program that runs the session.
    pub patcher: OsString,
    /// The arguments before the command `session`.
    pub options: Vec<OsString>,
    /// The log of the helper.
    pub log: PathBuf,
}

/// The request of a command line.
#[derive(Debug, PartialEq, Eq)]
pub enum Requested {
    /// Show the window.
    Window(Box<WindowArguments>),
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

impl WindowArguments {
    /// Parses the arguments of the program at `exe`.
    ///
    /// # Errors
    /// A message about the wrong argument.
    pub fn parse(exe: &Path, arguments: impl IntoIterator<Item = OsString>) -> Result<Requested, String> {
        let mut parsed = Self::default();
        let (mut root, mut state_dir, mut has_key) = (None, None, false);
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let (option, value) = split(&argument);
            let mut value = || {
                let value = value.clone().or_else(|| arguments.next());
                value.ok_or_else(|| format!("{option} needs a value"))
            };
            match option.as_str() {
                "-h" | "--help" => return Ok(Requested::Help),
                "-V" | "--version" => return Ok(Requested::Version),
                "--name" => parsed.name = Some(text(&option, value()?)?),
                "--only" => parsed.only.push(text(&option, value()?)?),
                "--if-available" => parsed.if_available = true,
                "--after-rollback" => parsed.after_rollback = true,
                "--texts" => parsed.texts = Some(value()?.into()),
                "--patcher" => parsed.patcher = value()?,
                "--theme" => {
                    parsed.theme = match text(&option, value()?)?.as_str() {
                        "light" => Theme::Light,
                        "dark" => Theme::Dark,
                        "system" => Theme::System,
                        other => return Err(format!("--theme is light, dark or system, not {other:?}")),
                    }
                }
                "--key" => {
                    parsed.options.push(joined("--key=", &value()?));
                    has_key = true;
                }
                "--lang" | "--root" | "--state-dir" => {
                    let value = value()?;
                    match option.as_str() {
                        "--lang" => parsed.languages.push(text(&option, value.clone())?),
                        "--root" => root = Some(PathBuf::from(&value)),
                        _ => state_dir = Some(PathBuf::from(&value)),
                    }
                    parsed.options.extend([option.into(), value]);
                }
                _ => parsed.options.push(argument),
            }
        }
        let here = exe.parent().unwrap_or(exe);
        if parsed.patcher.is_empty() {
            parsed.patcher = here.join("patcher").with_extension(std::env::consts::EXE_EXTENSION).into();
        }
        let root = match root {
            Some(root) => root,
            None => {
                let root = root_of(here).ok_or("the window is not installed in a component; pass --root DIR")?;
                parsed.options.extend(["--root".into(), root.clone().into()]);
                root
            }
        };
        if !has_key {
            parsed.options.push(joined("--key=", here.join(KEY_NAME).as_os_str()));
        }
        let names = [parsed.only.first().map(OsStr::new), root.file_name()];
        let fallback_name = names.into_iter().flatten().next().unwrap_or_default();
        parsed.fallback_name = fallback_name.to_string_lossy().into_owned();
        parsed.log = state_dir.unwrap_or_else(|| root.join(".patcher")).join("helper.log");
        Ok(Requested::Window(Box::new(parsed)))
    }
}

/// Splits `--option=value`.
fn split(argument: &OsStr) -> (String, Option<OsString>) {
    let text = argument.to_string_lossy();
    match text.split_once('=') {
        Some((option, value)) if option.starts_with("--") => (option.to_owned(), Some(value.into())),
        _ => (text.into_owned(), None),
    }
}

/// Joins an option and its value. The text of a key begins with a hyphen, as an option does.
fn joined(option: &str, value: &OsStr) -> OsString {
    let mut joined = OsString::from(option);
    joined.push(value);
    joined
}

fn text(option: &str, value: OsString) -> Result<String, String> {
    value.into_string().map_err(|_| format!("the value of {option} is not UTF-8"))
}

/// Returns the folder of the component that holds `folder`.
fn root_of(folder: &Path) -> Option<PathBuf> {
    let component = folder.ancestors().find(|ancestor| ancestor.join(MANIFEST_NAME).is_file())?;
    component.parent().map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{Requested, Theme, WindowArguments};
    use std::path::Path;

    fn parse(arguments: &[&str]) -> Result<Requested, String> {
        WindowArguments::parse(Path::new("/opt/app/bin/patcher-window"), arguments.iter().map(Into::into))
    }

    fn window(arguments: &[&str]) -> WindowArguments {
        match parse(arguments) {
            Ok(Requested::Window(window)) => *window,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn unknown_options_are_those_of_patcher() {
        let parsed = window(&["--root", "/r", "--name=My App", "--channel", "beta", "--key", "--k", "--theme", "dark"]);
        assert_eq!(parsed.options, ["--root", "/r", "--channel", "beta", "--key=--k"]);
        assert_eq!((parsed.name.as_deref(), parsed.theme), (Some("My App"), Theme::Dark));
        assert_eq!(parsed.log, Path::new("/r/.patcher/helper.log"));
    }

    #[test]
    fn the_key_and_patcher_are_beside_the_window() {
        let parsed = window(&["--root=/r", "--state-dir", "/s"]);
        let here = Path::new("/opt/app/bin");
        assert_eq!(parsed.options[4..], ["--key=/opt/app/bin/release.pub.pem"]);
        assert_eq!(Path::new(&parsed.patcher).parent(), Some(here));
        assert_eq!(parsed.log, Path::new("/s/helper.log"));
        assert_eq!((parsed.name, parsed.fallback_name.as_str()), (None, "r"));
    }

    #[test]
    fn languages_are_for_the_window_and_for_the_notes() {
        let parsed = window(&["--root", "/r", "--lang", "ar", "--lang", "en"]);
        assert_eq!(parsed.languages, ["ar", "en"]);
        assert_eq!(parsed.options[2..6], ["--lang", "ar", "--lang", "en"]);
    }

    #[test]
    fn wrong_arguments_are_refused() {
        for arguments in [&["--theme", "blue"][..], &["--name"], &[]] {
            assert!(parse(arguments).is_err(), "{arguments:?}");
        }
        assert_eq!(parse(&["--help"]), Ok(Requested::Help));
    }
}
