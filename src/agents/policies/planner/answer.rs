//! Reading the planner's answer.

use serde::Deserialize;

use crate::agents::policies::exploit_to;
use crate::gym::plan::Action;
use crate::gym::ports::SkillState;
use crate::gym::skill_forest::Subskill;
use crate::prompts::reply;

/// What an action may not pass.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Subskills of an explore action.
    pub(super) new_subskills: u32,
    /// Data of a subskill.
    pub(super) data: u32,
}

#[derive(Debug, Deserialize)]
struct Answer {
    action_type: Kind,
    num_new_skills: Option<i64>,
    data_allocation_for_new_skills: Option<i64>,
    data_allocation_delta: Option<Vec<Change>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Explore,
    Exploit,
}

#[derive(Debug, Deserialize)]
struct Change {
    subskill: String,
    delta: i64,
}

/// The action of an answer. Numbers above the limits are cut to them, and so are allocations below 0; a
/// subskill that is not named gets nothing, a name that is not known is passed over.
pub(super) fn read(text: &str, state: &SkillState<'_>, limits: Limits) -> Result<Action, String> {
    let answer: Answer = reply::object(text)?;
    match answer.action_type {
        Kind::Explore => {
            let missing = "an explore action needs num_new_skills and data_allocation_for_new_skills";
            let (Some(count), Some(data)) = (answer.num_new_skills, answer.data_allocation_for_new_skills)
            else {
                return Err(missing.to_owned());
            };
            if count < 1 || data < 0 {
                return Err(format!("it explores {count} subskills with {data} data"));
            }
            if state.unexplored == 0 {
                return Err("no subskill is left to explore".to_owned());
            }
            Ok(Action::Explore {
                new_subskills: count.min(i64::from(limits.new_subskills)) as u32,
                data_per_subskill: data.min(i64::from(limits.data)) as u32,
            })
        }
        Kind::Exploit => {
            let Some(changes) = answer.data_allocation_delta else {
                return Err("an exploit action needs data_allocation_delta".to_owned());
            };
            let wanted = |subskill: &Subskill| -> u32 {
                let Some(change) = changes.iter().find(|c| c.subskill == subskill.name) else { return 0 };
                let value = i64::from(subskill.allocation).saturating_add(change.delta);
                value.clamp(0, i64::from(limits.data)) as u32
            };
            Ok(exploit_to(state, wanted))
        }
    }
}
