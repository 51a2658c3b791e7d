//! On the way to an endpoint: certificates of one's own, proxies, and what each of them gets to see.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dataenvgym::bench::endpoint::{Asked, Said, Stub, completion};
use dataenvgym::gym::ports::{Endpoint, PortError};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{collect, hasty, model, questions};
use crate::home::{Home, text};

/// An element of DER: its tag, its length, its content.
fn der(tag: u8, content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    let length = match (high, low) {
        (0, 0..128) => vec![low],
        (0, _) => vec![0x81, low],
        _ => vec![0x82, high, low],
    };
    [vec![tag], length, content].concat()
}

/// Tags of DER.
const SEQUENCE: u8 = 0x30;
const IDENTIFIER: u8 = 0x06;
const BITS: u8 = 0x03;

/// A name with nothing but a common name.
fn name(common: &str) -> Vec<u8> {
    let attribute = der(SEQUENCE, &[&der(IDENTIFIER, &[&[0x55, 4, 3]]), &der(0x0c, &[common.as_bytes()])]);
    der(SEQUENCE, &[&der(0x31, &[&attribute])])
}

/// A key pair on P-256 and its PKCS #8.
fn pair() -> (EcdsaKeyPair, Vec<u8>) {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap();
    (pair, pkcs8.as_ref().to_vec())
}

/// A certificate (RFC 5280): for the host `localhost`, or for an authority that signs others.
fn certificate(subject: &str, key: &EcdsaKeyPair, (issuer, signer): (&str, &EcdsaKeyPair)) -> Vec<u8> {
    let authority = subject == issuer;
    let algorithm = der(SEQUENCE, &[&der(IDENTIFIER, &[&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]])]);
    let date = |text: &str| der(0x18, &[text.as_bytes()]);
    let public = der(
        SEQUENCE,
        &[
            &der(
                SEQUENCE,
                &[
                    &der(IDENTIFIER, &[&[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]]),
                    &der(IDENTIFIER, &[&[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]]),
                ],
            ),
            &der(BITS, &[&[0], key.public_key().as_ref()]),
        ],
    );
    let extension = if authority {
        // Basic constraints: an authority.
        let value = der(SEQUENCE, &[&der(0x01, &[&[0xff]])]);
        der(SEQUENCE, &[&der(IDENTIFIER, &[&[0x55, 0x1d, 0x13]]), &der(0x04, &[&value])])
    } else {
        // Alternative names: a host.
        let value = der(SEQUENCE, &[&der(0x82, &[b"localhost"])]);
        der(SEQUENCE, &[&der(IDENTIFIER, &[&[0x55, 0x1d, 0x11]]), &der(0x04, &[&value])])
    };
    let body = der(
        SEQUENCE,
        &[
            &der(0xa0, &[&der(0x02, &[&[2]])]),
            &der(0x02, &[&[if authority { 1 } else { 2 }]]),
            &algorithm,
            &name(issuer),
            &der(SEQUENCE, &[&date("20000101000000Z"), &date("20991231235959Z")]),
            &name(subject),
            &public,
            &der(0xa3, &[&der(SEQUENCE, &[&extension])]),
        ],
    );
    let signature = signer.sign(&SystemRandom::new(), &body).unwrap();
    der(SEQUENCE, &[&body, &algorithm, &der(BITS, &[&[0], signature.as_ref()])])
}

/// A port that speaks TLS and passes what it is told on to a server without, and the PEM file of its authority.
fn secured(behind: SocketAddr, folder: &tempfile::TempDir) -> (u16, PathBuf) {
    let ((authority, _), (host, key)) = (pair(), pair());
    let root = certificate("authority", &authority, ("authority", &authority));
    let leaf = certificate("host", &host, ("authority", &authority));
    let file = folder.path().join("authority.pem");
    let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, root);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"));
    std::fs::write(&file, pem).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(leaf)],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key)),
        )
        .unwrap();
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            // A client that does not trust it hangs up: its thread ends.
            std::thread::spawn(move || pass_on(stream, behind, config));
        }
    });
    (port, file)
}

/// Question after question: what comes in goes to the server, its answer back.
fn pass_on(stream: TcpStream, behind: SocketAddr, config: Arc<ServerConfig>) -> std::io::Result<()> {
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let (mut outside, mut inside) = (StreamOwned::new(connection, stream), TcpStream::connect(behind)?);
    inside.set_read_timeout(Some(Duration::from_millis(10)))?;
    let mut piece = vec![0; 1 << 14];
    loop {
        let asked = outside.read(&mut piece)?;
        if asked == 0 {
            return Ok(());
        }
        inside.write_all(&piece[..asked])?;
        while let Ok(said @ 1..) = inside.read(&mut piece) {
            outside.write_all(&piece[..said])?;
        }
    }
}

fn good(asked: &Asked) -> Said {
    Said::json(
        200,
        &completion("c", asked.body["model"].as_str().unwrap_or_default(), asked.prompt(), (1, 1)),
    )
}

/// What every request was like.
fn noting() -> (Stub, Arc<Mutex<Vec<Asked>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let stub = Stub::start(move |asked| {
        noted.lock().unwrap().push(asked.clone());
        good(asked)
    });
    (stub.unwrap(), seen)
}

