//! The appearance of the desktop: dark or light.

/// Asks the desktop whether it is dark; `None` if it does not say.
///
/// It may wait for another process. On Windows and macOS the window itself knows.
#[cfg(all(unix, not(target_os = "macos")))]
pub fn desktop_is_dark() -> Option<bool> {
    match dark_light::detect().ok()? {
        dark_light::Mode::Dark => Some(true),
        dark_light::Mode::Light => Some(false),
        dark_light::Mode::Unspecified => None,
    }
}

/// Asks the desktop whether it is dark; `None` if it does not say.
#[cfg(not(all(unix, not(target_os = "macos"))))]
pub fn desktop_is_dark() -> Option<bool> {
    None
}
