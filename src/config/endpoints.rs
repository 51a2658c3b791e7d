//! Endpoints in the place of a model: `endpoint:NAME`, or several with weights, `endpoint:A*3,B`.

use super::Config;
use crate::gym::ports::Endpoint;

/// What the name of a model begins with when it is an endpoint.
pub const ENDPOINT: &str = "endpoint:";

/// The endpoints that a model's name means, with their weights; `None` where it means something else.
///
/// # Errors
/// A sentence about a name that cannot be read.
pub fn endpoint_names(model: &str) -> Option<Result<Vec<(String, f64)>, String>> {
    let names = model.strip_prefix(ENDPOINT)?;
    let wrong = |what: &str| {
        format!("`{}` {what}: write `endpoint:NAME`, or `endpoint:A*3,B` for several", model.escape_debug())
    };
    let member = |text: &str| {
        let (name, weight) = text.split_once('*').unwrap_or((text, "1"));
        let weight = weight.trim().parse::<f64>().ok().filter(|weight| weight.is_finite() && *weight > 0.0);
        match (name.trim(), weight) {
            ("", _) => Err(wrong("names no endpoint")),
            (_, None) => Err(wrong("has a weight that is not above 0")),
            (name, Some(weight)) => Ok((name.to_owned(), weight)),
        }
    };
    Some(names.split(',').map(member).collect())
}

/// An endpoint by its name, with its weight among those that answer together.
pub type Member = (String, Endpoint, f64);

impl Config {
    /// The endpoints behind a model's name, with their weights; `None` where it is no endpoint.
    ///
    /// # Errors
    /// A sentence about a name that cannot be read, or that no table `[endpoints.NAME]` has.
    pub fn endpoints_of(&self, model: &str) -> Result<Option<Vec<Member>>, String> {
        let Some(names) = endpoint_names(model).transpose()? else { return Ok(None) };
        let found = |(name, weight): (String, f64)| {
            let endpoint = self.endpoints.get(&name).cloned().ok_or_else(|| {
                let known: Vec<&str> = self.endpoints.keys().map(String::as_str).collect();
                let known = if known.is_empty() { "there is none".into() } else { known.join(", ") };
                format!("there is no table `[endpoints.{}]`; known: {known}", name.escape_debug())
            })?;
            Ok((name, endpoint, weight))
        };
        names.into_iter().map(found).collect::<Result<Vec<_>, String>>().map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_endpoint_or_several_by_weight() {
        assert_eq!(endpoint_names("embedded"), None);
        let read = |model| endpoint_names(model).unwrap();
        assert_eq!(read("endpoint:a"), Ok(vec![("a".into(), 1.0)]));
        assert_eq!(read("endpoint:a*3, b"), Ok(vec![("a".into(), 3.0), ("b".into(), 1.0)]));
        for wrong in ["endpoint:", "endpoint:a,", "endpoint:a*0", "endpoint:a*x", "endpoint:a*inf"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
