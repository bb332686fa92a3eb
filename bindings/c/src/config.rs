//! Configurations. A wrong value is reported when the app is made, so that no setter can fail.

use crate::boundary::{infallible, take};
use crate::failure::Failure;
use crate::text::{read, read_list};
use std::ffi::c_char;
use std::time::Duration;

/// The configuration of an app. The caller frees it with `patcher_config_free`.
///
/// Setters copy their arguments. A wrong value makes `patcher_app_new` fail.
pub struct Config {
    settings: updater::Config,
    defect: Option<Failure>,
}

impl Config {
    fn of(settings: Result<updater::Config, Failure>) -> *mut Self {
        let (settings, defect) = match settings {
            Ok(settings) => (settings, None),
            Err(defect) => (updater::Config::new(""), Some(defect)),
        };
        Box::into_raw(Box::new(Self { settings, defect }))
    }

    /// Returns the settings, or the first wrong value.
    pub fn checked(&self) -> Result<updater::Config, Failure> {
        match &self.defect {
            Some(defect) => Err(defect.clone()),
            None => Ok(self.settings.clone()),
        }
    }

    /// Changes the settings.
    ///
    /// # Safety
    /// `config` is null or a configuration that no other thread uses.
    unsafe fn change(config: *mut Self, change: impl FnOnce(updater::Config) -> Result<updater::Config, Failure>) {
        infallible((), || {
            // SAFETY: the caller promises that it is a configuration or NULL.
            let Some(config) = (unsafe { config.as_mut() }) else { return };
            match change(config.settings.clone()) {
                Ok(settings) => config.settings = settings,
                Err(defect) => drop(config.defect.get_or_insert(defect)),
            }
        });
    }
}

/// Makes a configuration for the components in a folder.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_config_new(install_root: *const c_char) -> *mut Config {
    infallible(std::ptr::null_mut(), || {
        // SAFETY: the caller promises a text.
        Config::of(unsafe { read("install_root", install_root) }.map(updater::Config::new))
    })
}

/// Makes a configuration for the installation that a program is part of. The program's file is
/// `program`, or with NULL that of this process.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_config_for_program(component: *const c_char, program: *const c_char) -> *mut Config {
    infallible(std::ptr::null_mut(), || {
        // SAFETY: the caller promises texts.
        let component = unsafe { read("component", component) };
        Config::of(component.and_then(|component| match program.is_null() {
            true => Ok(updater::Config::for_current_exe(component)),
            // SAFETY: the caller promises a text.
            false => unsafe { read("program", program) }.map(|path| updater::Config::for_program(component, path)),
        }))
    })
}

/// Frees a configuration. Apps that were made with it stay. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_config_free(config: *mut Config) {
    // SAFETY: the caller promises that it was made by this library.
    infallible((), || drop(unsafe { take(config) }));
}

// cbindgen reads no macros, so each setter is written out.

/// Adds a trusted public key in PEM; the oldest comes first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_config_trusted_key(config: *mut Config, pem: *const c_char) {
    // SAFETY: the caller promises a configuration and a text.
    unsafe { Config::change(config, |settings| Ok(settings.trusted_key(read("pem", pem)?))) };
}

/// Sets the channel. Default: "stable".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_config_channel(config: *mut Config, channel: *const c_char) {
    // SAFETY: the caller promises a configuration and a text.
    unsafe { Config::change(config, |settings| Ok(settings.channel(read("channel", channel)?))) };
}

/// Sets the folder of the updater's own files. Default: ".patcher" in the install root.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_config_state_dir(config: *mut Config, dir: *const c_char) {
    // SAFETY: the caller promises a configuration and a text.
    unsafe { Config::change(config, |settings| Ok(settings.state_dir(read("dir", dir)?))) };
}

/// Sets the site to ask instead of those in the manifests: a URL or a folder.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_config_site(config: *mut Config, url_or_path: *const c_char) {
    // SAFETY: the caller promises a configuration and a text.
    unsafe { Config::change(config, |settings| Ok(settings.site(read("url_or_path", url_or_path)?))) };
}

/// Sets the path of the helper. Default: "patcher-helper" beside the program.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_config_helper(config: *mut Config, path: *const c_char) {
    // SAFETY: the caller promises a configuration and a text.
    unsafe { Config::change(config, |settings| Ok(settings.helper(read("path", path)?))) };
}

