//! Reading a teacher's answers in the stages of a discovery.

use serde::Deserialize;

use super::super::file::{Category, Label};
use crate::prompts::reply;

#[derive(Deserialize)]
struct Named {
    name: String,
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Group {
    descriptive_name: String,
    skills: Vec<String>,
}

/// Why a choice was not accepted, and the name that is not in the list.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) reason: String,
    pub(super) name: Option<String>,
}

/// A label in the form of stage 1: lower case, words joined by underscores.
pub(super) fn label(text: &str) -> Result<Label, String> {
    let named: Named = reply::object(text)?;
    let plain = reply::name(&named.name).unwrap_or_default().to_lowercase();
    let words: Vec<&str> = plain.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
    if words.is_empty() {
        return Err("the name is empty".to_owned());
    }
    let reason_for_skill = named.reason.as_deref().and_then(reply::name);
    Ok(Label { name: words.join("_"), reason_for_skill })
}

/// The categories of stage 2. Two of the same name are one; a skill in several belongs to the first.
pub(super) fn categories(text: &str) -> Result<Vec<Category>, String> {
    let (groups, fault) = reply::entries::<Group>(text);
    if let Some(reason) = fault {
        // Half a grouping would leave the rest of the skills without a home.
        return Err(reason);
    }
    collected(groups.into_iter().map(|group| (group.descriptive_name, group.skills)))
}

/// The lines of stage 2 with few tokens: number, dot, name, colon, skills. Lines of another form are passed
/// over.
pub(super) fn lines(text: &str) -> Result<Vec<Category>, String> {
    let line = |line: &str| -> Option<(String, Vec<String>)> {
        let (number, rest) = line.trim().split_once('.')?;
        number.trim().parse::<u32>().ok()?;
        let (name, skills) = rest.split_once(':')?;
        Some((name.to_owned(), skills.split(',').map(|skill| skill.trim().to_owned()).collect()))
    };
    collected(reply::said(text).lines().filter_map(line))
}

fn collected(groups: impl Iterator<Item = (String, Vec<String>)>) -> Result<Vec<Category>, String> {
    let mut found: Vec<Category> = Vec::new();
    for (name, skills) in groups {
        let Some(name) = reply::name(&name) else { continue };
        let known = found.iter().position(|c| reply::same_name(&c.descriptive_name, &name));
        let place = known.unwrap_or(found.len());
        if known.is_none() {
            let category_id = found.len() as i64 + 1;
            found.push(Category { category_id, descriptive_name: name, skills: Vec::new() });
        }
        for skill in skills.iter().filter_map(|skill| reply::name(skill)) {
            if found.iter().all(|category| !category.skills.contains(&skill)) {
                found[place].skills.push(skill);
            }
        }
    }
    if found.is_empty() { Err("it names no category".to_owned()) } else { Ok(found) }
}

/// The place of the chosen name in the list.
pub(super) fn choice(text: &str, names: &[&str]) -> Result<usize, Refused> {
    let named: Named = reply::object(text).map_err(|reason| Refused { reason, name: None })?;
    let exact = names.iter().position(|name| *name == named.name);
    let place = exact.or_else(|| names.iter().position(|name| reply::same_name(name, &named.name)));
    place.ok_or_else(|| Refused {
        reason: "the name is not in the list".to_owned(),
        name: reply::name(&named.name),
    })
}
