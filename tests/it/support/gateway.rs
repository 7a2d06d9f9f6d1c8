//! The ways into a hospital's network, with programs that others wrote: nginx ends TLS in front of a test server and
//! lets nobody in but the proxy, and tinyproxy is that proxy, with a password.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Server;
use super::tls::Authority;

/// Where the proxy's own connections come from.
pub(super) const PROXY_ADDRESS: &str = "127.0.0.3";
const PATIENCE: Duration = Duration::from_secs(30);

/// A program that runs until it is dropped.
pub(super) struct Program {
    child: Child,
    pub(super) folder: TempDir,
    pub(super) port: u16,
}

/// tinyproxy with a user and a password.
pub struct Proxy(Program);

/// nginx in front of a server, once with TLS and once without.
pub struct Gateway {
    program: Program,
    plain: u16,
}

impl Proxy {
    /// A proxy for one user.
    pub fn start(user: &str, password: &str) -> Self {
        Self(Program::start("tinyproxy", |folder, port| {
            let log = folder.join("log");
            let settings = format!(
                "Port {port}\nListen 127.0.0.1\nBind {PROXY_ADDRESS}\nBasicAuth {user} {password}\n\
                 LogFile \"{}\"\nLogLevel Info\nMaxClients 50\nTimeout 60\n",
                log.display()
            );
            let file = folder.join("tinyproxy.conf");
            fs::write(&file, settings).unwrap();
            vec!["-d".into(), "-c".into(), file.display().to_string()]
        }))
    }

    /// Where it listens, as `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.0.port)
    }

    /// What it says of its requests.
    pub fn log(&self) -> String {
        fs::read_to_string(self.0.folder.path().join("log")).unwrap_or_default()
    }
}

impl Gateway {
    /// nginx with a certificate for `localhost` and these names, which lets in whoever comes from the proxy.
    pub fn start(server: &Server, authority: &Authority, names: &[&str]) -> Self {
        Self::admitting(server, authority, names, PROXY_ADDRESS)
    }

    /// The same for whoever comes from this address.
    pub fn admitting(
        server: &Server,
        authority: &Authority,
        names: &[&str],
        address: &str,
    ) -> Self {
        let behind = server.url("");
        let plain = free_port();
        let program = Program::start("/usr/sbin/nginx", |folder, port| {
            let (chain, key) = authority.pair(&[&["localhost"], names].concat());
            fs::write(folder.join("chain.pem"), chain).unwrap();
            fs::write(folder.join("key.pem"), key).unwrap();
            let is_root = fs::metadata(folder).unwrap().uid() == 0;
            let user = if is_root { "user root;" } else { "" };
            let settings = format!(
                "{user} worker_processes 1; pid nginx.pid; error_log error.log; events {{}}
                 http {{
                   log_format from '$remote_addr $request_method $request_uri';
                   access_log access.log from;
                   client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
                   uwsgi_temp_path uwsgi; scgi_temp_path scgi;
                   server {{
                     listen 127.0.0.1:{port} ssl; listen 127.0.0.1:{plain};
                     ssl_certificate chain.pem; ssl_certificate_key key.pem;
                     client_max_body_size 0;
                     location / {{ allow {address}; deny all; proxy_pass {behind}; proxy_set_header Host $http_host; }}
                   }}
                 }}"
            );
            fs::write(folder.join("nginx.conf"), settings).unwrap();
            let folder = folder.display().to_string();
            [
                "-p",
                &folder,
                "-e",
                "error.log",
                "-c",
                "nginx.conf",
                "-g",
                "daemon off;",
            ]
            .map(str::to_owned)
            .to_vec()
        });
        Self { program, plain }
    }

    /// An absolute URL with TLS.
    pub fn url(&self, path: &str) -> String {
        self.url_at("localhost", path)
    }

    /// The same by another name of its certificate.
    pub fn url_at(&self, host: &str, path: &str) -> String {
        format!("https://{host}:{}{path}", self.program.port)
    }

    /// An absolute URL without TLS.
    pub fn plain_url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.plain)
    }

    /// `host:port` with TLS.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.program.port)
    }

    /// Every request so far as `ADDRESS METHOD PATH`, refused ones too.
    pub fn log(&self) -> Vec<String> {
        let log = fs::read_to_string(self.program.folder.path().join("access.log"));
        log.unwrap().lines().map(str::to_owned).collect()
    }

    /// Asserts that requests came, and all from the proxy.
    #[track_caller]
    pub fn saw_only_the_proxy(&self) -> Vec<String> {
        let log = self.log();
        let from_proxy = |line: &String| line.starts_with(&format!("{PROXY_ADDRESS} "));
        assert!(!log.is_empty() && log.iter().all(from_proxy), "{log:#?}");
        log
    }
}

impl Program {
    /// Starts a program on a free port of 127.0.0.1. `prepare` writes its settings and gives its arguments.
    pub(super) fn start(
        program: &str,
        prepare: impl FnOnce(&std::path::Path, u16) -> Vec<String>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let arguments = prepare(folder.path(), port);
        let said = folder.path().join("said");
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&said).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}; tests/run installs it"));
        let mut started = Self {
            child,
            folder,
            port,
        };
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let ended = started.child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < until,
                "{program} does not listen ({ended:?}):\n{}",
                started.said(&said)
            );
            thread::sleep(Duration::from_millis(10));
        }
        started
    }

    fn said(&self, said: &PathBuf) -> String {
        let error_log = self.folder.path().join("error.log");
        [said, &error_log]
            .map(|path| fs::read_to_string(path).unwrap_or_default())
            .join("\n")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // TERM, so that nginx ends its worker too.
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on now.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A proxy with a DNS of its own: it connects every host name to one address, and notes what it was asked for.
pub struct NameProxy {
    port: u16,
    asked: std::sync::Arc<std::sync::Mutex<Vec<String>>>,
}

impl NameProxy {
    /// A proxy behind which all names lead to `address`; it ends with the test process.
    pub fn start(address: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = std::sync::Arc::default();
        let proxy = Self {
            port,
            asked: std::sync::Arc::clone(&asked),
        };
        let address = address.to_owned();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (address, asked) = (address.clone(), std::sync::Arc::clone(&asked));
                thread::spawn(move || tunnel(stream, &address, &asked));
            }
        });
        proxy
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The first lines of all requests to it.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn tunnel(mut stream: TcpStream, address: &str, asked: &std::sync::Mutex<Vec<String>>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    asked
        .lock()
        .unwrap()
        .push(head.lines().next().unwrap().to_owned());
    let mut behind = TcpStream::connect(address).unwrap();
    if stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").is_err() {
        return;
    }
    let (mut from, mut to) = (stream.try_clone().unwrap(), behind.try_clone().unwrap());
    thread::spawn(move || std::io::copy(&mut from, &mut to));
    let _ = std::io::copy(&mut behind, &mut stream);
}
