//! Selects training data from a task's pool instead of writing them.

use std::collections::HashSet;
use std::sync::Arc;

use super::{provenance, target};
use crate::gym::datum::TrainingDatum;
use crate::gym::instance::{Content, Split, TaskInstance};
use crate::gym::ports::{Engine, EngineAids, EngineJob, PortError, Task};
use crate::gym::report::UNSORTED;
use crate::gym::rng::CounterRng;
use crate::tasks::WHOLE_SKILL;

/// Takes pool instances of the asked skill and subskill in an order drawn from the run's seed, each at most
/// once per run. When the pool is used up it delivers fewer data than asked for.
pub struct Selection {
    task: Arc<dyn Task>,
}

impl Selection {
    /// Selects from the pool of `task`, whose instances must carry solutions.
    pub fn new(task: Arc<dyn Task>) -> Self {
        Self { task }
    }
}

impl Engine for Selection {
    fn name(&self) -> &'static str {
        "selection"
    }

    fn generate(
        &self,
        job: &EngineJob<'_>,
        aids: &mut dyn EngineAids,
    ) -> Result<Vec<TrainingDatum>, PortError> {
        let pool = self.task.instances(Split::Pool);
        let mut order: Vec<&TaskInstance> = pool.iter().filter(|i| !aids.used(&i.id)).collect();
        order.sort_by_cached_key(|i| (CounterRng::keyed(job.seed, &i.id).bits(), i.id.clone()));
        let mut taken: HashSet<&str> = HashSet::new();
        let mut data = Vec::new();
        for (place, allocation) in job.allocations.iter().enumerate() {
            for draw in 0..u64::from(allocation.count) {
                let (skill, subskill) = target(allocation, aids, draw);
                let free = |i: &&&TaskInstance| !taken.contains(i.id.as_str());
                let fits = |i: &&&TaskInstance| fits(i, skill.as_deref(), subskill.as_deref());
                let Some(instance) = order.iter().filter(free).find(fits) else { continue };
                taken.insert(&instance.id);
                data.push(self.datum(instance, job, place, draw)?);
            }
            aids.wrote(data.len() as u64);
        }
        Ok(data)
    }
}

/// Whether an instance is of the asked skill and subskill. One without a skill is unsorted, and the whole of a
/// skill has every instance of it.
fn fits(instance: &TaskInstance, skill: Option<&str>, subskill: Option<&str>) -> bool {
    let own = |name: &Option<String>, wanted: &str, other: &str| name.as_deref().unwrap_or(other) == wanted;
    skill.is_none_or(|wanted| own(&instance.skill, wanted, UNSORTED))
        && subskill.is_none_or(|wanted| wanted == WHOLE_SKILL || own(&instance.subskill, wanted, WHOLE_SKILL))
}

