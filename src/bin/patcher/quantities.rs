//! Quantities in arguments: speeds and times.

use patcher::{Caller, Result};
use std::time::Duration;

/// Makes a duration of 1 to 86400 seconds.
pub fn seconds(setting: &'static str, seconds: u64) -> Result<Duration> {
    if (1..=86_400).contains(&seconds) {
        return Ok(Duration::from_secs(seconds));
    }
    let detail = "not 1 to 86400 seconds".to_owned();
    Err(Caller::BadSetting { setting, value: seconds.to_string(), detail }.into())
}

/// Parses bytes per second as in curl's `--limit-rate`: a number, and a suffix for a power of 1024.
pub fn speed(text: &str) -> Result<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let power = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => Some(0),
        "k" => Some(1),
        "m" => Some(2),
        "g" => Some(3),
        "t" => Some(4),
        "p" => Some(5),
        _ => None,
    };
    let number = digits.parse::<u64>().ok().zip(power);
    number.and_then(|(number, power)| number.checked_mul(1024_u64.pow(power))).ok_or_else(|| {
        let detail = "not a number of bytes a second, as in 500K or 2M".to_owned();
        Caller::BadSetting { setting: "rate limit", value: text.to_owned(), detail }.into()
    })
}

/// Parses a duration: a number, and the unit `s`, `m`, `h` or `d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err("the units are s, m, h and d".to_owned()),
    };
    let seconds = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    seconds
        .filter(|seconds| *seconds <= 366 * 24 * 60 * 60)
        .map(Duration::from_secs)
        .ok_or_else(|| "not a time up to a year".to_owned())
}

#[cfg(test)]
mod tests {
    use super::speed;

    #[test]
    fn speeds_are_written_as_for_curl() {
        for (text, bytes) in
            [("0", 0), ("800", 800), ("800B", 800), ("500K", 512_000), ("2m", 2 << 20), ("1G", 1 << 30)]
        {
            assert_eq!(speed(text).ok(), Some(bytes), "{text}");
        }
        for text in ["", "K", "-1", "1.5M", "1KB", "1 K", "fast", "99999999999P", "½K"] {
            assert_eq!(speed(text).map_err(|error| error.code()), Err("bad-setting"), "{text}");
        }
    }
}
