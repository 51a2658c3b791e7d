//! A small HTTP server for benches and tests: a thread per connection, answers by a function.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `POST`, `GET`.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Headers with lower-case names.
    pub headers: Vec<(String, String)>,
    /// The body; `null` where it is no JSON.
    pub body: Value,
}

impl Asked {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The text of the user's turn.
    pub fn prompt(&self) -> &str {
        let content = &self.body["messages"][0]["content"];
        let mut parts = content.as_array().into_iter().flatten();
        let text = parts.find_map(|part| part["text"].as_str());
        text.or(content.as_str()).unwrap_or_default()
    }

    /// The addresses of the images that the user's turn shows.
    pub fn images(&self) -> Vec<&str> {
        let parts = self.body["messages"][0]["content"].as_array().into_iter().flatten();
        parts.filter_map(|part| part["image_url"]["url"].as_str()).collect()
    }
}

/// What is sent back.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// The bytes, head included, each piece after its wait.
    pub pieces: Vec<(Duration, Vec<u8>)>,
    /// How often the last piece is sent again.
    pub again: usize,
    /// Whether the connection closes after it.
    pub close: bool,
}

impl Said {
    /// A whole response with headers beyond type and length.
    pub fn whole(status: u16, kind: &str, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let more: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n{more}\r\n",
            body.len(),
            more = more.concat()
        );
        Self { pieces: vec![(Duration::ZERO, [head.as_bytes(), body].concat())], again: 0, close: false }
    }

    /// JSON with a status.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::whole(status, "application/json", &[], body.to_string().as_bytes())
    }

    /// Bytes as they are, then the end of the connection.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { pieces: vec![(Duration::ZERO, bytes.into())], again: 0, close: true }
    }

    /// The same after a wait.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        if let Some(first) = self.pieces.first_mut() {
            first.0 = wait;
        }
        self
    }
}

/// The answer of a chat completion.
pub fn completion(id: &str, model: &str, text: &str, (prompt, answer): (u64, u64)) -> Value {
    json!({"id": id, "object": "chat.completion", "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}})
}

/// A server on a port of its own; it ends with this value, its connections when the other side closes them.
#[derive(Debug)]
pub struct Stub {
    address: SocketAddr,
    over: Arc<AtomicBool>,
}

impl Stub {
    /// Serves `answer` on a free port of this machine.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(answer: impl Fn(&Asked) -> Said + Send + Sync + 'static) -> io::Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), answer)
    }

    /// The same at an address.
    ///
    /// # Errors
    /// When it cannot be had.
    pub fn start_at(
        address: SocketAddr,
        answer: impl Fn(&Asked) -> Said + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let over = Arc::new(AtomicBool::new(false));
        let (ending, answer) = (Arc::clone(&over), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if ending.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (answer, ending) = (Arc::clone(&answer), Arc::clone(&ending));
                // A client that goes away ends its thread.
                thread::spawn(move || converse(&stream, answer.as_ref(), &ending));
            }
        });
        Ok(Self { address, over })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address as an endpoint's `url`.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts, so that the port is free again.
        let _ = TcpStream::connect(self.address);
    }
}

fn converse(
    stream: &TcpStream,
    answer: &(impl Fn(&Asked) -> Said + ?Sized),
    over: &AtomicBool,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    while let Some(asked) = read(&mut reader)? {
        if over.load(Ordering::Relaxed) {
            return Ok(());
        }
        let said = answer(&asked);
        for (wait, bytes) in &said.pieces {
            thread::sleep(*wait);
            writer.write_all(bytes)?;
        }
        if let Some((wait, bytes)) = said.pieces.last() {
            for _ in 0..said.again {
                thread::sleep(*wait);
                writer.write_all(bytes)?;
            }
        }
        if said.close {
            return Ok(());
        }
    }
    Ok(())
}

/// Reads one request; `None` at the end of the connection.
fn read(reader: &mut impl BufRead) -> io::Result<Option<Asked>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
            None => break,
        }
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.and_then(|(_, length)| length.parse().ok()).unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Ok(Some(Asked { method, path, headers, body }))
}