impl Selection {
    fn datum(
        &self,
        instance: &TaskInstance,
        job: &EngineJob<'_>,
        allocation: usize,
        draw: u64,
    ) -> Result<TrainingDatum, PortError> {
        let Content::Mathematics { answer, solution: Some(solution), .. } = &instance.content else {
            let id = &instance.id;
            return Err(PortError::fatal(format!("pool instance `{id}` has no solution to train on")));
        };
        let wanted = &job.allocations[allocation];
        let named = |wanted: &str, gold: &Option<String>| match wanted {
            "" => gold.clone().unwrap_or_default(),
            name => name.to_owned(),
        };
        let from = provenance(self.name(), job, allocation, draw);
        let (instruction, question) = (self.task.prompt(instance), instance.content.question());
        Ok(TrainingDatum {
            id: String::new(),
            question: (instruction != question).then(|| question.to_owned()),
            instruction,
            response: solution.clone(),
            answer: Some(answer.clone()),
            rejected_response: None,
            images: Vec::new(),
            skill: named(&wanted.skill, &instance.skill),
            subskill: named(&wanted.subskill, &instance.subskill),
            key: instance.key.clone(),
            provenance: crate::gym::datum::Provenance { source_instance: Some(instance.id.clone()), ..from },
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::agents::engines::taught::tests::NoAids;
    use crate::checks::Form;
    use crate::gym::plan::Allocation;
    use crate::gym::ports::Check;
    use crate::tasks::benchmark;
    use crate::tasks::jsonl::{JsonlTask, Layout};
    use crate::tasks::math::Scoring;
    use crate::tasks::several::Several;

    #[test]
    fn questions_without_a_skill_are_unsorted_and_a_whole_skill_has_all_of_its_questions() {
        let instance = |skill: Option<&str>, subskill: Option<&str>| TaskInstance {
            skill: skill.map(str::to_owned),
            subskill: subskill.map(str::to_owned),
            ..crate::agents::policies::tests::instances("s", 1).remove(0)
        };
        let bare = instance(None, None);
        assert!(fits(&bare, Some(UNSORTED), Some(WHOLE_SKILL)) && fits(&bare, None, None));
        assert!(!fits(&bare, Some("s"), None) && !fits(&bare, None, Some("part")));
        let part = instance(Some("s"), Some("part"));
        assert!(fits(&part, Some("s"), Some(WHOLE_SKILL)) && fits(&part, Some("s"), Some("part")));
        assert!(!fits(&part, Some("s"), Some("other")) && !fits(&part, Some(UNSORTED), None));
    }

    fn gsm8k(folder: &Path) -> Arc<dyn Task> {
        let path = folder.join("train.jsonl");
        let line = |n: u32| {
            format!(r#"{{"question": "Ann has {n} and {} and 7 cups?", "answer": "So.\n#### {n}"}}"#, n + 1)
        };
        std::fs::write(&path, (0..60).map(line).collect::<Vec<_>>().join("\n")).unwrap();
        let settings = benchmark::Settings {
            source: benchmark::Source::Gsm8k,
            path,
            test: None,
            shares: [0.5, 0.25, 0.25],
            splits: ("val_balanced_subset_10".parse().unwrap(), "test_all".parse().unwrap()),
            most: [0, 0],
            style: benchmark::Style::ZeroShot,
            scoring: Scoring::Strict,
            max_tokens: 64,
        };
        Arc::new(benchmark::Benchmark::read(&settings, Arc::default()).unwrap())
    }

    fn selected(task: &Arc<dyn Task>, allocations: &[(&str, &str, u32)]) -> Vec<TrainingDatum> {
        let named = |&(skill, subskill, count): &(&str, &str, u32)| Allocation {
            skill: skill.to_owned(),
            subskill: subskill.to_owned(),
            count,
            shown: Vec::new(),
        };
        let allocations: Vec<Allocation> = allocations.iter().map(named).collect();
        let job = EngineJob { seed: 3, iteration: 1, round: 0, allocations: &allocations };
        Selection::new(Arc::clone(task)).generate(&job, &mut NoAids).unwrap()
    }

    /// GSM8K names no skills, and policies ask for its questions as a whole.
    #[test]
    fn a_benchmark_without_skills_delivers_what_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let task = gsm8k(folder.path());
        let data = selected(&task, &[(UNSORTED, WHOLE_SKILL, 3), (UNSORTED, "", 2), ("sums", "", 3)]);
        let places: Vec<u32> = data.iter().map(|datum| datum.provenance.allocation).collect();
        assert_eq!(places, [0, 0, 0, 1, 1]);
        assert!(data.iter().all(|datum| datum.skill == UNSORTED));
    }

    #[test]
    fn what_is_selected_of_several_tasks_is_judged_by_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("halves.jsonl");
        let line = |n: u32| {
            let half = format!(r"\\frac{{{n}}}{{2}}");
            format!(
                r#"{{"q": "Half of {n} and {}?", "a": "{half}", "r": "It is $\\boxed{{{half}}}$."}}"#,
                100 + n
            )
        };
        std::fs::write(&path, (1..40).step_by(2).map(line).collect::<Vec<_>>().join("\n")).unwrap();
        let layout = Layout {
            name: "halves".into(),
            id: None,
            question: vec!["q".into()],
            answer: "a".into(),
            skill: None,
            rename_skills: BTreeMap::new(),
            response: "{r}".into(),
            shares: [0.6, 0.2, 0.2],
            max_tokens: 64,
            scoring: Some(Scoring::Strict),
            subject: None,
            level: None,
            style: benchmark::Style::Bare,
        };
        let tasks: Vec<Arc<dyn Task>> =
            vec![gsm8k(folder.path()), Arc::new(JsonlTask::read(&path, layout, Arc::default()).unwrap())];
        let task: Arc<dyn Task> = Arc::new(Several::new(tasks).unwrap());
        let data = selected(&task, &[("", "", 1000)]);
        assert_eq!(data.len(), task.instances(Split::Pool).len());
        let fractions =
            data.iter().filter(|datum| datum.answer.as_deref().is_some_and(|a| a.contains("frac")));
        assert!(fractions.count() > 3);
        let mut form = Form::new(task.as_ref());
        for datum in &data {
            let result = form.check(datum).unwrap();
            assert!(result.passed, "{}: {datum:?}", result.reason);
        }
    }
}
