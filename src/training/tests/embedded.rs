//! The student that ships: its files belong together and it knows what its recipe says it knows.

use crate::training::pretrain::hex;
use crate::training::{ChatFormat, PretrainRecipe, score};
use crate::worlds::arithmetic::{Skill, Split, evaluation_set};
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/models/embedded/student")
}

#[test]
fn the_shipped_student_is_the_default_recipe_s() {
    let identity: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder().join("recipe.json")).unwrap()).unwrap();
    let recipe: PretrainRecipe = serde_json::from_value(identity["recipe"].clone()).unwrap();
    assert_eq!(recipe, PretrainRecipe::default());
    assert_eq!(identity["recipe_sha256"], recipe.sha256());
    let weights = std::fs::read(folder().join("model.safetensors")).unwrap();
    assert_eq!(identity["weights_sha256"], hex(&weights));
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
    let mut weak = 0;
    for index in 0..4_000 {
        let problem = recipe.problem(index).unwrap();
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
