//! Asking and reading in one: answers that cannot be read are noted as such.

use super::reply;
use crate::gym::ports::{PortError, Question, Teacher};

/// Asks every question once, all together; what `read` cannot read is noted and left out.
pub fn ask_once<T, A: Teacher + ?Sized>(
    teacher: &mut A,
    questions: Vec<Question>,
    mut read: impl FnMut(usize, &str) -> Result<T, String>,
) -> Result<Vec<Option<T>>, PortError> {
    if questions.is_empty() {
        return Ok(Vec::new());
    }
    let calls = teacher.ask(questions)?;
    let mut answers = Vec::with_capacity(calls.len());
    for (n, call) in calls.iter().enumerate() {
        answers.push(match read(n, &call.reply) {
            Ok(answer) => Some(answer),
            Err(reason) => {
                teacher.malformed(call, reason)?;
                None
            }
        });
    }
    Ok(answers)
}

/// Names that a teacher is to add to those that are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Names that may not come again, in whatever spelling; what was added stands among them.
    pub known: Vec<String>,
    /// What was added, in order.
    pub new: Vec<String>,
    /// How many are wanted.
    pub count: usize,
}

impl Names {
    /// How many are still wanted.
    pub fn missing(&self) -> usize {
        self.count.saturating_sub(self.new.len())
    }

    fn add(&mut self, name: String) {
        if self.missing() > 0 && self.known.iter().all(|other| !reply::same_name(other, &name)) {
            self.known.push(name.clone());
            self.new.push(name);
        }
    }
}

/// Asks for every list of names, all together, once more for what is missing, and gives up what is missing
/// then. `question` makes the question for the list of an index.
pub fn ask_names<A: Teacher + ?Sized>(
    teacher: &mut A,
    lists: &mut [Names],
    question: impl Fn(usize, &Names, &A) -> Result<Question, PortError>,
) -> Result<(), PortError> {
    for _ in 0..2 {
        let short: Vec<usize> = (0..lists.len()).filter(|&n| lists[n].missing() > 0).collect();
        let questions: Result<Vec<Question>, PortError> =
            short.iter().map(|&n| question(n, &lists[n], teacher)).collect();
        let answers = ask_once(teacher, questions?, |_, text| reply::names(text))?;
        for (n, names) in short.into_iter().zip(answers) {
            names.into_iter().flatten().for_each(|name| lists[n].add(name));
        }
    }
    Ok(())
}
