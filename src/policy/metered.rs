//! Metered networks: whether the network of this machine costs money by the byte.
//!
//! NetworkManager knows, or guesses from the kind of connection. `busctl` asks it over D-Bus.

use std::process::{Command, Stdio};

/// Returns `true` for a metered network; `None` if that is unknown.
pub fn is_metered() -> Option<bool> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let name = "org.freedesktop.NetworkManager";
    let mut command = Command::new("busctl");
    // A machine without NetworkManager must not start it, and a hanging one must not block a check.
    command.args(["--system", "--auto-start=no", "--timeout=2", "get-property", name]);
    command.args(["/org/freedesktop/NetworkManager", name, "Metered"]);
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    meaning(&String::from_utf8(output.stdout).ok()?)
}

/// Reads what `busctl` prints for the property, an `NMMetered` of NetworkManager.
fn meaning(printed: &str) -> Option<bool> {
    match printed.trim().strip_prefix("u ")? {
        "1" | "3" => Some(true),
        "2" | "4" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::meaning;

    #[test]
    fn network_manager_knows_or_guesses() {
        let metered = ["u 0", "u 1\n", "u 2\n", "u 3\n", "u 4\n", "", "s \"1\"", "u 5"].map(meaning);
        assert_eq!(metered, [None, Some(true), Some(false), Some(true), Some(false), None, None, None]);
    }
}
