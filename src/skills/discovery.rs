//! Skill discovery by a teacher (after Didolkar et al. 2024): label every question, group the labels, map the
//! questions to the groups.
//!
//! Every stage asks all its questions together, and every answer lies in the run's cache of teacher calls, so
//! that a discovery that was cut off goes on where it was. Labels of an earlier discovery can be used again
//! with another number of categories.

mod reading;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::file::{Category, CategoryOrName, DiscoveredSkills, Label, LabelledInstruction};
use crate::gym::instance::{Split, TaskInstance};
use crate::gym::ports::{ChatRequest, PortError, Question, Sampling, Task, Teacher};
use crate::gym::report::UNSORTED;
use crate::gym::rng::hash_text;
use crate::prompts::asking::ask_once;

/// How often a question is asked until its answer can be read.
const ATTEMPTS: u32 = 3;

/// How skills are found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Discovery {
    /// Categories to ask for at least; 0 leaves their number to the teacher.
    pub categories: u32,
    /// What the questions are about, in the words of a prompt.
    pub topic: String,
    /// Who answers them, in the words of a prompt.
    pub student: String,
    /// Whether the teacher lists three examples per category instead of every skill: fewer tokens in the
    /// answer of stage 2, and more questions in stage 3.
    pub short: bool,
    /// Most characters of the names that are shown to be grouped, the most frequent ones first. The teacher writes
    /// them down again, group by group, so that question and answer fit a context of 8,192 tokens with the default.
    /// The questions of names that are left out are put into the categories one by one.
    #[schemars(range(min = 1))]
    pub shown_characters: u32,
    /// A file of an earlier discovery whose labels are used again; a relative path starts at the
    /// configuration's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<PathBuf>,
    /// Splits besides validation whose questions are put into the found categories, one question to the
    /// teacher each. Questions of other splits are unsorted.
    pub assign: BTreeSet<Split>,
}

impl Default for Discovery {
    fn default() -> Self {
        Self {
            categories: 0,
            topic: "mathematics".into(),
            student: "language model".into(),
            short: false,
            shown_characters: 8_000,
            labels: None,
            assign: BTreeSet::new(),
        }
    }
}

/// What a discovery came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The skill of every question that was asked about, by instance id.
    pub skills: BTreeMap<String, String>,
    /// The stages, as the file keeps them.
    pub record: DiscoveredSkills,
}

impl Discovery {
    /// Finds the skills of a task.
    pub fn run(&self, task: &dyn Task, teacher: &mut dyn Teacher) -> Result<Found, PortError> {
        let instances: Vec<&TaskInstance> = task.instances(Split::Validation).iter().collect();
        let labels = self.labels(&instances, teacher)?;
        let names = self.shown(labels.iter().flatten().map(|label| label.name.as_str()));
        let categories = self.categories(&names, teacher)?;
        let label_of = |n: usize| labels[n].as_ref().map(|label| label.name.as_str());
        let containing = |name: &str| categories.iter().find(|c| c.skills.iter().any(|s| s == name));
        let mut found: Vec<Option<&Category>> =
            (0..instances.len()).map(|n| label_of(n).and_then(containing)).collect();
        let open: Vec<usize> = (0..instances.len()).filter(|&n| found[n].is_none()).collect();
        let unmapped: Vec<&TaskInstance> = open.iter().map(|&n| instances[n]).collect();
        for (n, category) in open.into_iter().zip(self.choose(&unmapped, &categories, teacher)?) {
            found[n] = category;
        }
        let mut all: Vec<(&TaskInstance, Option<&Category>)> = instances.iter().copied().zip(found).collect();
        let others = self.assign.iter().filter(|split| **split != Split::Validation);
        let others: Vec<&TaskInstance> = others.flat_map(|split| task.instances(*split)).collect();
        let chosen = self.choose(&others, &categories, teacher)?;
        all.extend(others.into_iter().zip(chosen));
        let named = |(instance, category): &(&TaskInstance, Option<&Category>)| {
            let name = category.map_or(UNSORTED, |category| &category.descriptive_name);
            (instance.id.clone(), name.to_owned())
        };
        let labelled = |(instance, label): (&&TaskInstance, &Option<Label>)| LabelledInstruction {
            instance_id: instance.id.clone(),
            instruction: instance.content.question().to_owned(),
            skill: label
                .clone()
                .unwrap_or_else(|| Label { name: UNSORTED.to_owned(), reason_for_skill: None }),
        };
        let mapped = |(instance, category): &(&TaskInstance, Option<&Category>)| {
            let name = || CategoryOrName::Name(UNSORTED.to_owned());
            let category = category.map_or_else(name, |category| CategoryOrName::Category(category.clone()));
            (instance.id.clone(), category)
        };
        let record = DiscoveredSkills {
            labeled_instructions: instances.iter().zip(&labels).map(labelled).collect(),
            instance_id_to_skill_category: all.iter().map(mapped).collect(),
            skill_categories: categories.clone(),
        };
        Ok(Found { skills: all.iter().map(named).collect(), record })
    }

