//! Its records of instances, answers and reports, as it writes them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::path::Path;

use serde::Serialize;

use super::{Writer, names, plain, whole, word};
use crate::exchange::error::ExchangeError;
use crate::exchange::folder::put;
use crate::exchange::json;
use crate::exchange::record::Record;
use crate::exchange::reference::completed::{answer_line, boxed};
use crate::gym::instance::{Content, Split, TaskInstance, ToolCall};
use crate::gym::prediction::Prediction;
use crate::gym::report::{Report, SkillReport, Slice};
use crate::gym::ulid::Ulid;
use crate::skills::{Category, CategoryOrName, DiscoveredSkills, Label, LabelledInstruction};

/// A label, or several.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum TheirLabel<'a> {
    One(String),
    Several(&'a [String]),
}

/// An instance of any of its types.
#[derive(Debug, Serialize)]
struct TheirInstance<'a> {
    task_name: &'a str,
    instance_id: &'a str,
    instruction: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ground_truth_label: Option<TheirLabel<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    solution: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    starter_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vqa_task_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_choices: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_path: Option<String>,
}

impl<'a> TheirInstance<'a> {
    fn new(instance: &'a TaskInstance) -> Self {
        let blank = Self {
            task_name: &instance.task,
            instance_id: own_id(instance),
            instruction: instance.content.question().to_owned(),
            ground_truth_label: None,
            solution: None,
            starter_code: None,
            vqa_task_type: None,
            answer_choices: None,
            image_path: None,
        };
        match &instance.content {
            Content::Mathematics { question, options, answer, solution } => Self {
                // It has no options of its own: they are part of what is asked.
                instruction: std::iter::once(question).chain(options).cloned().collect::<Vec<_>>().join("\n"),
                ground_truth_label: Some(TheirLabel::One(worked(solution.as_deref(), answer))),
                ..blank
            },
            Content::Programming { starter_code, solution, .. } => {
                Self { solution: solution.clone(), starter_code: starter_code.as_deref(), ..blank }
            }
            Content::VisualQuestionAnswering { choices, answers, .. } => Self {
                ground_truth_label: Some(match answers.as_slice() {
                    [answer] => TheirLabel::One(answer.clone()),
                    answers => TheirLabel::Several(answers),
                }),
                vqa_task_type: Some(if choices.is_empty() { "open_ended" } else { "multiple_choice" }),
                answer_choices: Some(choices.as_slice()).filter(|choices| !choices.is_empty()),
                ..blank
            },
            Content::ToolUse { plan, .. } => Self { solution: Some(program(plan)), ..blank },
        }
    }
}

/// The id without the task before it, which our import puts there.
fn own_id(instance: &TaskInstance) -> &str {
    let rest = instance.id.strip_prefix(&instance.task).and_then(|rest| rest.strip_prefix('/'));
    rest.unwrap_or(&instance.id)
}

/// A solution that ends in its canonical answer line.
fn worked(solution: Option<&str>, answer: &str) -> String {
    match solution {
        Some(solution) if boxed(solution) == Some(answer) => solution.to_owned(),
        Some(solution) => format!("{solution}\n{}", answer_line(answer)),
        None => answer_line(answer),
    }
}

/// A plan as the lines of a program.
fn program(plan: &[ToolCall]) -> String {
    let line = |call: &ToolCall| {
        let arguments: Vec<String> =
            call.arguments.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{}({})", call.tool, arguments.join(", "))
    };
    plan.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[derive(Debug, Serialize)]
struct TheirAnswer<'a> {
    ulid: Ulid,
    task_instance: TheirInstance<'a>,
    predictor_response: &'a str,
    was_correct: bool,
}

#[derive(Debug, Serialize)]
struct TheirReport<'a> {
    task_name: &'a str,
    overall_performance: f64,
    slices: Vec<TheirSlice>,
}

/// Accuracies lie in 0..=1, whatever the task is.
#[derive(Debug, Serialize)]
struct TheirSlice {
    slice_name: String,
    slice_relname: String,
    metric_name: &'static str,
    metric_value: f64,
    children: Vec<Self>,
    count: u32,
}

fn slice(
    above: &str,
    name: &str,
    accuracy: crate::gym::statistics::Estimate,
    children: Vec<TheirSlice>,
) -> TheirSlice {
    TheirSlice {
        slice_name: if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") },
        slice_relname: name.to_owned(),
        metric_name: "accuracy",
        metric_value: accuracy.mean,
        children,
        count: accuracy.n,
    }
}

fn slices(report: &Report) -> Vec<TheirSlice> {
    let of_skill = |skill: &SkillReport| {
        let below =
            skill.subskills.iter().map(|(name, accuracy)| slice(&skill.skill, name, *accuracy, Vec::new()));
        slice("", &skill.skill, skill.accuracy, below.collect())
    };
    let of_facet = |part: &Slice| slice(&part.facet, &part.name, part.accuracy, Vec::new());
    report.skills.iter().map(of_skill).chain(report.slices.iter().map(of_facet)).collect()
}

