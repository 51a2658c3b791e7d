//! `dataenvgym doctor`: what this machine has, what is missing, and what to do about it.
//!
//! [`snapshot`] looks, [`checks`] judges what was seen without looking at anything itself.

mod checks;
mod snapshot;
pub(super) mod teacher;

use std::process::ExitCode;

use color_eyre::eyre::Result;
use serde::Serialize;

use super::format;
use crate::config::Paths;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    /// As it should be, or worth knowing.
    Ok,
    /// Works, with a loss.
    Warn,
    /// Runs cannot work.
    Fail,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    /// What was looked at, in a word.
    check: &'static str,
    level: Level,
    /// What was found.
    found: String,
    /// What to do; empty when there is nothing to do.
    #[serde(skip_serializing_if = "String::is_empty")]
    remedy: String,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, found: found.into(), remedy: String::new() }
    }

    fn warn(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, level: Level::Warn, found: found.into(), remedy: remedy.into() }
    }

    fn fail(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Fail, ..Self::warn(check, found, remedy) }
    }
}

/// The findings, for the screen.
pub(super) fn findings(paths: &Paths) -> Vec<crate::tui::Finding> {
    let level = |level| match level {
        Level::Ok => crate::tui::Level::Ok,
        Level::Warn => crate::tui::Level::Warn,
        Level::Fail => crate::tui::Level::Fail,
    };
    let finding = |finding: Finding| crate::tui::Finding {
        check: finding.check.to_owned(),
        level: level(finding.level),
        found: finding.found,
        remedy: finding.remedy,
    };
    checks::findings(&snapshot::take(paths)).into_iter().map(finding).collect()
}

/// Prints the findings; the exit code is 1 when one of them is a failure.
pub(super) fn doctor(paths: &Paths, json: bool) -> Result<ExitCode> {
    let findings = checks::findings(&snapshot::take(paths));
    for finding in &findings {
        if json {
            println!("{}", format::json(finding)?);
            continue;
        }
        let (level, check) = (finding.level.word(), finding.check);
        println!("{level:<5} {check:<14} {}", format::on_one_line(&finding.found));
        if !finding.remedy.is_empty() {
            println!("{:<20} -> {}", "", format::on_one_line(&finding.remedy));
        }
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let failures = count(Level::Fail);
    if !json {
        println!("\n{} ok, {} to know about, {failures} to mend", count(Level::Ok), count(Level::Warn));
    }
    Ok(if failures > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