#[test]
fn a_certificate_of_ones_own_is_trusted_where_it_is_named_and_only_for_its_host() {
    let (folder, (stub, seen)) = (tempfile::tempdir().unwrap(), noting());
    let (port, file) = secured(stub.address(), &folder);
    let elsewhere = tempfile::tempdir().unwrap();
    let (_, strange) = secured(stub.address(), &elsewhere);
    let key = folder.path().join("key");
    std::fs::write(&key, "sk-secured").unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let ask = |host: &str, ca_file: Option<PathBuf>| -> Result<String, PortError> {
        let endpoint = Endpoint {
            ca_file,
            key_file: Some(key.clone()),
            patience_s: 0.1,
            ..hasty(&format!("https://{host}:{port}/v1"))
        };
        let (answers, outcome) = collect(&mut model(vec![("x", endpoint, 1.0)]), &questions(1));
        outcome.map(|()| answers[0].clone().unwrap().text)
    };
    for (host, ca_file) in
        [("localhost", None), ("localhost", Some(strange)), ("127.0.0.1", Some(file.clone()))]
    {
        let error = ask(host, ca_file).unwrap_err();
        assert!(!error.transient && error.message.contains("certificate"), "{host}: {error}");
    }
    assert!(seen.lock().unwrap().is_empty(), "something was said to a stranger");
    assert_eq!(ask("localhost", Some(file)).unwrap(), "question 0");
    assert_eq!(seen.lock().unwrap()[0].header("authorization"), Some("Bearer sk-secured"));
}

#[test]
fn a_proxy_passes_questions_on_and_sees_no_key_of_a_secured_host() {
    let (stub, seen) = noting();
    let proxy = format!("http://{}", stub.address());
    let endpoint = |url: &str| Endpoint { proxy: proxy.clone(), patience_s: 0.0, ..hasty(url) };
    collect(&mut model(vec![("x", endpoint("http://model.example/v1"), 1.0)]), &questions(1)).1.unwrap();
    assert_eq!(seen.lock().unwrap()[0].path, "http://model.example/v1/chat/completions");
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "sk-secured").unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let secured = Endpoint { key_file: Some(key), ..endpoint("https://model.example/v1") };
    collect(&mut model(vec![("x", secured, 1.0)]), &questions(1)).1.unwrap_err();
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    let connect = seen.iter().find(|asked| asked.method == "CONNECT").unwrap();
    assert_eq!(connect.path, "model.example:443");
    assert!(!seen.iter().any(|asked| format!("{asked:?}").contains("sk-secured")), "{seen:?}");
    // This machine is reached without it.
    let (here, _) = noting();
    let gone = format!("http://{}", Stub::start(good).unwrap().address());
    let endpoint = Endpoint { proxy: gone, ..hasty(&here.url()) };
    collect(&mut model(vec![("x", endpoint, 1.0)]), &questions(1)).1.unwrap();
}

#[test]
fn the_proxy_of_the_environment_is_used_and_named() {
    let (stub, seen) = noting();
    let home = Home::new();
    let path = home.path("far.toml");
    let text_of = "[endpoints.far]\nurl = \"http://model.example/v1\"\nmodel = \"m\"\npatience_s = 0.01\n\
                   retry_first_s = 0.01\nfirst_byte_s = 2\nconnect_s = 2\n";
    std::fs::write(&path, text_of).unwrap();
    let check = |without: &str| {
        let mut command = home.command(&["endpoints", "check", "--config", path.to_str().unwrap()]);
        let proxy = format!("http://{}", stub.address());
        let output = command.env("http_proxy", proxy).env("NO_PROXY", without).output().unwrap();
        (output.status.success(), text(&output.stdout))
    };
    let (well, said) = check("other.example");
    assert!(well && said.contains("through the proxy of HTTP_PROXY"), "{said}");
    let asked = seen.lock().unwrap().len();
    assert!(
        asked > 0 && seen.lock().unwrap().iter().all(|asked| asked.path.starts_with("http://model.example/"))
    );
    assert!(!check("model.example").0);
    assert_eq!(seen.lock().unwrap().len(), asked, "NO_PROXY was ignored");
}

#[test]
fn every_preset_asks_as_its_server_wants_it() {
    for (name, _) in dataenvgym::config::PRESETS {
        let (stub, seen) = noting();
        let home = Home::new();
        let config = home.path("preset.toml");
        let root = if *name == "azure" { "openai/deployments/d" } else { "v1" };
        let table = format!(
            "[endpoints.x]\npreset = \"{name}\"\nurl = \"http://{}/{root}\"\nmodel = \"m\"\n",
            stub.address()
        );
        std::fs::write(&config, table).unwrap();
        let mut command = home.command(&["endpoints", "check", "--config", config.to_str().unwrap()]);
        for key in ["AZURE_OPENAI_API_KEY", "OPENAI_API_KEY", "OPENROUTER_API_KEY"] {
            command.env(key, "sk-preset");
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{name}: {}", text(&output.stdout));
        let first = seen.lock().unwrap()[0].clone();
        let (path, key) = match *name {
            "azure" => (
                "/openai/deployments/d/chat/completions?api-version=2024-10-21",
                Some(("api-key", "sk-preset")),
            ),
            "openai" | "openrouter" => ("/v1/chat/completions", Some(("authorization", "Bearer sk-preset"))),
            _ => ("/v1/chat/completions", None),
        };
        assert_eq!(first.path, path, "{name}");
        match key {
            Some((header, value)) => assert_eq!(first.header(header), Some(value), "{name}"),
            None => assert!(first.header("authorization").is_none(), "{name}"),
        }
        let newer = matches!(*name, "azure" | "openai");
        assert_eq!(first.body.get("max_completion_tokens").is_some(), newer, "{name}");
    }
}
