//! Names, the cache, and a hub on this machine's loopback.

use super::*;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn named(text: &str) -> HubName {
    HubName::parse(text).unwrap().unwrap()
}

fn access(cache: &Path) -> Access {
    Access { cache: cache.to_owned(), endpoint: None, token: None, offline: true }
}

/// A cache that has the embedded student as `house/student`.
fn cache() -> tempfile::TempDir {
    let cache = tempfile::tempdir().unwrap();
    let student = crate::models::embedded::Embedded::Student.folder(cache.path()).unwrap();
    let model = cache.path().join("models--house--student");
    std::fs::create_dir_all(model.join("refs")).unwrap();
    std::fs::write(model.join("refs/main"), COMMIT).unwrap();
    std::fs::create_dir_all(model.join("snapshots")).unwrap();
    std::fs::rename(student, model.join("snapshots").join(COMMIT)).unwrap();
    cache
}

#[test]
fn names_are_read_shown_and_refused() {
    let name = named("hub:house/student");
    assert_eq!((name.repository.as_str(), name.is_pinned()), ("house/student", false));
    assert_eq!(name.to_string(), "hub:house/student");
    let pinned = named(&format!("hub:house/student@{COMMIT}"));
    assert!(pinned.is_pinned());
    assert_eq!(name.pinned(COMMIT), pinned);
    assert_eq!(named("hub:a/b@v1.0").to_string(), "hub:a/b@v1.0");
    assert_eq!(HubName::parse("models/student"), None);
    for wrong in [
        "hub:",
        "hub:a",
        "hub:a/",
        "hub:a/b/c",
        "hub:../b",
        "hub:a/..",
        "hub:a/b@",
        "hub:a/b@x/y",
        "hub:a b/c",
    ] {
        let error = HubName::parse(wrong).unwrap().unwrap_err();
        assert!(error.to_string().contains("hub:organisation/name@revision"), "{error}");
    }
}

