//! `dataenvgym agents`: what can be chosen as policy and engine, from the tables that build them.

use std::process::ExitCode;

use color_eyre::eyre::{Result, eyre};
use serde::Serialize;

use crate::agents::engines::EngineChoice;
use crate::agents::policies::PolicyChoice;

/// Width of the column of names.
const NAME: usize = 16;

/// Prints every policy and engine.
pub(super) fn list() -> Result<ExitCode> {
    println!("policies (policy.kind)");
    for choice in PolicyChoice::all() {
        let policy = choice.build();
        let kinds: Vec<&str> = policy.environments().iter().map(|kind| kind.as_str()).collect();
        let asks = if policy.asks() { "; asks the teacher" } else { "" };
        entry(&choice, policy.about(), &format!("acts in {}{asks}", kinds.join(", ")))?;
    }
    println!("\nengines (engine.kind)");
    for choice in EngineChoice::all() {
        let asks = if choice.asks() { "; asks the teacher" } else { "" };
        entry(&choice, choice.about(), &format!("acts in every environment{asks}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// One choice: name and line, where it acts, and its parameters as a configuration writes them.
fn entry(choice: &impl Serialize, about: &str, acts: &str) -> Result<()> {
    let value = toml::Value::try_from(choice)?;
    let table = value.as_table().ok_or_else(|| eyre!("a choice is a table"))?;
    let kind = table.get("kind").and_then(toml::Value::as_str).unwrap_or_default();
    println!("  {kind:<NAME$}{about}");
    println!("  {:<NAME$}{acts}", "");
    for (key, default) in table.iter().filter(|(key, _)| *key != "kind") {
        println!("  {:<NAME$}{key} = {default}", "");
    }
    Ok(())
}
