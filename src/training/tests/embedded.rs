//! The models that ship: their files belong together and they know what their recipes say they know.

use crate::prompts::{PromptSet, Prompts};
use crate::training::pretrain::{answered, hex};
use crate::training::{ChatFormat, GreedyDecoder, Lessons, PretrainRecipe, RECIPES, score};
use crate::worlds::arithmetic::{Skill, Split, evaluation_set, read};
use serde_json::json;
use std::path::PathBuf;

fn folder_of(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/models/embedded").join(name)
}

fn folder() -> PathBuf {
    folder_of("student")
}

#[test]
fn the_shipped_models_are_their_recipes_own() {
    for name in RECIPES {
        let folder = folder_of(name);
        let identity: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.join("recipe.json")).unwrap()).unwrap();
        let recipe: PretrainRecipe = serde_json::from_value(identity["recipe"].clone()).unwrap();
        assert_eq!(Some(&recipe), PretrainRecipe::named(name).as_ref(), "{name}");
        assert_eq!(identity["recipe_sha256"], recipe.sha256(), "{name}");
        let weights = std::fs::read(folder.join("model.safetensors")).unwrap();
        assert_eq!(identity["weights_sha256"], hex(&weights), "{name}");
        if let Some(start) = recipe.start_sha256 {
            assert_eq!(start, hex(&std::fs::read(folder_of("student").join("model.safetensors")).unwrap()));
        }
    }
}

/// Exercises that a teacher writes for every subskill, drawn by our own decoder.
fn written(teacher: &str, each: usize) -> Vec<(Skill, String)> {
    let (format, decoder) = (
        ChatFormat::load(&folder_of(teacher)).unwrap(),
        GreedyDecoder::load(&folder_of(teacher), None).unwrap(),
    );
    let prompts = Prompts::of(PromptSet::Compact);
    let asked: Vec<(Skill, String)> = Skill::ALL
        .into_iter()
        .flat_map(|skill| skill.subskills().iter().map(move |name| (skill, *name)))
        .map(|(skill, name)| {
            let values = json!({"skill": skill.name(), "subskill": name, "shown": []});
            (skill, prompts.render("mathematics", &values).unwrap().text)
        })
        .flat_map(|one| std::iter::repeat_n(one, each))
        .collect();
    let tokens: Vec<Vec<u32>> = asked.iter().map(|(_, text)| format.encode_prompt(text).unwrap()).collect();
    let answers = decoder.draw(&tokens, format.ends(), 256, (0.8, 1));
    asked
        .into_iter()
        .zip(answers)
        .map(|((skill, _), answer)| (skill, format.decode(&answer).unwrap()))
        .collect()
}

/// How many of them are JSON in the asked form, of the asked skill, and right.
fn judged(answers: &[(Skill, String)]) -> [usize; 3] {
    let mut counts = [0; 3];
    for (skill, answer) in answers {
        let Ok(value) = serde_json::from_str::<serde_json::Value>(answer) else { continue };
        let field = |name: &str| value["data"][0][name].as_str().map(str::to_owned);
        let [Some(question), Some(_), Some(claimed)] = ["question", "reasoning", "answer"].map(field) else {
            continue;
        };
        counts[0] += 1;
        let Some(reading) = read(&question) else { continue };
        counts[1] += usize::from(reading.skill == *skill);
        counts[2] += usize::from(reading.answer == claimed);
    }
    counts
}

#[test]
fn the_shipped_teachers_write_exercises_and_the_weak_one_more_wrong_ones() {
    let [better, weaker] = ["teacher", "weak-teacher"].map(|name| judged(&written(name, 4)));
    let asked = 4 * Skill::ALL.iter().map(|skill| skill.subskills().len()).sum::<usize>();
    assert!(
        better[0] * 100 >= asked * 97 && weaker[0] * 100 >= asked * 90,
        "{better:?} {weaker:?} of {asked}"
    );
    assert!(better[1] * 100 >= asked * 90, "{better:?} of {asked}");
    assert!(better[2] > weaker[2] + asked / 20, "{better:?} {weaker:?} of {asked}");
}

#[test]
fn a_teacher_s_lessons_hold_no_held_out_numbers_and_answers_in_the_asked_form() {
    let recipe = PretrainRecipe::named("teacher").unwrap();
    let prompts = ["exercise for ", "exercise like: ", "solve: ", "subskills of "];
    let mut counts = [0; 5];
    for index in 0..2000 {
        let lesson = recipe.lesson(index).unwrap();
        let kind = prompts.iter().position(|start| lesson.prompt.starts_with(start)).unwrap_or(4);
        counts[kind] += 1;
        let answer: serde_json::Value = serde_json::from_str(&lesson.response).unwrap();
        let question = match (kind, lesson.prompt.split_once(": ")) {
            (2, Some((_, question))) => question.to_owned(),
            (3, _) => {
                assert!(!answer["subskills"].as_array().unwrap().is_empty());
                continue;
            }
            _ => answer["data"][0]["question"].as_str().unwrap().to_owned(),
        };
        let solution = if kind == 2 { &answer } else { &answer["data"][0] };
        let reading = read(&question).unwrap();
        assert_eq!(solution["answer"], reading.answer, "{lesson:?}");
        assert!(matches!(Split::of_key(&reading.key), Split::Pretrain | Split::Pool), "{lesson:?}");
        if let (1, Some((_, shown))) = (kind, lesson.prompt.split_once(": ")) {
            let shown = read(shown).unwrap();
            assert_eq!((shown.skill, shown.subskill), (reading.skill, reading.subskill));
        }
    }
    // Half and eight in a hundred are asked for by name, and so on.
    assert!((1060..1260).contains(&counts[0]) && (380..500).contains(&counts[1]), "{counts:?}");
    assert!((240..360).contains(&counts[2]) && counts[3] > 20 && counts[4] > 30, "{counts:?}");
}

#[test]
fn the_shipped_student_is_strong_and_weak_where_it_should_be() {
    let problems: Vec<_> = evaluation_set(Split::Validation, 10);
    let right = score(&folder(), None, &problems).unwrap();
    let of = |strong: bool| {
        let members = problems.iter().zip(&right).filter(|(problem, _)| problem.skill.is_strong() == strong);
        members.filter(|(_, right)| **right).count()
    };
    assert!(of(true) >= 50, "{} of 60 in strong skills", of(true));
    assert!((5..=30).contains(&of(false)), "{} of 60 in weak skills", of(false));
}

#[test]
fn pre_training_never_sees_another_split() {
    let recipe = PretrainRecipe::default();
    let Lessons::Answering { weak_shares } = &recipe.lessons else { panic!() };
    let mut weak = 0;
    for index in 0..4_000 {
        let problem = answered(weak_shares, recipe.seed, index).unwrap();
        assert_eq!(Split::of_key(&problem.key), Split::Pretrain);
        weak += usize::from(!problem.skill.is_strong());
    }
    assert!((90..170).contains(&weak), "six skills at 3.2 % together of 4,000: {weak}");
}

#[test]
fn every_problem_fits_the_student_and_survives_its_tokenizer() {
    let format = ChatFormat::load(&folder()).unwrap();
    for skill in Skill::ALL {
        for problem in evaluation_set(Split::Test, 5).into_iter().filter(|problem| problem.skill == skill) {
            let encoded = format.encode(&problem.question, &problem.response).unwrap();
            assert!(encoded.tokens.len() <= 128, "{skill}: {} tokens", encoded.tokens.len());
            let response = &encoded.tokens[encoded.prompt..];
            assert_eq!(format.decode(response).unwrap(), problem.response);
        }
    }
}
