//! A hand-written HTTP/1.1 server on loopback: a thread per connection, every request recorded.

use std::io::BufReader;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use super::answer::{After, Answer};
use super::request::Request;

/// Longest wait for requests that a test expects.
const PATIENCE: Duration = Duration::from_secs(30);

type Handler = Arc<dyn Fn(&Request) -> Option<Answer> + Send + Sync>;

/// A running server; it stops when dropped.
pub struct Server {
    address: SocketAddr,
    known_as: OnceLock<String>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    requests: Mutex<Vec<Request>>,
    guards: Mutex<Vec<Handler>>,
    routes: Mutex<Vec<Handler>>,
    streams: Mutex<Vec<TcpStream>>,
    stopping: Mutex<bool>,
    arrived: Condvar,
    stopped: Condvar,
}

impl Server {
    /// Starts a server on a free port of 127.0.0.1. A second one is a foreign host to the first.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if *accepting.stopping.lock().unwrap() {
                    return;
                }
                accepting
                    .streams
                    .lock()
                    .unwrap()
                    .push(stream.try_clone().unwrap());
                let shared = Arc::clone(&accepting);
                thread::spawn(move || shared.serve(&stream));
            }
        });
        Self {
            address,
            known_as: OnceLock::new(),
            shared,
        }
    }

    /// An absolute URL on this server.
    pub fn url(&self, path: &str) -> String {
        match self.known_as.get() {
            Some(origin) => format!("{origin}{path}"),
            None => format!("http://{}{path}", self.address),
        }
    }

    /// Gives URLs of this origin from now on, which something in front of it answers.
    pub fn known_as(&self, origin: &str) {
        self.known_as.set(origin.to_owned()).unwrap();
    }

    /// The same server under another host name, which makes it another origin.
    pub fn url_as_localhost(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.address.port())
    }

    /// Answers a method and target. A target without a query matches any query.
    pub fn on(&self, method: &str, target: &str, answer: Answer) {
        self.on_sequence(method, target, [answer]);
    }

    /// Answers a method and target with one answer after the other; the last one stays.
    pub fn on_sequence(
        &self,
        method: &str,
        target: &str,
        answers: impl IntoIterator<Item = Answer>,
    ) {
        let (method, target) = (method.to_owned(), target.to_owned());
        let mut left: Vec<Answer> = answers.into_iter().collect();
        left.reverse();
        let left = Mutex::new(left);
        self.handler(move |request| {
            let asked = if target.contains('?') {
                &request.target
            } else {
                request.path()
            };
            if request.method != method || asked != target {
                return None;
            }
            let mut left = left.lock().unwrap();
            if left.len() > 1 {
                left.pop()
            } else {
                left.first().cloned()
            }
        });
    }

    /// Answers whatever the function has an answer for. Later routes come before earlier ones.
    pub fn handler(&self, answer: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) {
        self.shared
            .routes
            .lock()
            .unwrap()
            .insert(0, Arc::new(answer));
    }

    /// Looks at every request before the routes do, and may answer it.
    pub fn guard(&self, answer: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static) {
        self.shared.guards.lock().unwrap().push(Arc::new(answer));
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// The requests so far to a path.
    pub fn requests_to(&self, path: &str) -> Vec<Request> {
        self.requests()
            .into_iter()
            .filter(|request| request.path() == path)
            .collect()
    }

    /// The only request to a path.
    #[track_caller]
    pub fn request_to(&self, path: &str) -> Request {
        let mut requests = self.requests_to(path);
        assert_eq!(
            requests.len(),
            1,
            "requests to {path} among {:?}",
            self.lines()
        );
        requests.remove(0)
    }

    /// Every request so far as `GET /path`.
    pub fn lines(&self) -> Vec<String> {
        self.requests().iter().map(Request::line).collect()
    }

    /// Waits until a path has been asked for.
    #[track_caller]
    pub fn wait_for(&self, path: &str) {
        let requests = self.shared.requests.lock().unwrap();
        let is_missing =
            |requests: &mut Vec<Request>| !requests.iter().any(|request| request.path() == path);
        let (_requests, waited) = self
            .shared
            .arrived
            .wait_timeout_while(requests, PATIENCE, is_missing)
            .unwrap();
        assert!(!waited.timed_out(), "no request to {path} came");
    }

    /// Forgets the requests so far.
    pub fn forget(&self) {
        self.shared.requests.lock().unwrap().clear();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        *self.shared.stopping.lock().unwrap() = true;
        self.shared.stopped.notify_all();
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
        for stream in self.shared.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

impl Shared {
    /// Serves a connection until either side ends it.
    fn serve(&self, stream: &TcpStream) {
        let _ = stream.set_nodelay(true);
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some(request) = Request::read(&mut reader) {
            self.requests.lock().unwrap().push(request.clone());
            self.arrived.notify_all();
            let mut writer = stream.try_clone().unwrap();
            match self.answer(&request).send(&mut writer) {
                Ok(After::KeepOpen) => {}
                Ok(After::HoldOpen) => {
                    let stopping = self.stopping.lock().unwrap();
                    let _stopped = self
                        .stopped
                        .wait_while(stopping, |stopping| !*stopping)
                        .unwrap();
                    break;
                }
                Ok(After::Reset) => {
                    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
                    self.forget_stream(stream);
                    return;
                }
                Ok(After::Close) | Err(_) => break,
            }
        }
        let _ = stream.shutdown(std::net::Shutdown::Both);
        self.forget_stream(stream);
    }

    /// Drops the second handle of a connection, so that closing the first one closes it.
    fn forget_stream(&self, stream: &TcpStream) {
        let peer = stream.peer_addr().ok();
        self.streams
            .lock()
            .unwrap()
            .retain(|other| other.peer_addr().ok() != peer);
    }

    fn answer(&self, request: &Request) -> Answer {
        let guards = self.guards.lock().unwrap().clone();
        let routes = self.routes.lock().unwrap().clone();
        guards
            .iter()
            .chain(&routes)
            .find_map(|handler| handler(request))
            .unwrap_or_else(|| {
                Answer::outcome(
                    404,
                    "not-found",
                    &format!("no route for {}", request.line()),
                )
            })
    }
}