    /// Stage 1: a name per question; nothing where no answer could be read.
    fn labels(
        &self,
        instances: &[&TaskInstance],
        teacher: &mut dyn Teacher,
    ) -> Result<Vec<Option<Label>>, PortError> {
        let known: BTreeMap<String, Label> = match &self.labels {
            Some(path) => {
                let earlier = DiscoveredSkills::read(path).map_err(|e| PortError::fatal(e.to_string()))?;
                earlier.labeled_instructions.into_iter().map(|l| (l.instance_id, l.skill)).collect()
            }
            None => BTreeMap::new(),
        };
        let mut labels: Vec<Option<Label>> = instances.iter().map(|i| known.get(&i.id).cloned()).collect();
        for attempt in 0..ATTEMPTS {
            let open: Vec<usize> = (0..labels.len()).filter(|&n| labels[n].is_none()).collect();
            let ask = |&n: &usize| {
                let question = instances[n].content.question();
                let values = json!({"topic": self.topic, "student": self.student, "question": question});
                question_of("label", &values, Some(named_schema(None)), (attempt, 256), teacher)
            };
            let questions: Vec<Question> = open.iter().map(ask).collect::<Result<_, _>>()?;
            let answers = ask_once(teacher, questions, |_, text| reading::label(text))?;
            for (n, label) in open.into_iter().zip(answers) {
                labels[n] = label;
            }
        }
        Ok(labels)
    }

