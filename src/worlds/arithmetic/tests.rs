use super::{
    Problem, Reading, Skill, Split, drafts, evaluation_set, extract_answer, operand_key, read, sample,
};
use crate::gym::rng::CounterRng;
use std::collections::{BTreeMap, HashMap, HashSet};

fn numbers(text: &str) -> Vec<i64> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// Every sentence `l=r` of a working must hold; `l<r` likewise.
fn working_holds(working: &str) -> bool {
    working.split(". ").map(|sentence| sentence.trim_end_matches('.')).all(|sentence| {
        // Columns may be announced: `48-17: 8-7=1`.
        let sentence = sentence.split_once(": ").map_or(sentence, |(_, column)| column);
        if let Some((low, high)) = sentence.split_once('<') {
            return low.parse::<i64>().unwrap() < high.parse::<i64>().unwrap();
        }
        let (left, right) = sentence.split_once('=').unwrap();
        let n = numbers(left);
        let value = if left.contains('*') {
            n[0] * n[1]
        } else if left.contains('/') {
            n[0] / n[1]
        } else if left.contains('-') {
            n[0] - n[1]
        } else {
            n.iter().sum()
        };
        value == right.parse::<i64>().unwrap()
    })
}

fn check(problem: &Problem) {
    let Problem { skill, subskill, key, question, response, answer } = problem;
    let reading = Reading { skill: *skill, subskill, key: key.clone(), answer: answer.clone() };
    assert_eq!(read(question), Some(reading), "{question}");
    assert_eq!(extract_answer(response), Some(answer.as_str()));
    assert!(working_holds(response.split(" #### ").next().unwrap()), "{question} -> {response}");
    assert!(skill.subskills().contains(subskill));
    assert_eq!(key, &operand_key(*skill, question));
}

#[test]
fn answers_and_workings_are_right() {
    for skill in Skill::ALL {
        for split in Split::ALL {
            for index in 0..400 {
                let problem = sample(skill, None, split, 11, index).unwrap();
                check(&problem);
                assert_eq!(Split::of_key(&problem.key), split);
            }
        }
    }
}

#[test]
fn questions_outside_the_world_are_not_read() {
    for question in [
        "",
        "What is 3 - 7?",
        "Which is larger, 5 or 5?",
        "What number comes next: 2, 5, 9, 10?",
        "What is the average of 1, 2 and 5?",
        "What is 1234 + 1?",
        "What is 012 + 1?",
        "What is 7 divided by 0?",
        "What is 3 + 4",
        "What is 3 + 4?!",
        "Anna has 3 pens. Ben gets 4 more. How many pens does Anna have now?",
        "Anna has 3 pens and gives away 2 of them. How many books are left?",
        "What is \u{663} + 1?",
    ] {
        assert_eq!(read(question), None, "{question}");
    }
}

#[test]
fn every_subskill_can_be_drawn_from_every_split() {
    for skill in Skill::ALL {
        for subskill in skill.subskills() {
            for split in Split::ALL {
                let problem = sample(skill, Some(subskill), split, 3, 0).unwrap();
                assert_eq!((problem.subskill, Split::of_key(&problem.key)), (*subskill, split));
                check(&problem);
            }
        }
    }
    let refused = sample(Skill::Add, Some("hours"), Split::Pool, 0, 0).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the skill `add` has no subskill `hours`; it has no_carry, carry, three_digits"
    );
}

#[test]
fn each_skill_has_two_thousand_keys_and_enough_of_them_held_out() {
    for skill in Skill::ALL {
        let rng = CounterRng::keyed(5, skill.name());
        let mut per_split: BTreeMap<Split, HashSet<String>> = BTreeMap::new();
        for index in 0..30_000 {
            let draft = drafts::draw(skill, &mut rng.child(index));
            let key = operand_key(skill, &draft.question);
            per_split.entry(Split::of_key(&key)).or_default().insert(key);
        }
        let total: usize = per_split.values().map(HashSet::len).sum();
        assert!(total >= 2_000, "{skill}: {total} keys");
        assert!(per_split[&Split::Test].len() >= 200, "{skill}: {} test", per_split[&Split::Test].len());
        assert!(per_split[&Split::Validation].len() >= 100, "{skill}");
        assert!(per_split[&Split::Pool].len() >= 500, "{skill}");
    }
}

#[test]
fn evaluation_sets_are_full_distinct_and_disjoint() {
    let validation = evaluation_set(Split::Validation, 40);
    let test = evaluation_set(Split::Test, 150);
    assert_eq!((validation.len(), test.len()), (480, 1800));
    let mut counts: HashMap<Skill, usize> = HashMap::new();
    for problem in &test {
        *counts.entry(problem.skill).or_default() += 1;
    }
    assert!(Skill::ALL.iter().all(|skill| counts[skill] == 150));
    let keys: HashSet<&str> = test.iter().chain(&validation).map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys.len(), 2280, "no key twice, none in both");
    assert_eq!(evaluation_set(Split::Test, 20)[..20], test[..20]);
}

#[test]
fn a_problem_is_a_function_of_its_coordinates() {
    let one = sample(Skill::Avg, None, Split::Pool, 7, 123).unwrap();
    assert_eq!(one, sample(Skill::Avg, None, Split::Pool, 7, 123).unwrap());
    assert_ne!(one, sample(Skill::Avg, None, Split::Pool, 8, 123).unwrap());
    assert_ne!(one, sample(Skill::Avg, None, Split::Pool, 7, 124).unwrap());
}

#[test]
fn keys_ignore_order_and_wording() {
    let key = operand_key(Skill::Sub, "Subtract 48 from 82.");
    assert_eq!(key, operand_key(Skill::Sub, "What is 82 - 48?"));
    assert_eq!(key, "sub:48,82");
    assert_eq!(operand_key(Skill::Add, "Add 007 and 0."), "add:0,7");
}

#[test]
fn the_embedded_world_does_not_drift() {
    // The shipped student was made from these draws: a change here means a new student.
    let problem = sample(Skill::Div, None, Split::Pretrain, 1, 0).unwrap();
    insta::assert_snapshot!(
        format!("{} | {} | {}", problem.key, problem.question, problem.response),
        @"div:5,470 | Calculate 470 / 5 with remainder. | 47/5=9. 9*5=45. 47-45=2. 20/5=4. 4*5=20. 20-20=0. #### 94 remainder 0"
    );
}
