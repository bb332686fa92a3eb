//! Completions of shells and man pages, which packagers need of both programs.

use crate::support::left_out;
use crate::support::programs;
use crate::support::run::Run;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

fn both() -> [(&'static str, PathBuf); 2] {
    [("patcher", programs::patcher()), ("manifest-tool", programs::manifest_tool())]
}

/// Returns the words that bash offers for the last word of a command line.
fn completed(name: &str, program: &PathBuf, line: &[&str]) -> BTreeSet<String> {
    let dir = TempDir::new().unwrap();
    let script = dir.path().join("completions");
    fs::write(&script, Run::of(Command::new(program).args(["completions", "bash"])).ends(0).out).unwrap();
    let ask = r#". "$1"; shift; set -- "$1" "${@:2}"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        function=$(complete -p "$1"); function=${function#*-F }; "${function%% *}" "$1" "${*: -1}" "${@: -2:1}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let mut bash = Command::new("bash");
    bash.args(["-c", ask, "bash"]).arg(&script).arg(name).args(line);
    Run::of(&mut bash).ends(0).out.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_flags_and_values() {
    let [(patcher, program), (tool, tool_program)] = both();
    let commands = completed(patcher, &program, &["re"]);
    assert_eq!(commands, ["recover", "remove", "repair", "resume"].map(str::to_owned).into());
    assert!(completed(patcher, &program, &["watch", "--not"]).contains("--notify"));
    assert_eq!(completed(patcher, &program, &["update", "--progress", ""]).len(), 3);
    assert!(completed(tool, &tool_program, &["sign", "--no-install"]).contains("--no-install-object"));
}

#[test]
fn every_shell_gets_a_script_without_errors() {
    for (name, program) in both() {
        for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
            let script = Run::of(Command::new(&program).args(["completions", shell])).ends(0).out;
            assert!(script.contains(name) && script.len() > 1000, "{shell}");
            if ["bash", "zsh", "fish"].contains(&shell) && Command::new(shell).arg("--version").output().is_ok() {
                let dir = TempDir::new().unwrap();
                fs::write(dir.path().join("script"), script).unwrap();
                let run = Run::of(Command::new(shell).arg("-n").arg(dir.path().join("script"))).ends(0);
                assert!(run.err.is_empty(), "{shell}: {run:?}");
            }
        }
        Run::of(Command::new(&program).args(["completions", "tcsh"])).ends(2);
    }
}

#[test]
fn man_pages_exist_for_all_commands_and_have_no_warnings() {
    for (name, program) in both() {
        let dir = TempDir::new().unwrap();
        Run::of(Command::new(&program).arg("man").arg(dir.path())).ends(0);
        let pages: Vec<PathBuf> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        let help = Run::of(Command::new(&program).arg("--help")).ends(0).out;
        let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        for command in commands.filter_map(|line| line.split_whitespace().next()).filter(|command| *command != "help") {
            let page = fs::read_to_string(dir.path().join(format!("{name}-{command}.1"))).unwrap();
            assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{page}");
        }
        assert!(dir.path().join(format!("{name}.1")).exists());
        if left_out::program("man").is_some() {
            for page in pages {
                // The same run as that of Debian's lintian.
                let mut man = Command::new("man");
                man.args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]).arg(&page);
                // The library that fakes the clock of tests cannot start in man's sandbox.
                man.env_remove("LD_PRELOAD").env("LC_ALL", "C.UTF-8").env("MANWIDTH", "80");
                let run = Run::of(&mut man).ends(0);
                assert!(run.err.is_empty() && run.out.contains("patcher") | run.out.contains("tool"), "{run:#?}");
            }
        }
        // A folder that does not exist is an error that names it.
        let run = Run::of(Command::new(&program).arg("man").arg(dir.path().join("nowhere")));
        assert!(run.code != Some(0) && run.err.contains("nowhere"), "{run:?}");
    }
}