    /// The names that are shown in stage 2: as many of the most frequent ones as there is room for.
    fn shown<'n>(&self, names: impl Iterator<Item = &'n str>) -> BTreeSet<&'n str> {
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for name in names {
            *counts.entry(name).or_default() += 1;
        }
        let mut order: Vec<&str> = counts.keys().copied().collect();
        order.sort_by_key(|name| std::cmp::Reverse(counts[name]));
        let mut room = self.shown_characters as usize;
        let fits = |name: &&str| {
            let left = room.checked_sub(name.chars().count());
            room = left.unwrap_or(room);
            left.is_some()
        };
        order.into_iter().filter(fits).collect()
    }

    /// Stage 2: categories with distinct names, at least one.
    fn categories(
        &self,
        names: &BTreeSet<&str>,
        teacher: &mut dyn Teacher,
    ) -> Result<Vec<Category>, PortError> {
        let values = json!({"topic": self.topic, "student": self.student, "categories": self.categories,
                            "skills": names});
        let prompt = if self.short { "aggregate_short" } else { "aggregate" };
        let schema = (!self.short).then(|| aggregate_schema(self.categories, names.len()));
        for attempt in 0..ATTEMPTS {
            let question = question_of(prompt, &values, schema.clone(), (attempt, 8192), teacher)?;
            let read = |_: usize, text: &str| {
                if self.short { reading::lines(text) } else { reading::categories(text) }
            };
            if let Some(Some(categories)) = ask_once(teacher, vec![question], read)?.pop() {
                return Ok(categories);
            }
        }
        Err(PortError::fatal(format!(
            "the teacher did not group {} skills into categories in {ATTEMPTS} attempts; use a more capable \
             one, or write the skills down (`skills.kind = \"written\"`)",
            names.len()
        )))
    }

    /// Stage 3 for questions whose label stands in no category: the teacher chooses. A name that is not in the
    /// list is shown to it as refused, three times; then the question stays without a category.
    fn choose<'c>(
        &self,
        instances: &[&TaskInstance],
        categories: &'c [Category],
        teacher: &mut dyn Teacher,
    ) -> Result<Vec<Option<&'c Category>>, PortError> {
        let names: Vec<&str> = categories.iter().map(|c| c.descriptive_name.as_str()).collect();
        let mut chosen: Vec<Option<&Category>> = vec![None; instances.len()];
        let mut refused: Vec<Vec<String>> = vec![Vec::new(); instances.len()];
        for attempt in 0..=ATTEMPTS {
            let open: Vec<usize> = (0..instances.len()).filter(|&n| chosen[n].is_none()).collect();
            let ask = |&n: &usize| {
                let question = instances[n].content.question();
                let values = json!({"topic": self.topic, "question": question, "skills": names,
                                    "refused": refused[n]});
                question_of("choose", &values, Some(named_schema(Some(&names))), (attempt, 256), teacher)
            };
            let questions: Vec<Question> = open.iter().map(ask).collect::<Result<_, _>>()?;
            let answers = ask_once(teacher, questions, |n, text| {
                let choice = reading::choice(text, &names);
                if let Err(reading::Refused { name: Some(name), .. }) = &choice {
                    refused[open[n]].push(name.clone());
                }
                choice.map_err(|refused| refused.reason)
            })?;
            for (&n, place) in open.iter().zip(answers) {
                chosen[n] = place.map(|place| &categories[place]);
            }
        }
        Ok(chosen)
    }
}

/// The most likely answer first; what has to be asked again is drawn.
fn question_of(
    prompt: &str,
    values: &Value,
    schema: Option<Value>,
    (attempt, max_tokens): (u32, u32),
    teacher: &dyn Teacher,
) -> Result<Question, PortError> {
    let rendered = teacher.render(prompt, values)?;
    let sampling = match attempt {
        0 => Sampling::Greedy,
        n => {
            let seed = hash_text(&format!("{n}/{}", rendered.text));
            Sampling::drawn(0.7, 0.95, seed)
        }
    };
    let request = ChatRequest { schema, ..ChatRequest::text(rendered.text, sampling, max_tokens) };
    Ok(Question { prompt: rendered.name, allocation: None, request })
}

fn named_schema(names: Option<&[&str]>) -> Value {
    // Every text is bounded: a weak model would write one for ever.
    let text = json!({"type": "string", "minLength": 1, "maxLength": 80});
    let name = names.map_or_else(|| text.clone(), |names| json!({"enum": names}));
    json!({
        "type": "object",
        "properties": {"reason": {"type": "string", "maxLength": 400}, "name": name},
        "required": ["reason", "name"],
        "additionalProperties": false,
    })
}

/// No more categories than names, and no more names in one: a weak model would write them for ever.
fn aggregate_schema(least: u32, names: usize) -> Value {
    let most = names.max(1);
    let text = json!({"type": "string", "minLength": 1, "maxLength": 80});
    json!({
        "type": "object",
        "properties": {"categories": {
            "type": "array",
            "minItems": most.min(least.max(1) as usize),
            "maxItems": most,
            "items": {
                "type": "object",
                "properties": {
                    "descriptive_name": text,
                    "skills": {"type": "array", "minItems": 1, "maxItems": most, "items": text},
                },
                "required": ["descriptive_name", "skills"],
                "additionalProperties": false,
            },
        }},
        "required": ["categories"],
        "additionalProperties": false,
    })
}
