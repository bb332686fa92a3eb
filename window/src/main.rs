//! The update window: an optional program that shows an update to the user.
//!
//! It is a client of the session protocol: it starts `patcher session`, shows what the session
//! finds, and downloads what the user agrees to. It does not swap files. The program that opened it
//! does that, because it holds the running lock and knows when its work is saved. The window's exit
//! code and its JSON line say what the user has decided.
//!
//! - `story` is the state machine, without a toolkit and without a process.
//! - `page` says what is shown for a state, in the words of `texts`.
//! - `view` paints the page, and speaks to screen readers.
//! - `session` is the child process.

mod arguments;
mod notes;
mod outcome;
mod page;
mod session;
mod story;
mod texts;
mod view;

use arguments::{HELP, Requested, Theme, WindowArguments};
use outcome::WindowOutcome;
use session::SessionProcess;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;
use story::Story;
use texts::Texts;
use view::{View, ViewEvent, ViewSettings};
use winit::event_loop::{EventLoop, EventLoopProxy};

/// The variables of the environment that name languages, the most important one first.
const LANGUAGE_VARIABLES: [&str; 4] = ["LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"];

fn main() -> ExitCode {
    let exe = std::env::current_exe().unwrap_or_default();
    let outcome = match WindowArguments::parse(&exe, std::env::args_os().skip(1)) {
        Ok(Requested::Help) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Ok(Requested::Version) => {
            println!("patcher-window {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Ok(Requested::Window(arguments)) => run(&exe, *arguments).unwrap_or_else(WindowOutcome::wrong_call),
        Err(message) => WindowOutcome::wrong_call(message),
    };
    println!("{}", outcome.to_json());
    ExitCode::from(outcome.exit_code())
}

/// Shows the window until the user has decided.
fn run(exe: &Path, arguments: WindowArguments) -> Result<WindowOutcome, String> {
    let texts = texts(&arguments)?;
    let event_loop = EventLoop::with_user_event().build().map_err(|error| format!("no display: {error}"))?;
    let proxy = event_loop.create_proxy();
    if arguments.theme == Theme::System {
        follow_desktop(proxy.clone());
    }
    let report = proxy.clone();
    let options = session_arguments(exe, &arguments);
    let session = SessionProcess::start(&arguments.patcher, &options, move |event| {
        // An error means that the loop has ended.
        let _ = report.send_event(ViewEvent::Story(event));
    });
    let mut session = session.map_err(|error| format!("{} cannot be started: {error}", arguments.patcher.display()))?;
    let settings = ViewSettings {
        name: arguments.name,
        fallback_name: arguments.fallback_name,
        log: arguments.log.to_string_lossy().into_owned(),
        texts,
        is_dark: match arguments.theme {
            Theme::Light => Some(false),
            Theme::Dark => Some(true),
            Theme::System => None,
        },
        if_available: arguments.if_available,
    };
    let story = if arguments.after_rollback { Story::after_rollback() } else { Story::check(arguments.only) };
    let mut view = View::new(settings, story, Box::new(move |request| session.send(request)), proxy);
    event_loop.run_app(&mut view).map_err(|error| error.to_string())?;
    Ok(view.into_outcome())
}

/// Returns the texts of the user's language, with those of the app.
fn texts(arguments: &WindowArguments) -> Result<Texts, String> {
    let environment = LANGUAGE_VARIABLES.iter().filter_map(|name| std::env::var(name).ok());
    let environment: Vec<String> =
        environment.flat_map(|tags| tags.split(':').map(str::to_owned).collect::<Vec<_>>()).collect();
    let system: Vec<String> = sys_locale::get_locales().collect();
    let wanted = if arguments.languages.is_empty() {
        environment.iter().chain(&system)
    } else {
        arguments.languages.iter().chain(&[])
    };
    let mut texts = Texts::new(wanted.map(String::as_str));
    if let Some(path) = &arguments.texts {
        let mut json = String::new();
        let read = File::open(path).and_then(|file| file.take(texts::MAX_FILE_BYTES).read_to_string(&mut json));
        let replaced = read.map_err(|error| error.to_string()).and_then(|_| texts.replace(&json));
        replaced.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(texts)
}

/// Returns the arguments of `patcher`. The session gets this process as its program, because it
/// must not wait for the program that opened the window.
fn session_arguments(exe: &Path, arguments: &WindowArguments) -> Vec<OsString> {
    let session = ["session".into(), "--pid".into(), std::process::id().to_string().into(), "--program".into()];
    arguments.options.iter().cloned().chain(session).chain([exe.into()]).collect()
}

/// Passes the colours of the desktop to the window, in a thread: the desktop may be slow to answer.
fn follow_desktop(proxy: EventLoopProxy<ViewEvent>) {
    std::thread::spawn(move || {
        if let Some(is_dark) = view::desktop_is_dark() {
            let _ = proxy.send_event(ViewEvent::Dark(is_dark));
        }
    });
}