impl Writer<'_> {
    /// Every evaluation of the table of iterations, its reports, the history of them, and what the answers do
    /// not say of their questions: images and skills.
    pub(super) fn answers(&mut self, instances: &[TaskInstance]) -> Result<(), ExchangeError> {
        let by_id: HashMap<(Split, &str), &TaskInstance> =
            instances.iter().map(|instance| ((instance.split, instance.id.as_str()), instance)).collect();
        let (mut evaluated, mut history) =
            (HashSet::new(), String::from("iteration_idx,task_name,overall_performance\n"));
        let rows: Vec<[(Split, bool); 2]> = self
            .episode
            .iterations
            .iter()
            .map(|row| [(Split::Validation, row.validation.is_some()), (Split::Test, row.test.is_some())])
            .collect();
        for (iteration, row) in (0_u32..).zip(rows) {
            for (split, _) in row.into_iter().filter(|(_, done)| *done) {
                evaluated.insert(split);
                let reports = self.evaluation(iteration, split, &by_id)?;
                for (task, accuracy) in reports.into_iter().filter(|_| split == Split::Validation) {
                    let task = task.replace('"', "\"\"");
                    // Writing into a string cannot fail.
                    let _ = writeln!(history, "{iteration},\"{task}\",{accuracy}");
                }
            }
        }
        whole(&self.root.join("performance_history.csv"), &history)?;
        let asked: Vec<&TaskInstance> = instances.iter().filter(|i| evaluated.contains(&i.split)).collect();
        self.skills(&asked)?;
        if self.order.images { self.pictures(&asked) } else { Ok(()) }
    }

    /// Writes one evaluation; accuracies by task, in the order in which tasks first appear.
    fn evaluation(
        &mut self,
        iteration: u32,
        split: Split,
        by_id: &HashMap<(Split, &str), &TaskInstance>,
    ) -> Result<Vec<(String, f64)>, ExchangeError> {
        let Some((answers, reports)) = names(split) else { return Ok(Vec::new()) };
        let folder = self.folder(self.places.evaluation(iteration));
        let mut predictions: Vec<Prediction> = Vec::new();
        self.source.predictions(iteration, split, &mut |_, record| {
            if let Record::Prediction(answered) = record {
                predictions.push(answered.prediction);
            }
            Ok(())
        })?;
        let mut tasks: Vec<(&str, Vec<(&TaskInstance, &Prediction)>)> = Vec::new();
        for (prediction, n) in predictions.iter().zip(0_u32..) {
            let Some(&instance) = by_id.get(&(split, prediction.instance_id.as_str())) else { continue };
            match tasks.iter_mut().find(|(task, _)| *task == instance.task) {
                Some((_, scored)) => scored.push((instance, prediction)),
                None => tasks.push((&instance.task, vec![(instance, prediction)])),
            }
            let key = format!("{}/{}/{}", split.as_str(), instance.task, own_id(instance));
            let line = TheirAnswer {
                ulid: self.source.ulid("completed", iteration, 0, n, &key),
                task_instance: TheirInstance::new(instance),
                predictor_response: &prediction.response,
                was_correct: prediction.correct,
            };
            self.files.line(&folder.join(answers), &line)?;
            self.summary.records += 1;
        }
        let mut accuracies = Vec::new();
        for (task_name, scored) in &tasks {
            let Some(report) = Report::new(iteration, split, scored) else { continue };
            let overall_performance = report.overall.mean;
            let line = TheirReport { task_name, overall_performance, slices: slices(&report) };
            self.files.line(&folder.join(reports), &line)?;
            accuracies.push(((*task_name).to_owned(), overall_performance));
        }
        self.files.close()?;
        Ok(accuracies)
    }

    /// The skills as its discovery writes them: the name that a question was given first is our subskill.
    fn skills(&self, asked: &[&TaskInstance]) -> Result<(), ExchangeError> {
        let mut categories: BTreeMap<&str, Category> = BTreeMap::new();
        let mut file = DiscoveredSkills::default();
        for instance in asked {
            let Some(skill) = instance.skill.as_deref() else { continue };
            let number = categories.len() as i64 + 1;
            let category = categories.entry(skill).or_insert_with(|| Category {
                category_id: number,
                descriptive_name: skill.to_owned(),
                skills: Vec::new(),
            });
            let id = own_id(instance).to_owned();
            if let Some(subskill) = &instance.subskill {
                if !category.skills.contains(subskill) {
                    category.skills.push(subskill.clone());
                }
                file.labeled_instructions.push(LabelledInstruction {
                    instance_id: id.clone(),
                    instruction: instance.content.question().to_owned(),
                    skill: Label { name: subskill.clone(), reason_for_skill: None },
                });
            }
            file.instance_id_to_skill_category.insert(id, CategoryOrName::Name(skill.to_owned()));
        }
        if categories.is_empty() {
            return Ok(());
        }
        for named in file.instance_id_to_skill_category.values_mut() {
            if let CategoryOrName::Name(name) = named
                && let Some(category) = categories.get(name.as_str())
            {
                *named = CategoryOrName::Category(category.clone());
            }
        }
        file.skill_categories = categories.into_values().collect();
        file.skill_categories.sort_by_key(|category| category.category_id);
        whole(&self.root.join("discovered_skills.json"), &json::text(&file)?)
    }

    /// The folders of its serialiser, for questions about images that are kept.
    fn pictures(&mut self, asked: &[&TaskInstance]) -> Result<(), ExchangeError> {
        let mut names: HashSet<String> = HashSet::new();
        for instance in asked {
            let [image] = instance.content.images() else { continue };
            let folder = self.root.join(format!("{}_task_instances", word(instance.split)));
            let id = plain(own_id(instance));
            let mut name = format!("images/{id}.png");
            if !names.insert(format!("{}/{name}", word(instance.split))) {
                name = format!("images/{}.png", plain(&format!("{}/{id}", instance.task)));
            }
            put(&folder.join(Path::new(&name)), &self.source.image(image)?)?;
            let line = TheirInstance { image_path: Some(name), ..TheirInstance::new(instance) };
            self.files.line(&folder.join("records.jsonl"), &line)?;
        }
        self.files.close()
    }
}
