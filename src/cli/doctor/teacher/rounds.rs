//! The rounds of questions: one per part of a run that asks a teacher.

use std::sync::Arc;

use serde_json::json;

use super::clerk::Clerk;
use super::sample::Sample;
use crate::agents::engines::{Taught, TaughtSettings};
use crate::agents::policies::{Hypotheses, Planner, View};
use crate::checks::{solve, vote};
use crate::gym::instance::{Domain, Split, TaskInstance};
use crate::gym::plan::{Action, Allocation};
use crate::gym::ports::{
    ChatRequest, Engine, EngineJob, Example, PlanContext, Policy, PortError, Question, Sampling, SkillErrors,
    SkillState, State, SubskillProposal, Task, Teacher,
};
use crate::gym::prediction::Prediction;
use crate::gym::skill_forest::{SkillExperience, SkillForest, SkillTree, Subskill};
use crate::prompts::asking::ask_once;
use crate::skills::{Discovery, TaughtProposal};
use crate::tasks::numbers;
use crate::tasks::scripted::ScriptedTask;

/// Skills that anybody knows something about, with a subskill each.
const SKILLS: [(&str, &str); 6] = [
    ("Fractions", "adding fractions with different denominators"),
    ("Linear equations", "equations with brackets"),
    ("Percentages", "finding the whole from a part"),
    ("Sequences", "the next number of a sequence"),
    ("Areas", "areas of triangles"),
    ("Averages", "the missing number of an average"),
];

/// Skills of the other domains.
const OTHERS: [(Domain, &str, &str); 3] = [
    (Domain::Programming, "Strings", "palindromes"),
    (Domain::VisualQuestionAnswering, "Counting", "counting objects of one colour"),
    (Domain::ToolUse, "Dates", "the day after a date"),
];

/// Data that every question to an engine asks for.
const DATA: u32 = 2;

/// Asks `answers` questions of every prompt, more where one part of a run needs them.
pub(super) fn all(clerk: &mut Clerk<'_>, answers: u32, seed: u64) -> Result<(), PortError> {
    let sample = Sample::new(answers);
    let errors = sample.errors();
    clerk.errors = errors.iter().map(|error| (error.0.id.clone(), error.clone())).collect();
    discovery(clerk, &sample)?;
    let forest = forest(answers);
    let proposal = TaughtProposal::new("mathematics", seed);
    let wanted: Vec<(&SkillTree, u32)> = forest.trees.iter().map(|tree| (tree, DATA)).collect();
    proposal.propose(&wanted, clerk)?;
    policies(clerk, &forest, &errors, seed)?;
    engines(clerk, answers, &errors, seed)?;
    votes(clerk, &sample, seed)?;
    students(clerk, &sample)
}

/// Labels, categories in both forms, and choices for questions that no label leads to.
fn discovery(clerk: &mut Clerk<'_>, sample: &Sample) -> Result<(), PortError> {
    for short in [false, true] {
        let discovery =
            Discovery { categories: 2, short, assign: [Split::Pool].into(), ..Discovery::default() };
        let asked = clerk.by_prompt().values().map(Vec::len).sum::<usize>();
        let found = discovery.run(sample, clerk).map(drop);
        // Categories that cannot be read end a discovery, and are in the book; a model that fails ends this.
        if clerk.by_prompt().values().map(Vec::len).sum::<usize>() == asked {
            found?;
        }
    }
    Ok(())
}

/// Trees with a subskill and an experience each.
fn forest(answers: u32) -> SkillForest {
    let tree = |(skill, subskill): &(&str, &str)| SkillTree {
        skill: (*skill).to_owned(),
        subskills: vec![Subskill { name: (*subskill).to_owned(), allocation: 20, produced: 18 }],
        history: std::iter::once(SkillExperience {
            iteration: 1,
            action: Action::Explore { new_subskills: 1, data_per_subskill: 20 },
            accuracy_before: 0.25,
            accuracy_after: Some(0.3),
            produced: 18,
        })
        .collect(),
    };
    SkillForest { trees: SKILLS.iter().take(answers as usize).map(tree).collect() }
}

