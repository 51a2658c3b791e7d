//! Training data of all its types.

use serde::Deserialize;

use crate::exchange::datum::Draft;
use crate::exchange::image;
use crate::exchange::table::Picture;

/// A datum: the fields of every type, of which a type has some.
#[derive(Debug, Deserialize)]
pub(super) struct Datum {
    pub(super) ulid: String,
    instruction: String,
    #[serde(default)]
    response: Option<String>,
    #[serde(default)]
    chosen_response: Option<String>,
    #[serde(default)]
    rejected_response: Option<String>,
    #[serde(default)]
    image: Option<SerializedImage>,
    #[serde(default)]
    skill_category: Option<String>,
}

#[derive(Debug, Deserialize)]
struct SerializedImage {
    base64_payload: String,
}

impl Datum {
    /// Our datum. `skills` is the skill and subskill whose tree names it; the category of the skill-tree
    /// engine is the subskill, that of the others the skill.
    pub(super) fn draft(self, iteration: u32, skills: Option<(String, String)>) -> Result<Draft, String> {
        let (skill, subskill) = match (skills, self.skill_category) {
            (Some((skill, subskill)), _) => (Some(skill), Some(subskill)),
            (None, category) => (category, None),
        };
        let response = match (self.response, self.chosen_response, &self.rejected_response) {
            (Some(response), None, None) => response,
            (None, Some(chosen), Some(_)) => chosen,
            _ => {
                return Err(
                    "a datum has either `response`, or `chosen_response` and `rejected_response`: mend or \
                            remove this line"
                        .to_owned(),
                );
            }
        };
        let picture = |image: SerializedImage| {
            let bytes = image::decoded(&image.base64_payload)?;
            Ok::<_, String>(Picture { path: None, bytes: Some(bytes) })
        };
        Ok(Draft {
            instruction: self.instruction,
            response,
            rejected_response: self.rejected_response,
            pictures: self.image.map(picture).transpose()?.into_iter().collect(),
            ulid: Some(self.ulid),
            skill,
            subskill,
            iteration: Some(iteration),
            ..Draft::default()
        })
    }
}
