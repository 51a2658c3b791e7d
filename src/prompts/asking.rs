//! Asking and reading in one: answers that cannot be read are noted as such.

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
