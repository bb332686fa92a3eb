//! Real web servers on loopback: nginx and Apache in several configurations, each with a site's
//! folder.

use super::deadline::wait_for;
use super::left_out;
use super::world::Serving;
use rustix::process::{Pid, Signal, kill_process};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use tempfile::TempDir;

/// The server program and its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKind {
    /// As Debian configures it: `gzip on`.
    Nginx,
    /// Declares `.gz` files to be an encoding, and compresses all types.
    NginxEncoding,
    /// TLS by a certificate of an authority that no system knows.
    NginxTls,
    /// The same over HTTP/2.
    NginxHttp2,
    /// TLS with a certificate of the client, and the query `sig=s3cret` in each URL.
    NginxPrivate,
    /// Sends [`PIECE_BYTES`] bytes at a time on each connection, with a pause after each.
    NginxSlow,
    /// As Debian configures it: `mod_deflate` for text.
    Apache,
    /// With the popular `AddEncoding x-gzip .gz`.
    ApacheEncoding,
    /// Decompresses objects on the way, as some proxies do.
    ApacheInflating,
    /// Sends [`PIECE_BYTES`] bytes at a time on each connection, with a pause after each.
    ApacheSlow,
}

/// The bytes that a slow server sends at a time.
pub const PIECE_BYTES: u64 = 4096;

/// A line of the access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedRequest {
    pub status: u16,
    pub path: String,
    /// The value of `If-None-Match`, `-` without that header.
    pub etag: String,
}

/// A line of the log of sent bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sent {
    pub path: String,
    /// The first byte of the file that the client requested.
    pub from: u64,
    /// The bytes that the server sent, headers included, even if the client did not read them.
    pub bytes: u64,
}

/// A server, which stops when it is dropped.
pub struct Server {
    name: &'static str,
    child: Child,
    dir: TempDir,
    port: u16,
    /// The port for TLS.
    tls_port: Option<u16>,
    /// The bytes of the access log that earlier calls have read.
    read: Cell<usize>,
}

/// The path that only this very server answers.
const READY: &str = "/is-it-you";

