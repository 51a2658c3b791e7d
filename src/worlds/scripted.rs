//! Small worlds without meaning, one per domain: whatever a run does with instances, images and plans can be
//! tried on them in seconds. Everything is a pure function of domain, split, skill and number.

use std::io;

use crate::gym::instance::{
    Content, Domain, ImageRef, ProgramTest, Split, TaskInstance, ToolCall, ToolDescription,
};
use crate::gym::ports::Drawing;
use crate::gym::rng::CounterRng;

/// Width and height of a picture in pixels.
const SIDE: u32 = 16;
/// Subskills of every skill.
const SUBSKILLS: u64 = 3;

/// Names of the subskills of a skill.
pub fn subskills(skill: &str) -> Vec<String> {
    (0..SUBSKILLS).map(|n| format!("{skill}-{n}")).collect()
}

/// Name of the `n`-th skill.
pub fn skill(n: u32) -> String {
    format!("skill-{n}")
}

/// The `n`-th instance of a skill in a split. Its picture, where it has one, is drawn from its question.
///
/// # Errors
/// When the picture cannot be encoded.
pub fn instance(domain: Domain, split: Split, skill: &str, n: u32) -> io::Result<TaskInstance> {
    let word = domain.as_str();
    let key = format!("{word}/{}/{skill}/{n}", split.as_str());
    let mut rng = CounterRng::keyed(0, &key);
    let (subskill, number) = (rng.below(SUBSKILLS), rng.between(100, 999));
    let question = format!("What is number {n} of {skill} among the {} questions?", split.as_str());
    let content = match domain {
        Domain::Mathematics => Content::Mathematics {
            question,
            options: Vec::new(),
            answer: number.to_string(),
            solution: Some(format!("it is so\n#### {number}")),
        },
        Domain::Programming => Content::Programming {
            instruction: question,
            starter_code: None,
            solution: Some(format!("print({number})")),
            tests: vec![ProgramTest::StandardInput { input: String::new(), output: number.to_string() }],
        },
        Domain::VisualQuestionAnswering => {
            let drawing = picture(&question, 0)?;
            Content::VisualQuestionAnswering {
                question,
                image: ImageRef::of(&drawing.bytes, &drawing.media_type, drawing.size),
                choices: Vec::new(),
                answers: vec![number.to_string()],
            }
        }
        Domain::ToolUse => Content::ToolUse {
            request: question,
            tools: vec![ToolDescription {
                name: format!("tool_{number}"),
                description: "Does what it is for.".to_owned(),
                parameters: serde_json::json!({"type": "object"}),
            }],
            plan: vec![ToolCall { tool: format!("tool_{number}"), arguments: serde_json::Map::new() }],
        },
    };
    Ok(TaskInstance {
        id: format!("{}-{skill}-{n:05}", split.as_str()),
        task: format!("scripted-{word}"),
        split,
        skill: Some(skill.to_owned()),
        subskill: Some(format!("{skill}-{subskill}")),
        facets: std::collections::BTreeMap::new(),
        key,
        content,
    })
}

/// A picture of coloured squares: the same for the same description and seed.
///
/// # Errors
/// When it cannot be encoded.
pub fn picture(description: &str, seed: u64) -> io::Result<Drawing> {
    let mut rng = CounterRng::keyed(seed, description);
    let palette: Vec<[u8; 3]> = (0..4).map(|_| [0, 8, 16].map(|shift| (rng.bits() >> shift) as u8)).collect();
    let pixels: Vec<u8> = (0..SIDE * SIDE)
        .flat_map(|n| palette[((n % SIDE / (SIDE / 2)) + 2 * (n / SIDE / (SIDE / 2))) as usize])
        .collect();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, SIDE, SIDE);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(Drawing { bytes, media_type: "image/png".to_owned(), size: (SIDE, SIDE) })
}
