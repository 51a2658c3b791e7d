//! One HTTP exchange with an endpoint: TLS, proxy, time-outs, limits of size. Nothing is tried twice here.

use std::error::Error;
use std::fs;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Method, NoProxy, Proxy, Response, Url};
use tokio::time::{Instant, timeout_at};

use super::key::Key;
use super::wait;
use crate::gym::ports::Endpoint;

/// How an endpoint is reached.
#[derive(Debug)]
pub(super) struct Transport {
    client: Client,
    key: Option<Key>,
    key_header: String,
    url: String,
    connect: Duration,
    first_byte: Duration,
    idle: Duration,
    total: Duration,
    most_bytes: usize,
}

/// An answer whose body has yet to come.
pub(super) struct Incoming {
    pub(super) status: u16,
    /// The wait that it asks for.
    pub(super) wait: Option<Duration>,
    /// Whether the body is a stream of events.
    pub(super) is_stream: bool,
    /// Whether the body is a page for people.
    pub(super) is_page: bool,
    response: Response,
    idle: Duration,
    until: Instant,
    left: usize,
}

/// Why there is no answer, in words; another try may bring one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken(pub(super) String);

impl Transport {
    /// # Errors
    /// A sentence about what is wrong with the configuration, the key or the certificates.
    pub(super) fn new(endpoint: &Endpoint) -> Result<Self, String> {
        let url = address(&endpoint.url)?;
        let key = Key::find(endpoint)?;
        let here = is_here(&url);
        if key.is_some() && url.scheme() != "https" && !here && !endpoint.plain_http {
            return Err(format!(
                "its key would go over plain http to {}: use https, or allow it with `plain_http = true`",
                url.host_str().unwrap_or_default()
            ));
        }
        let mut builder = Client::builder()
            .use_rustls_tls()
            .http1_only()
            // A key belongs to one origin: nothing is ever sent after a redirect.
            .redirect(Policy::none())
            .referer(false)
            .user_agent(concat!("dataenvgym/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(wait::seconds(endpoint.connect_s))
            .pool_max_idle_per_host(endpoint.in_flight as usize);
        builder = match endpoint.proxy.as_str() {
            _ if here => builder.no_proxy(),
            "environment" => builder,
            "none" => builder.no_proxy(),
            other => {
                let address = Url::parse(other).map_err(|_| "its `proxy` is no address".to_owned())?;
                if !address.username().is_empty() || address.password().is_some() {
                    return Err("its `proxy` holds a name or a password, which would stand in the run's \
                                configuration: set HTTPS_PROXY and `proxy = \"environment\"` instead"
                        .to_owned());
                }
                let proxy = Proxy::all(address).map_err(|_| "its `proxy` is no address".to_owned())?;
                builder.proxy(proxy.no_proxy(NoProxy::from_env()))
            }
        };
        if url.scheme() == "https" {
            // Machines with certificates of their own, and those with none: both lists count.
            for certificate in rustls_native_certs::load_native_certs().certs {
                if let Ok(certificate) = Certificate::from_der(&certificate) {
                    builder = builder.add_root_certificate(certificate);
                }
            }
        }
        if let Some(file) = &endpoint.ca_file {
            let wrong = |why: &dyn std::fmt::Display| format!("its `ca_file` {}: {why}", file.display());
            let pem = fs::read(file).map_err(|error| wrong(&error))?;
            let found = Certificate::from_pem_bundle(&pem).map_err(|error| wrong(&error))?;
            if found.is_empty() {
                return Err(wrong(&"no certificate in it"));
            }
            builder = found.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate);
        }
        let client = builder.build().map_err(|error| format!("no client can be made: {}", chain(&error)))?;
        Ok(Self {
            client,
            key,
            key_header: endpoint.key_header.clone(),
            url: endpoint.url.trim_end_matches('/').to_owned(),
            connect: wait::seconds(endpoint.connect_s),
            first_byte: wait::seconds(endpoint.first_byte_s),
            idle: wait::seconds(endpoint.idle_s),
            total: wait::seconds(endpoint.total_s),
            most_bytes: (endpoint.body_mib as usize) << 20,
        })
    }

    /// Through which proxy it is reached, in words; nothing where there is none.
    pub(super) fn via(endpoint: &Endpoint) -> Option<String> {
        let url = address(&endpoint.url).ok().filter(|url| !is_here(url))?;
        let set = |name: &&str| {
            [name.to_ascii_lowercase(), name.to_ascii_uppercase()]
                .iter()
                .any(|name| std::env::var_os(name).is_some())
        };
        match endpoint.proxy.as_str() {
            "none" => None,
            "environment" => {
                let own = if url.scheme() == "https" { "HTTPS_PROXY" } else { "HTTP_PROXY" };
                let name = [own, "ALL_PROXY"].into_iter().find(set)?;
                Some(format!("through the proxy of {name}, unless NO_PROXY names the host"))
            }
            other => Some(format!("through the proxy {other}, unless NO_PROXY names the host")),
        }
    }

    /// The address without what follows it, for messages.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// A text without the key.
    pub(super) fn hide(&self, text: &str) -> String {
        self.key.as_ref().map_or_else(|| text.to_owned(), |key| key.hide(text))
    }

    /// Sends a request to a path below the address, or below the server's root when it begins with `//`.
    /// Without a body it is a GET. `id` is the same for every try of one question.
    pub(super) async fn send(&self, path: &str, body: Option<Vec<u8>>, id: &str) -> Result<Incoming, Broken> {
        let began = Instant::now();
        let until = began + self.total;
        let address = match path.strip_prefix('/').filter(|rest| rest.starts_with('/')) {
            Some(path) => format!("{}{path}", self.url.strip_suffix("/v1").unwrap_or(&self.url)),
            None => format!("{}{path}", self.url),
        };
        let method = if body.is_some() { Method::POST } else { Method::GET };
        let mut request = self.client.request(method, &address).header("idempotency-key", id);
        if let Some(key) = &self.key {
            let (name, value) = key.header(&self.key_header).map_err(Broken)?;
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json")).body(body);
        }
        let first = (began + self.connect + self.first_byte).min(until);
        let response = match timeout_at(first, request.send()).await {
            Err(_) => return Err(Broken(format!("no answer within {:.1} s", began.elapsed().as_secs_f64()))),
            Ok(Err(error)) => return Err(Broken(chain(&error.without_url()))),
            Ok(Ok(response)) => response,
        };
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default().to_ascii_lowercase();
        let incoming = Incoming {
            status: response.status().as_u16(),
            wait: wait::asked(response.headers(), SystemTime::now()),
            is_stream: kind.starts_with("text/event-stream"),
            is_page: kind.starts_with("text/html"),
            idle: self.idle,
            until,
            left: self.most_bytes,
            response,
        };
        match incoming.response.content_length() {
            Some(length) if length > self.most_bytes as u64 => Err(Incoming::too_large()),
            _ => Ok(incoming),
        }
    }
}

impl Incoming {
    /// The next piece of the body; `None` at its end.
    pub(super) async fn piece(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        let now = Instant::now();
        let until = (now + self.idle).min(self.until);
        match timeout_at(until, self.response.chunk()).await {
            Err(_) if until == self.until => Err(Broken("the answer took too long as a whole".into())),
            Err(_) => Err(Broken(format!("the answer stopped for {:.1} s", now.elapsed().as_secs_f64()))),
            Ok(Err(error)) => Err(Broken(format!("the answer broke off: {}", chain(&error.without_url())))),
            Ok(Ok(Some(piece))) => match self.left.checked_sub(piece.len()) {
                Some(left) => {
                    self.left = left;
                    Ok(Some(piece.to_vec()))
                }
                None => Err(Self::too_large()),
            },
            Ok(Ok(None)) => Ok(None),
        }
    }

