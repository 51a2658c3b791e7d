//! The thin binary; stands in for the command line until `cli` is there.

use std::process::ExitCode;

use dataenvgym::gym::ports::PortError;
use dataenvgym::models::scripted::{Script, ScriptedStudent, ScriptedTrainer};
use dataenvgym::worker::{Hosts, StudentHost, runner_stream, serve};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().map(String::as_str) != Some("worker") {
        return ExitCode::from(2);
    }
    let script = arguments.iter().position(|word| word == "--scripted").and_then(|at| arguments.get(at + 1));
    let hosts = match script.map(|text| serde_json::from_str::<Script>(text)) {
        Some(Ok(script)) => scripted(script),
        None => Hosts { student: real(), trainer: Box::new(|| Err(PortError::fatal("no trainer yet"))) },
        Some(Err(_)) => return ExitCode::from(2),
    };
    match runner_stream().and_then(|stream| serve(&stream, hosts)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn scripted(script: Script) -> Hosts {
    let other = script.clone();
    Hosts {
        student: Box::new(move |_, _| Ok(Box::new(ScriptedStudent::new(script.clone())?))),
        trainer: Box::new(move || Ok(Box::new(ScriptedTrainer::new(other.clone())))),
    }
}

#[cfg(feature = "mistralrs")]
fn real() -> StudentHost {
    Box::new(|device, in_flight| {
        Ok(Box::new(dataenvgym::models::mistral::MistralStudent::new(device, in_flight)?))
    })
}

#[cfg(not(feature = "mistralrs"))]
fn real() -> StudentHost {
    Box::new(|_, _| Err(PortError::fatal("this program was built without mistral.rs")))
}