fn weak<'a>(tree: &'a SkillTree, errors: &'a [(TaskInstance, Prediction)]) -> SkillErrors<'a> {
    let example = |(instance, prediction)| Example { instance, prediction: Some(prediction) };
    SkillErrors {
        skill: &tree.skill,
        accuracy: Some(0.3),
        questions: 10,
        examples: errors.iter().map(|(i, p)| example((i, p))).collect(),
        solved: Vec::new(),
        trials: Vec::new(),
    }
}

fn policies(
    clerk: &mut Clerk<'_>,
    forest: &SkillForest,
    errors: &[(TaskInstance, Prediction)],
    seed: u64,
) -> Result<(), PortError> {
    let context = PlanContext { iteration: 2, round: 0, seed };
    let weak = State::SkillList(forest.trees.iter().map(|tree| weak(tree, errors)).collect());
    Hypotheses { hypotheses: DATA, shown: 3, ..Hypotheses::default() }.plan(&weak, context, clerk)?;
    let state = |tree| SkillState { tree, accuracy: 0.3, questions: 10, unexplored: 2 };
    let trees = State::SkillTree(forest.trees.iter().map(state).collect());
    for view in [View::Reward, View::Training] {
        Planner { view, attempts: 2, ..Planner::default() }.plan(&trees, context, clerk)?;
    }
    Ok(())
}

fn engines(
    clerk: &mut Clerk<'_>,
    answers: u32,
    errors: &[(TaskInstance, Prediction)],
    seed: u64,
) -> Result<(), PortError> {
    let mathematics = SKILLS.map(|(skill, subskill)| (Domain::Mathematics, skill, subskill));
    for domain in Domain::ALL {
        let known = mathematics.iter().chain(&OTHERS).filter(|(of, ..)| *of == domain);
        let shown = |n: usize| match domain {
            Domain::Mathematics => errors.iter().skip(n).take(1).map(|(i, _)| i.id.clone()).collect(),
            _ => Vec::new(),
        };
        let allocations: Vec<Allocation> = known
            .cycle()
            .take(answers as usize)
            .enumerate()
            .map(|(n, (_, skill, subskill))| Allocation {
                skill: (*skill).to_owned(),
                subskill: (*subskill).to_owned(),
                count: DATA,
                shown: shown(n),
            })
            .collect();
        let task = ScriptedTask::new(domain, 1, 1, 64).map_err(|e| PortError::fatal(e.to_string()))?;
        let settings = TaughtSettings { max_tokens: 2048, ..TaughtSettings::default() };
        let job = EngineJob { seed, iteration: 1, round: 0, allocations: &allocations };
        Taught::new(settings, Arc::new(task)).generate(&job, clerk)?;
    }
    Ok(())
}

fn votes(clerk: &mut Clerk<'_>, sample: &Sample, seed: u64) -> Result<(), PortError> {
    let instances = sample.instances(Split::Validation);
    let questions: Result<Vec<Question>, PortError> =
        instances.iter().map(|i| solve(i.content.question(), None, (seed, 0), clerk)).collect();
    ask_once(clerk, questions?, |_, text| vote(text, sample.domain()))?;
    Ok(())
}

/// The prompts of the student, which a teacher answers as well. An answer without a number is malformed.
fn students(clerk: &mut Clerk<'_>, sample: &Sample) -> Result<(), PortError> {
    let pool = sample.instances(Split::Pool);
    let parts = |instance: &TaskInstance| {
        json!({"question": instance.content.question(), "options": [],
               "response": sample.response("", &instance.content.truth())})
    };
    for (prompt, shots) in [("student_zero_shot", 0), ("student_few_shot", 2)] {
        let shots: Vec<_> = pool.iter().take(shots).map(parts).collect();
        let question = |instance: &TaskInstance| -> Result<Question, PortError> {
            let mut values = parts(instance);
            values["shots"] = json!(shots);
            values["answer"] = json!("number");
            let rendered = clerk.render(prompt, &values)?;
            let request = ChatRequest::text(rendered.text, Sampling::Greedy, 400);
            Ok(Question { prompt: rendered.name, allocation: None, request })
        };
        let instances = sample.instances(Split::Validation);
        let questions: Result<Vec<Question>, PortError> = instances.iter().map(question).collect();
        ask_once(clerk, questions?, |n, text| {
            let truth = instances[n].content.truth();
            numbers::score(&truth, text).0.map(drop).ok_or_else(|| "no number in it".to_owned())
        })?;
    }
    Ok(())
}
