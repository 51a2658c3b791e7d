//! The environment from the library: a skill-tree episode on a scripted world, without a runner or a file
//! but the checkpoints. The README shows this file.

use std::error::Error;
use std::sync::Arc;

use dataenvgym::agents::engines::{Taught, TaughtSettings};
use dataenvgym::agents::policies::{Explore, Fixed};
use dataenvgym::checks::CheckSettings;
use dataenvgym::environments::{Environment, Models, Scene, Stays, TeacherSource};
use dataenvgym::gym::budget::Budget;
use dataenvgym::gym::episode::EpisodeRules;
use dataenvgym::gym::instance::{Domain, Split};
use dataenvgym::gym::ports::{Checkpoint, Task, TrainingSettings};
use dataenvgym::models::scripted::{Script, ScriptedStudent, ScriptedTeacher, ScriptedTrainer};
use dataenvgym::skills::ListProposal;
use dataenvgym::tasks::scripted::ScriptedTask;
use dataenvgym::worlds::scripted::subskills;

#[test]
fn an_episode_in_memory() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let task: Arc<dyn Task> = Arc::new(ScriptedTask::new(Domain::Mathematics, 4, 20, 64)?);
    // Any model folder does; a scripted student is untrained where its file is missing.
    let base = Checkpoint::Full { folder: folder.path().to_owned() };
    let scene = Scene {
        policy: Arc::new(Fixed { explore: Explore { new_subskills: 1, data_per_subskill: 30 } }),
        proposal: Arc::new(ListProposal::new(task.skills().into_iter().map(|s| (s.clone(), subskills(&s))))),
        engine: Arc::new(Taught::new(TaughtSettings::default(), task.clone())),
        teacher: Some(TeacherSource { name: "scripted".into(), checkpoint: base.clone() }),
        hidden: false,
        prompts: Arc::default(),
        verifier: None,
        discovery: None,
        checks: CheckSettings::default(),
        base,
        training: TrainingSettings::default(),
        continues: false,
        stays: Stays::default(),
        seed: 1,
        checkpoints: folder.path().join("checkpoints"),
        task: task.clone(),
    };
    let answers = [Split::Validation, Split::Test].into_iter().flat_map(|split| task.instances(split));
    let answers = answers.map(|instance| (task.prompt(instance), task.solution(instance))).collect();
    let mut student = ScriptedStudent::knowing(Script::default(), answers);
    let (mut trainer, mut teacher) = (ScriptedTrainer::new(Script::default()), ScriptedTeacher::default());
    let models = Models { teacher: Some(&mut teacher), ..Models::new(&mut student, &mut trainer) };
    let rules =
        EpisodeRules { budget: Budget { iterations: 3, ..Budget::default() }, ..EpisodeRules::default() };

    let mut environment = Environment::new(rules, scene, models);
    let before = environment.reset()?.overall.mean;
    while !environment.episode().finished() && environment.episode().selected.is_none() {
        println!("validation accuracy {:.3}", environment.step()?.overall.mean);
    }
    assert!(environment.episode().latest_report().is_some_and(|report| report.overall.mean > before));
    Ok(())
}
