//! The control socket: greetings, requests that are sent twice, clients that do not read, folders that are open.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dataenvgym::gym::episode::Command;
use dataenvgym::protocol::control::{ClientFrame, PROTOCOL, RunnerFrame};
use dataenvgym::protocol::frame;
use dataenvgym::runner::client::{Client, ClientError, socket_of};
use dataenvgym::runner::lock::{self, RunLock};

use crate::home::{Home, episode, text, wait_for};

fn started(home: &Home, latency_ms: u32, iterations: u32) -> (PathBuf, PathBuf) {
    let config = home.scripted(latency_ms, iterations);
    home.stdout(&["run", "--config", &config]);
    let folder = home.run_folder("scripted");
    let socket = socket_of(&folder);
    (folder, socket)
}

fn first_answer(socket: &Path, first: &[u8]) -> Option<RunnerFrame> {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    std::io::Write::write_all(&mut stream, first).unwrap();
    frame::read(&mut stream, frame::CONTROL_LIMIT).unwrap()
}

#[test]
fn a_stranger_to_the_protocol_is_told_why() {
    let home = Home::new();
    let (_, socket) = started(&home, 5, 50);
    let hello = |protocol, run: Option<&str>| {
        let frame = ClientFrame::Hello {
            protocol,
            version: "9.9.9".into(),
            run: run.map(str::to_owned),
            client: "test".into(),
        };
        frame::encode(&frame).unwrap()
    };
    let nonsense = [5, 0, 0, 0, b'h', b'e', b'l', b'l', b'o'];
    let early = frame::encode(&ClientFrame::Command { id: 1, command: Command::StopNow }).unwrap();
    let cases = [
        (hello(PROTOCOL + 1, None), "9.9.9"),
        (hello(PROTOCOL, Some("other")), "`scripted`, not of `other`"),
        (nonsense.to_vec(), "not understood"),
        (vec![255; 8], "longer than the limit"),
        (early, "must be a greeting"),
    ];
    for (bytes, words) in cases {
        match first_answer(&socket, &bytes) {
            Some(RunnerFrame::Refused { message }) => assert!(message.contains(words), "{message}"),
            other => panic!("{words}: {other:?}"),
        }
    }
    match first_answer(&socket, &hello(PROTOCOL, Some("scripted"))) {
        Some(RunnerFrame::Hello { protocol: PROTOCOL, run, pid, .. }) => {
            assert_eq!(
                (run.as_str(), Some(pid)),
                ("scripted", lock::holder(&home.run_folder("scripted")).map(|h| h.pid))
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_sent_twice_is_carried_out_once() {
    let home = Home::new();
    let (folder, socket) = started(&home, 1, 20);
    let connect = || Client::connect(&socket, Some("scripted"), "somebody").unwrap();
    connect().command(1, Command::Pause).unwrap();
    let held = || episode(&folder).filter(|e| !e.running && e.halt.is_some());
    let before = wait_for("the pause", held).work.unwrap();
    connect().command(2, Command::AdvancePhase).unwrap();
    let after = wait_for("the next phase", || held().filter(|e| e.work != Some(before))).work.unwrap();
    // The answer got lost, the client asks again over another connection; and the first request comes late.
    connect().command(2, Command::AdvancePhase).unwrap();
    connect().command(1, Command::Pause).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(held().unwrap().work, Some(after));
    connect().command(3, Command::AdvancePhase).unwrap();
    wait_for("one more phase", || held().filter(|e| e.work != Some(after)));
    // Another process of the run still knows.
    home.stdout(&["stop", "--now", "scripted"]);
    wait_for("the end", || (!RunLock::is_held(&folder)).then_some(()));
    home.stdout(&["run", "--name", "scripted"]);
    let again = Client::connect(&socket_of(&folder), None, "somebody");
    again.unwrap().command(1, Command::Pause).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(episode(&folder).unwrap().running, "an old pause was carried out again");
}

#[test]
fn a_client_that_never_reads_is_dropped_and_blocks_nobody() {
    let home = Home::new();
    let (folder, socket) = started(&home, 3, 50);
    let mut deaf = UnixStream::connect(&socket).unwrap();
    deaf.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    frame::write(&mut deaf, &ClientFrame::hello(None, "deaf")).unwrap();
    let phases = |folder: &Path| episode(folder).map(|e| (e.work, e.iterations.len()));
    let began = phases(&folder);
    // Acknowledgements fill its buffer, then its queue; the same request again and again costs no journal.
    let again = ClientFrame::Command { id: 1, command: Command::Run };
    let flood = std::thread::spawn(move || {
        let sent = (0..100_000).take_while(|_| frame::write(&mut deaf, &again).is_ok()).count();
        // What was sent before the end may be read; then there is an end.
        let _ = deaf.set_read_timeout(Some(Duration::from_secs(20)));
        (sent, deaf.read_to_end(&mut Vec::new()).map_err(|error| error.kind()))
    });
    for id in 0..5 {
        let asked = Instant::now();
        let mut client = Client::connect(&socket, Some("scripted"), "attentive").unwrap();
        client.command(id, Command::Run).unwrap();
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    }
    wait_for("progress", || (phases(&folder) != began).then_some(()));
    let (sent, end) = flood.join().unwrap();
    assert!(sent < 100_000 && end != Err(std::io::ErrorKind::WouldBlock), "{sent} {end:?}");
}

#[test]
fn a_silent_client_and_many_clients_are_bounded() {
    let home = Home::new();
    let (_, socket) = started(&home, 5, 50);
    let connect = |n: usize| Client::connect(&socket, None, &format!("client-{n}"));
    let mut guests: Vec<Client> = (0..64).map(|n| connect(n).unwrap()).collect();
    match connect(64) {
        Err(ClientError::Refused(message)) => assert!(message.contains("64 clients"), "{message}"),
        other => panic!("{other:?}"),
    }
    guests.truncate(10);
    wait_for("room", || connect(65).ok());
    let mut silent = UnixStream::connect(&socket).unwrap();
    silent.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut end = Vec::new();
    silent.read_to_end(&mut end).unwrap();
    assert!(text(&end).contains("not understood"), "{}", text(&end));
}

#[test]
fn an_open_socket_folder_is_refused_and_a_private_one_is_made() {
    let home = Home::new();
    let config = home.scripted(1, 1);
    let run = ["run", "--config", &config, "--headless"];
    let command = &mut home.command(&run);
    let folder = home.path("run/dataenvgym");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = command.output().unwrap();
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("others can enter it"), "{said}");
    assert!(said.contains(folder.to_str().unwrap()) && said.contains("chmod 700"), "{said}");
    std::fs::remove_dir(&folder).unwrap();
    let elsewhere = home.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &folder).unwrap();
    let said = text(&home.output(&run).stderr);
    assert!(said.contains("a link"), "{said}");
    std::fs::remove_file(&folder).unwrap();
    home.stdout(&run);
    let mode = std::fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_client_with_another_environment_finds_the_socket() {
    let home = Home::new();
    let config = home.scripted(5, 50);
    let arguments = ["run", "--config", &config];
    let status = home.command(&arguments).env_remove("XDG_RUNTIME_DIR").output().unwrap().status;
    assert!(status.success());
    let folder = home.run_folder("scripted");
    let socket = socket_of(&folder);
    let mode = |path: &Path| std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&socket), mode(socket.parent().unwrap())), (0o600, 0o700));
    assert!(home.stdout(&["stop", "--now", "scripted"]).contains("stops now"));
    wait_for("the end of the process", || (!RunLock::is_held(&folder)).then_some(()));
    assert!(!socket.exists());
    // A path that is too long for a socket goes elsewhere.
    let deep = home.path(&format!("runs/{}", "x".repeat(60)));
    let long =
        ["--runs-dir", deep.to_str().unwrap(), "run", "--headless", "--config", &config, "--iterations", "0"];
    let command = &mut home.command(&long);
    let output = command.env_remove("XDG_RUNTIME_DIR").env("TMPDIR", home.path(".")).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}
