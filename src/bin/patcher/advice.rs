//! Advice: one line about what the user can do after an error, for each stable error code.

/// Returns the advice for an error code; `None` for the codes that need none.
pub fn advice(code: &str) -> Option<&'static str> {
    Some(match code {
        // The call.
        "no-key" => "pass the publisher's public key with --key PUB.pem",
        "bad-key" => "pass public keys in PEM, as `manifest-tool keygen` writes them, each once",
        "bad-setting" => "`patcher --help` describes the values of all options",
        "nothing-staged" => "stage the update with `download` first",
        "nothing-to-roll-back" => "the version before is deleted after `confirm`; `install` an older release instead",
        "on-probation" => "`confirm` keeps the new version, `rollback` returns to the one before; then repair",
        // The network.
        "unreachable" => "check the network, the URL and the proxy, then try again",
        "stalled" => "try again: the download continues where it stopped; --stall-timeout sets the limit",
        "timed-out" => "try again later; --check-timeout sets the limit",
        "cut-off" => "try again: the download continues where it stopped",
        "http-status" => "try again later, or check that the site is complete",
        "retry-later" => "the server asks clients to wait; try again after that time",
        "redirect" => "use the final https URL of the site",
        // The release.
        "unknown-key" | "threshold" => "check that --key names the publisher's keys, and ask the publisher",
        "rollback" => "report this to the publisher; after a change of the channel use --allow-downgrade",
        "bad-signature" | "sequence-conflict" | "retired-key" => {
            "nothing was changed; report this to the publisher: the site may be damaged or under attack"
        }
        "manifest-html" => "check that the URL is that of the component's folder or its manifest.xml",
        "wrong-component" => "check the URL and the component's name",
        "wrong-channel" => "check --channel",
        "wrong-platform" => "check --platform",
        "stale" => "the publisher must renew the release or its stamp; check the clock of this machine as well",
        "stepping-stone" => "the publisher must restore the release that older versions need",
        "requires" => "update or install the required component together with it",
        "install-content" => "the publisher must sign the release again",
        "object-size" | "object-hash" | "gzip" => {
            "the site or a proxy serves a damaged file; try again, or report it to the publisher"
        }
        // This machine.
        "permission-denied" | "not-writable" => {
            "run it as the user who owns the program, or install the program where this user can write"
        }
        "no-space" => "free some space, then try again",
        "read-only" => "the file system is read-only; mount it writable",
        "writable-by-others" if cfg!(windows) => {
            "check what other users put there; then let them only read the state folder, with `icacls`"
        }
        "writable-by-others" => "check what other users put there; then `chmod -R go-w` and `chown` the state folder",
        "other-owner" => "run it as the user who installed the program",
        "nothing-installed" => "check --root, or install a component with `install COMPONENT --from URL`",
        "in-use" => "close the other program, then try again",
        "unsafe-path" => "replace the link or special file by a real file or folder",
        "folder-in-the-way" => "move the folder away, then try again",
        "mount-inside" => "unmount it, or install that folder as a component of its own",
        "stage-damaged" => "`download` again: it fetches what is missing",
        "name-taken" => "rename the file or folder, then try again",
        "not-installed" => "install it with `install COMPONENT --from URL`",
        "installed-manifest" => "`install COMPONENT --from URL` adopts the files that exist",
        "journal-unreadable" => {
            "`repair COMPONENT` completes the installed version; the backups are kept in `txn.damaged`"
        }
        "changed" | "changed-in-swap" => "check which program changes the file, then try again",
        "backup-damaged" => "try again with a network, which has the old file, or `confirm` the new version",
        "other-tree" => {
            "mount its disk, or name its folder as before; `install COMPONENT --from URL` if its files are lost"
        }
        "swap-undone" => "remove the cause, then try again",
        "undo-failed" => "remove the cause, then run `recover`",
        "helper-missing" => "put `patcher-helper` beside the program",
        "policy" => "ask the administrator to correct the policy file",
        "updates-off" => "the administrator decides when this machine is updated",
        // The user and other processes.
        "busy" => "wait for the other process, or close the program, then try again",
        "paused" => "`resume` allows downloads again",
        "cancelled" => "run the same command again to continue",
        _ if is_manifest_defect(code) => "nothing was changed; the publisher must sign the release again",
        _ => return None,
    })
}

/// Returns `true` for the codes of a manifest that is not format 1.
fn is_manifest_defect(code: &str) -> bool {
    ["manifest-", "signature-", "path-"].iter().any(|start| code.starts_with(start)) || code == "link-target"
}

#[cfg(test)]
mod tests {
    use super::advice;

    /// The files that define the library's codes.
    const SOURCES: [&str; 5] = [
        include_str!("../../error/mod.rs"),
        include_str!("../../error/machine.rs"),
        include_str!("../../error/network.rs"),
        include_str!("../../error/refused.rs"),
        include_str!("../../values/rel_path/defect.rs"),
    ];
    /// The codes that need no advice: the message says all, or only a programmer sees them.
    const WITHOUT_ADVICE: [&str; 6] = ["not-found", "io", "state-damaged", "unsupported", "init", "component-twice"];

    /// Returns the text in quotes after each `=> ` that ends its line.
    fn codes(source: &'static str) -> impl Iterator<Item = &'static str> {
        source.lines().filter_map(|line| line.split_once("=> \"")?.1.strip_suffix("\","))
    }

    #[test]
    fn every_code_has_advice_or_needs_none() {
        let codes: Vec<_> = SOURCES.into_iter().flat_map(codes).collect();
        assert!(codes.len() > 90, "{codes:?}");
        for code in codes {
            assert_eq!(advice(code).is_none(), WITHOUT_ADVICE.contains(&code), "{code}");
        }
    }

    #[test]
    fn advice_is_one_line() {
        for code in SOURCES.into_iter().flat_map(codes) {
            let text = advice(code).unwrap_or_default();
            assert!(text.chars().count() <= 100 && !text.contains('\n'), "{text}");
        }
    }
}
