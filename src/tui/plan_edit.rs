//! A plan in a person's hands: other numbers of data, or actions in place of the policy's.

use super::numbers::Field;
use crate::gym::episode::{Command, Episode, Phase};
use crate::gym::plan::{Action, Allocation, Plan, SkillAction};
use crate::gym::skill_forest::SkillForest;

/// Most data for one subskill; a slip of the finger should not ask for more.
const MOST: i64 = 100_000;

/// Data for one subskill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) skill: String,
    pub(crate) subskill: String,
    pub(crate) field: Field,
    shown: Vec<String>,
}

/// What to do with the tree of one skill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Nothing: its allocations stay.
    Leave,
    /// New subskills, and data for each.
    Explore([Field; 2]),
    /// Other allocations of its subskills.
    Exploit(Vec<Field>),
}

/// One skill to act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Acting {
    pub(crate) skill: String,
    /// Name and allocation before the plan.
    pub(crate) subskills: Vec<(String, u32)>,
    /// What the policy chose, once it has.
    pub(crate) proposed: Option<Action>,
    pub(crate) choice: Choice,
}

impl Acting {
    fn next(&mut self) {
        self.choice = match &self.choice {
            Choice::Leave => {
                let (new, each) = match &self.proposed {
                    Some(Action::Explore { new_subskills, data_per_subskill }) => {
                        (*new_subskills, *data_per_subskill)
                    }
                    _ => (2, 10),
                };
                Choice::Explore([
                    Field::new("new subskills", Some(new.into()), 1, 100),
                    Field::new("data for each", Some(each.into()), 0, MOST),
                ])
            }
            Choice::Explore(_) if self.subskills.is_empty() => Choice::Leave,
            Choice::Explore(_) => Choice::Exploit(self.subskills.iter().map(|s| self.delta(s)).collect()),
            Choice::Exploit(_) => Choice::Leave,
        };
    }

    fn delta(&self, (name, allocation): &(String, u32)) -> Field {
        let proposed = match &self.proposed {
            Some(Action::Exploit { deltas }) => deltas.get(name).copied().unwrap_or(0),
            _ => 0,
        };
        Field::new(name, Some(i64::from(*allocation) + proposed), 0, MOST)
    }

    fn fields(&mut self) -> &mut [Field] {
        match &mut self.choice {
            Choice::Leave => &mut [],
            Choice::Explore(fields) => fields,
            Choice::Exploit(fields) => fields,
        }
    }

    fn action(&self) -> Option<SkillAction> {
        let action = match &self.choice {
            Choice::Leave => return None,
            Choice::Explore([new, each]) => {
                Action::Explore { new_subskills: new.count(), data_per_subskill: each.count() }
            }
            Choice::Exploit(fields) => {
                let delta = |((name, before), field): (&(String, u32), &Field)| {
                    (name.clone(), field.value.unwrap_or(0) - i64::from(*before))
                };
                Action::Exploit { deltas: self.subskills.iter().zip(fields).map(delta).collect() }
            }
        };
        Some(SkillAction { skill: self.skill.clone(), action })
    }
}

/// The plan being changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlanEdit {
    /// Whether actions are being chosen; otherwise numbers of data.
    pub(crate) acts: bool,
    pub(crate) amounts: Vec<Amount>,
    pub(crate) skills: Vec<Acting>,
    pub(crate) selected: usize,
    /// Why the other way is closed.
    closed: Option<String>,
}

/// One row on the screen: a skill, and one of its numbers.
pub(crate) type Row = (usize, Option<usize>);

impl PlanEdit {
    /// Opens the plan of an episode.
    ///
    /// # Errors
    /// Why there is nothing to change now, for a person.
    pub(crate) fn new(episode: &Episode) -> Result<Self, String> {
        let allocate = episode.allows(&Command::Allocate { allocations: Vec::new() });
        let act = episode.allows(&Command::Act { actions: Vec::new() });
        if let (Err(reason), Err(_)) = (&allocate, &act) {
            return Err(reason.to_string());
        }
        let planned = episode.work.is_some_and(|work| work.phase == Phase::Generate);
        let plan = episode.iterations.last().and_then(|row| row.plans.last()).filter(|_| planned);
        let closed = allocate.as_ref().err().or(act.as_ref().err()).map(ToString::to_string);
        let (acts, skills) =
            (allocate.is_err(), if act.is_ok() { acting(episode, plan) } else { Vec::new() });
        Ok(Self { acts, amounts: amounts(&episode.forest, plan), skills, selected: 0, closed })
    }

    /// The rows to move through.
    pub(crate) fn rows(&self) -> Vec<Row> {
        if !self.acts {
            return (0..self.amounts.len()).map(|n| (n, Some(0))).collect();
        }
        let numbers = |acting: &Acting| match &acting.choice {
            Choice::Leave => 0,
            Choice::Explore(_) => 2,
            Choice::Exploit(fields) => fields.len(),
        };
        let of = |(n, acting): (usize, &Acting)| {
            std::iter::once((n, None))
                .chain((0..numbers(acting)).map(move |m| (n, Some(m))))
                .collect::<Vec<_>>()
        };
        self.skills.iter().enumerate().flat_map(of).collect()
    }