/// Sets the program's file, where it is not the one of this process.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_config_program(config: *mut Config, path: *const c_char) {
    // SAFETY: the caller promises a configuration and a text.
    unsafe { Config::change(config, |settings| Ok(settings.program(read("path", path)?))) };
}

/// Sets a proxy for all requests; an empty text means none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_config_proxy(config: *mut Config, url: *const c_char) {
    // SAFETY: the caller promises a configuration and a text.
    unsafe { Config::change(config, |settings| Ok(settings.proxy(read("url", url)?))) };
}

/// Sets the hosts that are reached without a proxy, separated by commas.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_config_no_proxy(config: *mut Config, hosts: *const c_char) {
    // SAFETY: the caller promises a configuration and a text.
    unsafe { Config::change(config, |settings| Ok(settings.no_proxy(read("hosts", hosts)?))) };
}

/// Adds a certificate authority in PEM to those of the system.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_config_root_certificate(config: *mut Config, pem: *const c_char) {
    // SAFETY: the caller promises a configuration and a text.
    unsafe { Config::change(config, |settings| Ok(settings.add_root_certificate(read("pem", pem)?))) };
}

/// Sets the user agent of requests.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_config_user_agent(config: *mut Config, name: *const c_char) {
    // SAFETY: the caller promises a configuration and a text.
    unsafe { Config::change(config, |settings| Ok(settings.user_agent(read("name", name)?))) };
}

/// Sets the number of trusted keys that must sign a release. Default: 1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_config_threshold(config: *mut Config, keys: usize) {
    // SAFETY: the caller promises a configuration.
    unsafe { Config::change(config, |settings| Ok(settings.threshold(keys))) };
}

/// Sets the time in which a new version must confirm that it works. Default: 300 s.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_config_probation(config: *mut Config, seconds: u64) {
    // SAFETY: the caller promises a configuration.
    unsafe { Config::change(config, |settings| Ok(settings.probation(Duration::from_secs(seconds)))) };
}

/// Sets the time limit of a check. Default: 10 s.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_config_check_timeout(config: *mut Config, seconds: u64) {
    // SAFETY: the caller promises a configuration.
    unsafe { Config::change(config, |settings| Ok(settings.check_timeout(Duration::from_secs(seconds)))) };
}

/// Sets the time without a byte after which a download has stalled. Default: 30 s.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_config_stall_timeout(config: *mut Config, seconds: u64) {
    // SAFETY: the caller promises a configuration.
    unsafe { Config::change(config, |settings| Ok(settings.stall_timeout(Duration::from_secs(seconds)))) };
}

/// Limits the rate of all downloads together.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_config_rate_limit(config: *mut Config, bytes_per_second: u64) {
    // SAFETY: the caller promises a configuration.
    unsafe { Config::change(config, |settings| Ok(settings.rate_limit(bytes_per_second))) };
}

/// Sets the process that runs the program, where this one only updates for it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_config_process(config: *mut Config, id: u32) {
    // SAFETY: the caller promises a configuration.
    unsafe { Config::change(config, |settings| Ok(settings.process(id))) };
}

/// Sets the folder of a component. Default: the folder of its name in the install root.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_config_component(config: *mut Config, name: *const c_char, dir: *const c_char) {
    // SAFETY: the caller promises a configuration and texts.
    unsafe { Config::change(config, |settings| Ok(settings.component(read("name", name)?, read("dir", dir)?))) };
}

/// Adds a header to the requests to the origin of a URL. No message shows its value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_config_header(
    config: *mut Config,
    origin: *const c_char,
    name: *const c_char,
    value: *const c_char,
) {
    // SAFETY: the caller promises a configuration and texts.
    unsafe {
        Config::change(config, |settings| {
            Ok(settings.header(read("origin", origin)?, read("name", name)?, read("value", value)?))
        });
    }
}

/// Sets the command that starts the program again: `count` words. Default: the program's file with
/// the arguments of this process.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_config_command(config: *mut Config, words: *const *const c_char, count: usize) {
    // SAFETY: the caller promises a configuration and `count` texts.
    unsafe { Config::change(config, |settings| Ok(settings.command(read_list("words", words, count)?))) };
}

/// Sets the languages of release notes, the best first. Default: those of the environment.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_config_languages(config: *mut Config, tags: *const *const c_char, count: usize) {
    // SAFETY: the caller promises a configuration and `count` texts.
    unsafe { Config::change(config, |settings| Ok(settings.languages(read_list("tags", tags, count)?))) };
}