    /// The rest of the body.
    pub(super) async fn body(&mut self) -> Result<Vec<u8>, Broken> {
        let mut whole = Vec::new();
        while let Some(piece) = self.piece().await? {
            whole.extend(piece);
        }
        Ok(whole)
    }

    fn too_large() -> Broken {
        Broken("the answer is larger than `body_mib` allows".into())
    }
}

/// The address, if a request can go there.
fn address(text: &str) -> Result<Url, String> {
    if text.is_empty() {
        return Err("it has no `url`".to_owned());
    }
    let url = Url::parse(text).map_err(|error| format!("its `url` is no address: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("its `url` has to begin with http:// or https:// and a host".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "its `url` holds a name or a password: keys come from `key_variable` or `key_file`".into()
        );
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("its `url` has a `?` or `#`: that belongs into `chat_path`".to_owned());
    }
    Ok(url)
}

/// Whether an address is this machine.
fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// An error with its causes, on one line.
fn chain(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        cause = error.source();
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> Result<Transport, String> {
        Transport::new(&Endpoint { url: url.into(), ..Endpoint::default() })
    }

    #[test]
    fn addresses_are_checked_and_secrets_in_them_refused() {
        assert!(at("http://127.0.0.1:8000/v1/").is_ok_and(|t| t.url() == "http://127.0.0.1:8000/v1"));
        for (url, word) in [
            ("", "no `url`"),
            ("127.0.0.1:8000", "no address"),
            ("ftp://host/v1", "http://"),
            ("https://me:canary@host/v1", "password"),
            ("https://host/v1?key=canary", "chat_path"),
        ] {
            let said = at(url).unwrap_err();
            assert!(said.contains(word) && !said.contains("canary"), "{url}: {said}");
        }
    }

    #[test]
    fn a_key_goes_over_plain_http_to_this_machine_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs::write(&file, "sk-canary").unwrap();
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let with = |url: &str, plain_http| {
            let key_file = Some(file.clone());
            Transport::new(&Endpoint { url: url.into(), key_file, plain_http, ..Endpoint::default() })
        };
        for here in ["http://127.0.0.1:1/v1", "http://localhost/v1", "http://[::1]:8/v1"] {
            assert!(with(here, false).is_ok(), "{here}");
        }
        let said = with("http://node7:8000/v1", false).unwrap_err();
        assert!(said.contains("plain_http") && said.contains("node7") && !said.contains("canary"), "{said}");
        assert!(with("http://node7:8000/v1", true).is_ok());
    }

    #[test]
    fn certificates_and_proxies_that_are_none_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        fs::write(&file, "no certificate").unwrap();
        let with = |ca_file, proxy: &str| {
            let url = "https://host/v1".to_owned();
            Transport::new(&Endpoint { url, ca_file, proxy: proxy.into(), ..Endpoint::default() })
        };
        assert!(with(Some(file), "none").unwrap_err().contains("ca.pem"));
        assert!(with(Some("missing.pem".into()), "none").unwrap_err().contains("missing.pem"));
        assert!(with(None, "not an address").unwrap_err().contains("proxy"));
        let said = with(None, "http://me:canary@proxy:3128").unwrap_err();
        assert!(said.contains("password") && !said.contains("canary"), "{said}");
        assert!(with(None, "http://proxy:3128").is_ok());
        let via = |url: &str, proxy: &str| {
            Transport::via(&Endpoint { url: url.into(), proxy: proxy.into(), ..Endpoint::default() })
        };
        assert!(via("https://host/v1", "http://proxy:3128").unwrap().contains("http://proxy:3128"));
        assert_eq!(
            (via("https://host/v1", "none"), via("http://127.0.0.1/v1", "http://proxy")),
            (None, None)
        );
    }
}