    /// The number under the selection.
    pub(crate) fn field(&mut self) -> Option<&mut Field> {
        let (n, m) = *self.rows().get(self.selected)?;
        if self.acts {
            self.skills.get_mut(n)?.fields().get_mut(m?)
        } else {
            Some(&mut self.amounts.get_mut(n)?.field)
        }
    }

    pub(crate) fn select(&mut self, row: usize) {
        if let Some(field) = self.field() {
            field.settle();
        }
        self.selected = row.min(self.rows().len().saturating_sub(1));
    }

    /// Numbers of data, or actions.
    ///
    /// # Errors
    /// Why the other way is closed now.
    pub(crate) fn other_mode(&mut self) -> Result<(), String> {
        if let Some(reason) = &self.closed {
            return Err(reason.clone());
        }
        self.acts = !self.acts;
        self.selected = 0;
        Ok(())
    }

    /// The next action of the selected skill.
    pub(crate) fn other_action(&mut self) {
        let Some((n, _)) = self.rows().get(self.selected).copied().filter(|_| self.acts) else { return };
        self.skills[n].next();
        self.selected = self.rows().iter().position(|row| *row == (n, None)).unwrap_or(0);
    }

    /// Data asked for as it stands.
    pub(crate) fn total(&self) -> u64 {
        self.amounts.iter().map(|amount| u64::from(amount.field.count())).sum()
    }

    /// What to tell the run.
    ///
    /// # Errors
    /// Why it would change nothing.
    pub(crate) fn command(&mut self) -> Result<Command, String> {
        self.select(self.selected);
        if self.acts {
            let actions: Vec<SkillAction> = self.skills.iter().filter_map(Acting::action).collect();
            if actions.is_empty() {
                return Err("no action is chosen yet; choose one for a skill, or cancel".into());
            }
            return Ok(Command::Act { actions });
        }
        if !self.amounts.iter().any(|amount| amount.field.changed()) {
            return Err("no number was changed; change one, or cancel".into());
        }
        let allocation = |amount: &Amount| Allocation {
            skill: amount.skill.clone(),
            subskill: amount.subskill.clone(),
            count: amount.field.count(),
            shown: amount.shown.clone(),
        };
        Ok(Command::Allocate { allocations: self.amounts.iter().map(allocation).collect() })
    }
}

/// A row for every subskill of the forest, or for every allocation where there is no forest.
fn amounts(forest: &SkillForest, plan: Option<&Plan>) -> Vec<Amount> {
    let amount = |skill: &str, subskill: &str, count: u32, shown: &[String]| Amount {
        skill: skill.to_owned(),
        subskill: subskill.to_owned(),
        field: Field::new(subskill, Some(count.into()), 0, MOST),
        shown: shown.to_vec(),
    };
    if forest.trees.is_empty() {
        let planned = plan.map_or(&[][..], |plan| &plan.allocations);
        return planned.iter().map(|a| amount(&a.skill, &a.subskill, a.count, &a.shown)).collect();
    }
    let of_tree = |tree: &crate::gym::skill_forest::SkillTree| {
        tree.subskills.iter().map(|s| amount(&tree.skill, &s.name, s.allocation, &[])).collect::<Vec<_>>()
    };
    forest.trees.iter().flat_map(of_tree).collect()
}

fn acting(episode: &Episode, plan: Option<&Plan>) -> Vec<Acting> {
    let forest = episode.before_plan.as_ref().unwrap_or(&episode.forest);
    let proposed = |skill: &str| plan?.actions.iter().find(|a| a.skill == skill).map(|a| a.action.clone());
    let chosen =
        |skill: &str| episode.acting.as_ref()?.iter().find(|a| a.skill == skill).map(|a| a.action.clone());
    let new = |skill: &str, subskills: Vec<(String, u32)>| {
        let mut acting =
            Acting { skill: skill.to_owned(), subskills, proposed: proposed(skill), choice: Choice::Leave };
        // What the person chose before is where the person goes on.
        if let Some(action) = chosen(skill) {
            let policy = acting.proposed.replace(action.clone());
            acting.next();
            if matches!(action, Action::Exploit { .. }) {
                acting.next();
            }
            acting.proposed = policy;
        }
        acting
    };
    if forest.trees.is_empty() {
        let skills = episode.latest_report().map_or(&[][..], |report| &report.skills);
        return skills.iter().map(|s| new(&s.skill, Vec::new())).collect();
    }
    let known = |tree: &crate::gym::skill_forest::SkillTree| {
        tree.subskills.iter().map(|s| (s.name.clone(), s.allocation)).collect()
    };
    forest.trees.iter().map(|tree| new(&tree.skill, known(tree))).collect()
}