#[test]
fn the_cache_serves_without_network_what_is_whole() {
    let cache = cache();
    let nobody = &mut |_: &str, _, _| panic!("nothing is fetched");
    let (commit, folder) = named("hub:house/student").settle(&access(cache.path()), nobody).unwrap();
    assert_eq!(commit, COMMIT);
    assert_eq!(named(&format!("hub:house/student@{COMMIT}")).cached(cache.path()).unwrap().1, folder);
    std::fs::write(folder.join("config.json"), "{").unwrap();
    let error = named("hub:house/student").settle(&access(cache.path()), nobody).unwrap_err().to_string();
    for part in ["hub:house/student", "HF_HUB_OFFLINE", "hf download house/student", "give its path"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn the_environment_is_read_as_the_hub_s_tools_read_it() {
    let variables =
        [("HF_HOME", "/h"), ("HF_TOKEN", "hf_secret"), ("HF_HUB_OFFLINE", "1"), ("HF_ENDPOINT", "")];
    let get = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
    let access = Access::from_variables(get, None);
    assert_eq!((access.cache.as_path(), access.offline), (Path::new("/h/hub"), true));
    assert_eq!(access.endpoint, None);
    assert!(!format!("{access:?}").contains("hf_secret"));
    let plain = Access::from_variables(|_| None, Some(Path::new("/home/p")));
    assert_eq!(plain.cache, Path::new("/home/p/.cache/huggingface/hub"));
    assert!(!plain.offline);
    let off = Access::from_variables(|name| (name == "HF_HUB_OFFLINE").then(|| "0".to_owned()), None);
    assert!(!off.offline);
}

/// A hub of one model, on this machine; ends with the test's process.
#[cfg(feature = "mistralrs")]
mod served {
    use std::io::{BufRead, BufReader, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn answer(mut stream: TcpStream, folder: &Path, token: Option<&str>) {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
        let Some(first) = lines.next() else { return };
        let headers: Vec<String> =
            lines.take_while(|line| !line.is_empty()).map(|l| l.to_lowercase()).collect();
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut say = |status: &str, extra: &str, body: &[u8]| {
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{extra}\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        };
        if token.is_some_and(|token| !headers.contains(&format!("authorization: bearer {token}"))) {
            return say("401 Unauthorized", "", b"");
        }
        if path == "/api/models/house/student/revision/main" {
            let names: Vec<String> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| format!("{{\"rfilename\":\"{}\"}}", entry.unwrap().file_name().display()))
                .collect();
            let strange = "{\"rfilename\":\"../../escape.safetensors\"}";
            let body = format!("{{\"sha\":\"{COMMIT}\",\"siblings\":[{strange},{}]}}", names.join(","));
            return say("200 OK", "", body.as_bytes());
        }
        let Some(file) = path.strip_prefix(&format!("/house/student/resolve/{COMMIT}/")) else {
            return say("404 Not Found", "", b"");
        };
        let whole = std::fs::read(folder.join(file)).unwrap();
        let range = headers.iter().find_map(|line| line.strip_prefix("range: bytes="));
        let (begin, end) = range.and_then(|range| range.split_once('-')).unwrap_or(("0", ""));
        let begin: usize = begin.parse().unwrap();
        let end = end.parse::<usize>().unwrap_or(whole.len() - 1).min(whole.len() - 1);
        let extra = format!(
            "x-repo-commit: {COMMIT}\r\netag: \"{file}\"\r\naccept-ranges: bytes\r\ncontent-range: bytes {begin}-{end}/{}\r\n",
            whole.len()
        );
        say("206 Partial Content", &extra, &whole[begin..=end]);
    }

    fn hub(folder: PathBuf, token: Option<&'static str>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &folder, token);
            }
        });
        format!("http://{address}")
    }

    #[test]
    fn a_model_is_fetched_once_with_its_commit_and_its_progress() {
        let place = tempfile::tempdir().unwrap();
        let student = crate::models::embedded::Embedded::Student.folder(place.path()).unwrap();
        let endpoint = Some(hub(student, Some("hf_right")));
        let with = |token: Option<&str>| Access {
            endpoint: endpoint.clone(),
            token: token.map(|token| Secret::new(token.to_owned())),
            offline: false,
            ..access(&place.path().join("hub"))
        };
        let name = named("hub:house/student");
        let error = name.settle(&with(None), &mut |_, _, _| {}).unwrap_err();
        assert!(matches!(error, HubError::Forbidden { .. }), "{error}");
        let mut told = Vec::new();
        let mut note = |file: &str, done: u64, total: u64| told.push((file.to_owned(), done, total));
        let (commit, folder) = name.settle(&with(Some("hf_right")), &mut note).unwrap();
        assert_eq!(commit, COMMIT);
        assert!(
            told.iter().any(|(file, done, total)| file == "model.safetensors" && done == total && *done > 0)
        );
        assert!(!place.path().join("escape.safetensors").exists());
        // It is there now: pinned, no network is needed.
        let pinned = name.pinned(&commit);
        let alone = access(&place.path().join("hub"));
        assert_eq!(pinned.settle(&alone, &mut |_, _, _| {}).unwrap(), (commit, folder));
        let unknown =
            named("hub:house/nobody").settle(&with(Some("hf_right")), &mut |_, _, _| {}).unwrap_err();
        assert_eq!(unknown, HubError::Unknown("hub:house/nobody".to_owned()));
    }

    #[test]
    fn without_a_hub_the_remedy_is_told() {
        let place = tempfile::tempdir().unwrap();
        // A port that nobody listens at.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let endpoint = Some(format!("http://{address}"));
        let access = Access { endpoint, offline: false, ..access(place.path()) };
        let error = named("hub:house/student").settle(&access, &mut |_, _, _| {}).unwrap_err().to_string();
        assert!(error.contains("cannot be fetched") && error.contains("hf download"), "{error}");
    }
}
