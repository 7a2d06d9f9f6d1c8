//! nginx that asks for client certificates: in front of a SMART server, and as a file host that would take one too.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::gateway::{Program, free_port};
use super::tls::Authority;

/// Two doors of one nginx, each an origin of its own.
pub struct Doors {
    program: Program,
    files: u16,
}

impl Doors {
    /// The first one hands the certificate on to what is at `behind`, and wants a good one for FHIR; the second one asks
    /// for one, and answers whoever comes.
    pub fn start(behind: &str, authority: &Authority) -> Self {
        let files = free_port();
        let program = Program::start("/usr/sbin/nginx", |folder, port| {
            let (chain, key) = authority.pair(&["localhost"]);
            fs::write(folder.join("chain.pem"), chain).unwrap();
            fs::write(folder.join("key.pem"), key).unwrap();
            fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
            let is_root = fs::metadata(folder).unwrap().uid() == 0;
            let user = if is_root { "user root;" } else { "" };
            let tls = "ssl_certificate chain.pem; ssl_certificate_key key.pem; ssl_client_certificate ca.pem;
                       ssl_verify_client optional_no_ca;";
            let settings = format!(
                "{user} worker_processes 1; pid nginx.pid; error_log error.log; events {{}}
                 http {{
                   log_format shown '$server_port $request_method $uri $ssl_client_verify';
                   access_log access.log shown;
                   client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
                   uwsgi_temp_path uwsgi; scgi_temp_path scgi;
                   server {{
                     listen 127.0.0.1:{port} ssl; {tls}
                     location / {{
                       proxy_pass {behind}; proxy_set_header Host $http_host;
                       proxy_set_header X-Certificate $ssl_client_escaped_cert;
                       proxy_set_header X-Verified $ssl_client_verify;
                     }}
                     location /fhir/ {{
                       if ($ssl_client_verify != SUCCESS) {{ return 403 'a good certificate is needed'; }}
                       proxy_pass {behind};
                     }}
                   }}
                   server {{
                     listen 127.0.0.1:{files} ssl; {tls}
                     location / {{ default_type application/fhir+json; return 200 '{{\"resourceType\":\"Basic\"}}'; }}
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
        Self { program, files }
    }

    /// A URL at the first door.
    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.program.port)
    }

    /// A URL at the second one.
    pub fn file_url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.files)
    }

    /// Every request so far with what its certificate was worth, as `METHOD PATH VERDICT`.
    pub fn log(&self) -> Vec<String> {
        let log = fs::read_to_string(self.program.folder.path().join("access.log")).unwrap();
        let without_port = |line: &str| line.split_once(' ').unwrap().1.to_owned();
        log.lines().map(without_port).collect()
    }
}
