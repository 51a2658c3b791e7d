//! Subskills by a teacher.

use serde_json::json;

use crate::gym::ports::{ChatRequest, PortError, Question, Sampling, SubskillProposal, Teacher};
use crate::gym::report::told;
use crate::gym::rng::CounterRng;
use crate::gym::skill_forest::SkillTree;
use crate::prompts::asking::{Names, ask_names};
use crate::tasks::WHOLE_SKILL;

/// Asks the teacher for new subskills of all trees together, once more for what is missing, and gives up what is missing then. No
/// name comes twice, in whatever spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaughtProposal {
    topic: String,
    seed: u64,
}

impl TaughtProposal {
    /// Subskills within a topic; `seed` is the run's.
    pub fn new(topic: impl Into<String>, seed: u64) -> Self {
        Self { topic: topic.into(), seed }
    }

    fn question(
        &self,
        tree: &SkillTree,
        known: &[String],
        count: usize,
        teacher: &dyn Teacher,
    ) -> Result<Question, PortError> {
        // A placeholder for the whole of a skill says nothing to a teacher, nor does that for no skill.
        let known: Vec<&String> = known.iter().filter(|name| *name != WHOLE_SKILL).collect();
        let values = json!({"topic": self.topic, "skill": told(&tree.skill), "known": known, "count": count});
        let rendered = teacher.render("subskills", &values)?;
        // The same tree is asked about anew in another iteration.
        let item = format!("subskills/{}/{}/{}", tree.skill, tree.history.len(), known.len());
        let seed = CounterRng::keyed(self.seed, &item).bits();
        let sampling = Sampling::drawn(0.7, 0.95, seed);
        let schema = json!({
            "type": "object",
            "properties": {"subskills": {
                "type": "array", "minItems": count, "maxItems": count,
                "items": {"type": "string", "minLength": 1, "maxLength": 80},
            }},
            "required": ["subskills"],
            "additionalProperties": false,
        });
        Ok(Question {
            prompt: rendered.name,
            allocation: None,
            request: ChatRequest { schema: Some(schema), ..ChatRequest::text(rendered.text, sampling, 1024) },
        })
    }
}

impl SubskillProposal for TaughtProposal {
    fn propose(
        &self,
        wanted: &[(&SkillTree, u32)],
        teacher: &mut dyn Teacher,
    ) -> Result<Vec<Vec<String>>, PortError> {
        let of = |(tree, count): &(&SkillTree, u32)| Names {
            known: tree.subskills.iter().map(|s| s.name.clone()).collect(),
            new: Vec::new(),
            count: *count as usize,
        };
        let mut lists: Vec<Names> = wanted.iter().map(of).collect();
        ask_names(teacher, &mut lists, |n, names, teacher| {
            self.question(wanted[n].0, &names.known, names.missing(), teacher)
        })?;
        Ok(lists.into_iter().map(|list| list.new).collect())
    }

    fn remaining(&self, _tree: &SkillTree) -> usize {
        usize::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gym::plan::Action;
    use crate::gym::report::UNSORTED;
    use crate::gym::skill_forest::SkillForest;
    use crate::prompts::tests::recorded;
    use crate::prompts::{PromptSet, Prompts};
    use crate::skills::tests::Heart;

    fn tree() -> SkillTree {
        let mut forest = SkillForest::new(["Algebra"]);
        let explore = Action::Explore { new_subskills: 1, data_per_subskill: 1 };
        forest.apply("Algebra", &explore, &["Lines".into()]).unwrap();
        forest.trees.remove(0)
    }

    #[test]
    fn names_are_unique_cut_and_topped_up_once() {
        let answers = [
            r#"{"subskills": ["lines", "Roots", "roots ", {"name": "Powers"}]}"#,
            r#"{"subskills": ["Systems", "Powers", "Inequalities", "Sums"]}"#,
        ];
        let rule = |n: usize, _: &Question| answers[n.min(1)].to_owned();
        let mut heart = Heart::new(&rule);
        let proposal = TaughtProposal::new("mathematics", 1);
        let names = proposal.propose(&[(&tree(), 4)], &mut heart).unwrap().remove(0);
        assert_eq!(names, ["Roots", "Powers", "Systems", "Inequalities"]);
        let second = &heart.asked[1].request.prompt;
        assert!(second.contains("Name 2 subskills") && second.contains("- Powers"), "{second}");
        assert_eq!(heart.asked.len(), 2);
        let mut deaf = Heart::new(&|_, _| "no".to_owned());
        assert!(proposal.propose(&[(&tree(), 4)], &mut deaf).unwrap()[0].is_empty());
        assert_eq!((deaf.asked.len(), deaf.malformed.len()), (2, 2));
    }

    #[test]
    fn no_placeholder_is_put_to_a_teacher() {
        let mut forest = SkillForest::new([UNSORTED]);
        let explore = Action::Explore { new_subskills: 1, data_per_subskill: 1 };
        forest.apply(UNSORTED, &explore, &[WHOLE_SKILL.into()]).unwrap();
        for set in [PromptSet::Standard, PromptSet::Compact] {
            let rule = |_: usize, _: &Question| r#"{"subskills": ["All", "Roots"]}"#.to_owned();
            let mut heart = Heart::new(&rule);
            heart.prompts = Prompts::of(set);
            let names = TaughtProposal::new("mathematics", 1)
                .propose(&[(&forest.trees[0], 1)], &mut heart)
                .unwrap()
                .remove(0);
            assert_eq!(names, ["Roots"], "the name is taken all the same");
            let asked = &heart.asked[0].request.prompt;
            for empty in [UNSORTED, WHOLE_SKILL, "known already", "\"\"", "of ,"] {
                assert!(!asked.contains(empty), "{empty}: {asked}");
            }
            assert_eq!(asked == "subskills", set == PromptSet::Compact, "{asked}");
        }
    }

    #[test]
    fn the_recorded_answers() {
        for answer in recorded("subskills") {
            let rule = |n: usize, _: &Question| if n == 0 { answer.reply.clone() } else { String::new() };
            let mut heart = Heart::new(&rule);
            let names =
                TaughtProposal::new("mathematics", 1).propose(&[(&tree(), 3)], &mut heart).unwrap().remove(0);
            assert_eq!(names.join(" | "), answer.expected, "{}", answer.name);
        }
    }
}
