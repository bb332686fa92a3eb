//! The three programs together, as publisher, server and user have them: real processes, real
//! servers on loopback, real folders. Every test has its own world and leaves no files behind.

// Shells, signals, strace, nginx and Apache need Unix. tests/windows has the tests for Windows.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test whose world cannot be set up fails")]

/// Turns each function of a server's kind into a test for every server.
macro_rules! on_every_server {
    ($($name:ident),+ $(,)?) => { $(
        mod $name {
            use crate::support::server::ServerKind;

            #[test]
            fn nginx() {
                super::$name(ServerKind::Nginx);
            }
            #[test]
            fn nginx_with_encoding() {
                super::$name(ServerKind::NginxEncoding);
            }
            #[test]
            fn apache() {
                super::$name(ServerKind::Apache);
            }
            #[test]
            fn apache_with_encoding() {
                super::$name(ServerKind::ApacheEncoding);
            }
            #[test]
            fn apache_that_decompresses() {
                super::$name(ServerKind::ApacheInflating);
            }
        }
    )+ };
}

#[expect(dead_code, reason = "shared with other test programs, which use the rest")]
#[path = "../support/mod.rs"]
mod support;

mod adoption;
mod archives;
mod async_programs;
mod backups;
mod bundle;
mod clocks;
mod command_line;
mod components;
mod deltas;
mod doctor;
mod examples;
mod flat;
mod github;
mod guides;
mod heads;
mod helper;
mod history;
mod install;
mod install_objects;
mod installer;
mod instances;
mod integration;
mod interrupted;
mod machine;
mod metered;
mod mirrors;
mod mounts;
mod namespace;
mod network;
mod offline;
mod packaging;
mod platforms;
mod policy;
mod probation;
mod program;
mod progress;
mod proxies;
mod recoveries;
mod refused;
mod repair;
mod rollback;
mod rollout;
mod scene;
mod second_bases;
mod serve;
mod session;
mod state_files;
mod superseded;
mod terminal;
mod terminals;
mod tls;
mod unfinished;
mod unseen_changes;
mod update;
mod updates_off;
mod users;
mod users_files;
mod watch;
