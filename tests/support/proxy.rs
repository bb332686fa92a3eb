//! Real proxies on loopback: tinyproxy for HTTP and CONNECT, microsocks for SOCKS5, with or without
//! a password.

use super::deadline::wait_for;
use super::left_out;
use super::server::free_port;
use std::cell::Cell;
use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// The protocol of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    Http,
    Socks5,
}

/// A proxy, which stops when it is dropped.
pub struct Proxy {
    child: Child,
    speaks: Speaks,
    dir: TempDir,
    port: u16,
    /// The bytes of the log that earlier calls have read.
    read: Cell<usize>,
}

impl Proxy {
    /// Starts a proxy, with a user name and a password if `login` names them. Returns `None` if it
    /// is not installed.
    pub fn start(speaks: Speaks, login: Option<(&str, &str)>) -> Option<Self> {
        let dir = TempDir::new().unwrap();
        let port = free_port();
        let mut command = match speaks {
            Speaks::Http => {
                let mut command = Command::new(left_out::program("tinyproxy")?);
                let file = dir.path().join("tinyproxy.conf");
                fs::write(&file, tinyproxy(dir.path(), port, login)).unwrap();
                command.arg("-d").arg("-c").arg(file);
                command
            }
            Speaks::Socks5 => {
                let mut command = Command::new(left_out::program("microsocks")?);
                command.args(["-i", "127.0.0.1", "-p"]).arg(port.to_string());
                if let Some((user, password)) = login {
                    command.args(["-u", user, "-P", password]);
                }
                command
            }
        };
        let log = fs::File::create(dir.path().join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut proxy = Self { child: command.spawn().unwrap(), speaks, dir, port, read: Cell::new(0) };
        wait_for("the proxy", || {
            assert_eq!(proxy.child.try_wait().unwrap(), None, "{speaks:?} ended: {}", proxy.log());
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Some(proxy)
    }

    /// Returns the address for a user with this name and password.
    pub fn url(&self, scheme: &str, login: Option<(&str, &str)>) -> String {
        let login = login.map_or_else(String::new, |(user, password)| format!("{user}:{password}@"));
        format!("{scheme}://{login}127.0.0.1:{}", self.port)
    }

    /// Returns `true` if the proxy has connected a client since the last call.
    pub fn was_used(&self) -> bool {
        let log = self.log();
        let new = &log[self.read.replace(log.len())..];
        new.contains(match self.speaks {
            Speaks::Http => "Established connection to host",
            Speaks::Socks5 => "connected to",
        })
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.dir.path().join("log")).unwrap()).into_owned()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tinyproxy(dir: &Path, port: u16, login: Option<(&str, &str)>) -> String {
    let login = login.map_or_else(String::new, |(user, password)| format!("BasicAuth {user} {password}\n"));
    let pid = dir.join("pid");
    format!(
        "Port {port}\nListen 127.0.0.1\nTimeout 60\nLogLevel Info\nPidFile \"{}\"\nAllow 127.0.0.1\n{login}",
        pid.display()
    )
}