impl Server {
    /// Starts a server for the folder `site`. Returns `None` if it is not installed.
    pub fn start(kind: ServerKind, site: &Path) -> Option<Self> {
        let name = match kind {
            ServerKind::Nginx
            | ServerKind::NginxEncoding
            | ServerKind::NginxTls
            | ServerKind::NginxHttp2
            | ServerKind::NginxPrivate
            | ServerKind::NginxSlow => "nginx",
            ServerKind::Apache | ServerKind::ApacheEncoding | ServerKind::ApacheInflating | ServerKind::ApacheSlow => {
                "apache2"
            }
        };
        let config = if name == "nginx" { nginx } else { apache };
        let program = left_out::program(name)?;
        let dir = TempDir::new().unwrap();
        // Apache's workers run as another user.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let port = free_port();
        let tls_port = match kind {
            ServerKind::NginxTls | ServerKind::NginxHttp2 | ServerKind::NginxPrivate => {
                certify(dir.path(), &left_out::program("openssl")?);
                Some(free_port())
            }
            _ => None,
        };
        let file = dir.path().join("server.conf");
        fs::write(&file, config(kind, dir.path(), site, port, tls_port)).unwrap();
        fs::write(dir.path().join("ready"), format!("{}\n", dir.path().display())).unwrap();
        let mut command = Command::new(program);
        match name {
            "nginx" => command.arg("-p").arg(dir.path()).arg("-c").arg(&file).args(["-g", "daemon off;"]),
            _ => command.arg("-d").arg(dir.path()).arg("-f").arg(&file).arg("-DFOREGROUND"),
        };
        let log = fs::File::create(dir.path().join("output.log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut server = Self { name, child: command.spawn().unwrap(), dir, port, tls_port, read: Cell::new(0) };
        wait_for("the server", || {
            assert_eq!(server.child.try_wait().unwrap(), None, "{name} ended: {}", server.output());
            server.is_ready().then_some(())
        });
        server.take_requests();
        Some(server)
    }

    /// Returns the certificate of the authority that signed the server's own.
    pub fn authority(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Returns a certificate for a client that the authority has signed, and its private key.
    pub fn client_certificate(&self) -> [PathBuf; 2] {
        ["client.pem", "client.key"].map(|name| self.dir.path().join(name))
    }

    /// Returns the requests since the last call, in order.
    pub fn take_requests(&self) -> Vec<LoggedRequest> {
        let log = self.dir.path().join("access.log");
        // Once the mark is in the log, so are all requests before it. Apache's workers log by
        // themselves, so one that was late has its turn while the second mark is on its way.
        let text = ["first", "second"].map(|name| {
            let mark = format!("{READY}?{name}-{}", self.read.get());
            assert!(get(self.port, &mark).is_some());
            wait_for("the access log", || {
                let text = fs::read_to_string(&log).ok()?;
                text.lines().any(|line| line.contains(&format!("\"{mark}\""))).then_some(text)
            })
        });
        let [_, text] = text;
        let new = text[self.read.replace(text.len())..].lines().map(request);
        new.filter(|request| !request.path.starts_with(READY)).collect()
    }

    /// Stops the server after its last answer, and returns all that it has sent.
    pub fn finish(mut self) -> Vec<Sent> {
        self.signal(if self.name == "nginx" { Signal::QUIT } else { Signal::WINCH });
        wait_for("the server's end", || self.child.try_wait().unwrap());
        let text = fs::read_to_string(self.dir.path().join("sent.log")).unwrap();
        text.lines().map(sent).filter(|sent| sent.path != READY).collect()
    }

    /// Returns each TLS connection that had a request: number, protocol, and `true` for a resumed
    /// session.
    pub fn tls_connections(&self) -> BTreeSet<(u64, String, bool)> {
        self.take_requests();
        let text = fs::read_to_string(self.dir.path().join("tls.log")).unwrap();
        let lines = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let over_tls = lines.filter(|line| line[1].parse().ok() == self.tls_port);
        over_tls.map(|line| (line[0].parse().unwrap(), line[2].to_owned(), line[3] == "r")).collect()
    }

    fn is_ready(&self) -> bool {
        get(self.port, READY).is_some_and(|answer| answer.contains(&format!("\r\n{}\n", self.dir.path().display())))
    }

    fn signal(&mut self, signal: Signal) {
        // The system may have given the number of an ended process to another one.
        if self.child.try_wait().unwrap().is_none()
            && let Some(pid) = Pid::from_raw(self.child.id() as i32)
        {
            // The main process ends its workers.
            let _ = kill_process(pid, signal);
        }
    }

    /// Returns the server's error log.
    fn output(&self) -> String {
        ["output.log", "error.log"]
            .map(|name| fs::read_to_string(self.dir.path().join(name)).unwrap_or_default())
            .concat()
    }
}

impl Serving for Server {
    fn url(&self) -> String {
        match self.tls_port {
            Some(port) => format!("https://127.0.0.1:{port}/"),
            None => format!("http://127.0.0.1:{}/", self.port),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal(Signal::TERM);
        let _ = self.child.wait();
    }
}

/// Returns a port below the range for outgoing connections, each one only once.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id() % 10_000) as u16;
    let ports = std::iter::repeat_with(|| 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000);
    ports.take(12_000).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

/// Requests a path and returns the whole answer.
fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn request(line: &str) -> LoggedRequest {
    let mut parts = line.splitn(3, ' ');
    let mut part = || parts.next().unwrap().to_owned();
    let (status, path, etag) = (part(), part(), part());
    let unquoted = |text: &str| text[1..text.len() - 1].replace("\\\"", "\"").replace("\\x22", "\"");
    LoggedRequest { status: status.parse().unwrap(), path: unquoted(&path), etag: unquoted(&etag) }
}

fn sent(line: &str) -> Sent {
    let [path, range, bytes] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
    let from = range.strip_prefix("bytes=").map_or(0, |range| range.split('-').next().unwrap().parse().unwrap());
    Sent { path: path.to_owned(), from, bytes: bytes.parse().unwrap() }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Creates an authority and a certificate that it signs for loopback.
fn certify(dir: &Path, openssl: &Path) {
    let run = |arguments: &str| {
        let output = Command::new(openssl).args(arguments.split(' ')).current_dir(dir).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    fs::write(dir.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    run("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority");
    run("req -newkey rsa:2048 -nodes -keyout tls.key -out tls.csr -subj /CN=server");
    run("x509 -req -in tls.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out tls.pem");
    run("req -newkey rsa:2048 -nodes -keyout client.key -out client.csr -subj /CN=client");
    run("x509 -req -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out client.pem");
}

fn nginx(kind: ServerKind, dir: &Path, site: &Path, port: u16, tls_port: Option<u16>) -> String {
    let (dir, site) = (dir.display(), site.display());
    // Its workers can read a temporary folder only as the user that made it.
    let user = if is_root() { "user root;" } else { "" };
    let types = Path::new("/etc/nginx/mime.types");
    let types = if types.exists() { format!("include {};", types.display()) } else { String::new() };
    let encoding = match kind {
        ServerKind::NginxEncoding => "gzip_min_length 1; gzip_proxied any; gzip_types *; gzip_vary on;
            location ~ \\.gz$ { add_header Content-Encoding x-gzip; }"
            .to_owned(),
        // Ten pieces per second.
        ServerKind::NginxSlow => {
            format!("tcp_nopush off; sendfile_max_chunk {PIECE_BYTES}; limit_rate {};", 10 * PIECE_BYTES)
        }
        ServerKind::NginxPrivate => format!(
            "ssl_client_certificate {dir}/ca.pem; ssl_verify_client optional;
            location / {{
                if ($ssl_client_verify != SUCCESS) {{ return 401; }}
                if ($arg_sig != s3cret) {{ return 403; }}
            }}"
        ),
        _ => String::new(),
    };
    let http2 = if kind == ServerKind::NginxHttp2 { " http2" } else { "" };
    let tls = tls_port.map_or(String::new(), |tls_port| {
        format!(
            "listen 127.0.0.1:{tls_port} ssl{http2}; ssl_certificate {dir}/tls.pem; ssl_certificate_key {dir}/tls.key;
        location = /unsafe.xml {{ return 302 http://127.0.0.1:{port}/core/manifest.xml; }}"
        )
    });
    format!(
        r#"{user}
worker_processes 1;
pid {dir}/pid;
error_log {dir}/error.log;
events {{ worker_connections 768; }}
http {{
    sendfile on;
    tcp_nopush on;
    types_hash_max_size 2048;
    {types}
    default_type application/octet-stream;
    gzip on;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    log_format sent '$uri $http_range $bytes_sent';
    access_log {dir}/sent.log sent;
    log_format requests '$status "$request_uri" "$http_if_none_match"';
    access_log {dir}/access.log requests;
    log_format tls '$connection $server_port $server_protocol $ssl_session_reused';
    access_log {dir}/tls.log tls;
    server {{
        listen 127.0.0.1:{port};
        {tls}
        root {site};
        location = {READY} {{ alias {dir}/ready; }}
        {encoding}
    }}
}}
"#
    )
}

fn apache(kind: ServerKind, dir: &Path, site: &Path, port: u16, _: Option<u16>) -> String {
    let modules = ["/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/libexec/apache2"];
    let modules = modules.map(PathBuf::from).into_iter().find(|path| path.is_dir()).unwrap();
    let loaded = ["mpm_event", "authz_core", "mime", "dir", "alias", "filter", "deflate", "negotiation", "setenvif"];
    let loaded = [&loaded[..], &["env", "logio", "ratelimit"]].concat();
    let load = |name: &str| match modules.join(format!("mod_{name}.so")) {
        path if path.exists() => format!("LoadModule {name}_module {}\n", path.display()),
        _ => String::new(),
    };
    let load: String = loaded.iter().map(|name| load(name)).collect();
    // Apache refuses to start as root without another user for its workers.
    let user = if is_root() { "User #65534\nGroup #65534" } else { "" };
    let special = match kind {
        ServerKind::ApacheEncoding => "AddEncoding x-gzip .gz".to_owned(),
        ServerKind::ApacheInflating => {
            "AddEncoding x-gzip .gz\n<FilesMatch \"\\.gz$\">\nSetOutputFilter INFLATE\n</FilesMatch>".to_owned()
        }
        // Five pieces per second; the unit of the limit is KiB/s.
        ServerKind::ApacheSlow => {
            format!(
                "<FilesMatch \"\\.gz$\">\nSetOutputFilter RATE_LIMIT\nSetEnv rate-limit {}\n</FilesMatch>",
                5 * PIECE_BYTES / 1024
            )
        }
        _ => String::new(),
    };
    let types = if Path::new("/etc/mime.types").exists() { "/etc/mime.types" } else { "/dev/null" };
    let (dir, site) = (dir.display(), site.display());
    format!(
        r#"{load}{user}
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
DefaultRuntimeDir {dir}
PidFile {dir}/pid
ErrorLog {dir}/error.log
LogLevel warn
StartServers 1
MinSpareThreads 4
MaxSpareThreads 16
ThreadsPerChild 16
KeepAlive On
TypesConfig {types}
IncludeOptional /etc/apache2/mods-available/mime.con[f]
IncludeOptional /etc/apache2/mods-available/deflate.con[f]
LogFormat "%U %{{Range}}i %O" sent
CustomLog {dir}/sent.log sent
LogFormat "%>s \"%U%q\" \"%{{If-None-Match}}i\"" requests
CustomLog {dir}/access.log requests
DocumentRoot {site}
<Directory />
    Options FollowSymLinks
    AllowOverride None
    Require all denied
</Directory>
<Directory {site}>
    Require all granted
</Directory>
Alias {READY} {dir}/ready
<Directory {dir}>
    Require all granted
</Directory>
{special}
"#
    )
}
