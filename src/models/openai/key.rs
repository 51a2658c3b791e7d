//! The key of an endpoint: where it comes from, and that it is seen nowhere.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};

use crate::gym::ports::Endpoint;

/// Nobody has a longer key; a file given by mistake ends here.
const MOST_BYTES: u64 = 16 << 10;
/// What stands in the place of a key.
const HIDDEN: &str = "[key]";

/// A key. It has no words of its own: `Debug` hides it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key(String);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Key {
    /// The key from the variable, else from the file; none where neither is named. Errors are sentences for
    /// a person and never quote what was read.
    pub(super) fn find(endpoint: &Endpoint) -> Result<Option<Self>, String> {
        let variable = endpoint.key_variable.as_deref();
        if let Some(value) = variable.and_then(std::env::var_os) {
            let name = variable.unwrap_or_default();
            return Self::checked(value.to_str(), || format!("the variable {name}")).map(Some);
        }
        match (&endpoint.key_file, variable) {
            (Some(file), _) => Self::read(file).map(Some),
            (None, Some(name)) => Err(format!(
                "its key is missing: the variable {name} is not set where the run was started. Set it and start \
                 the run again, or name a file with `key_file`"
            )),
            (None, None) => Ok(None),
        }
    }

    fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let unreadable = |error: std::io::Error| format!("its key file {shown} cannot be read: {error}");
        let file = File::open(path).map_err(unreadable)?;
        let found = file.metadata().map_err(unreadable)?;
        if !found.is_file() {
            return Err(format!("its key file {shown} is no file"));
        }
        if found.mode() & 0o077 != 0 {
            return Err(format!("its key file {shown} can be read by others: `chmod 600 {shown}`"));
        }
        let mut text = String::new();
        file.take(MOST_BYTES).read_to_string(&mut text).map_err(unreadable)?;
        Self::checked(Some(&text), || format!("the file {shown}"))
    }

    fn checked(value: Option<&str>, whence: impl Fn() -> String) -> Result<Self, String> {
        let text = value.map(str::trim).unwrap_or_default();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("{} holds no key: one line of visible ASCII is wanted", whence()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The header that carries it, marked so that libraries do not print it.
    pub(super) fn header(&self, name: &str) -> Result<(HeaderName, HeaderValue), String> {
        let header =
            HeaderName::try_from(name).map_err(|_| format!("`key_header` is {name:?}, no header"))?;
        let value = if header == AUTHORIZATION { format!("Bearer {}", self.0) } else { self.0.clone() };
        let mut value = HeaderValue::try_from(value).map_err(|_| "its key fits into no header".to_owned())?;
        value.set_sensitive(true);
        Ok((header, value))
    }

    /// A text of the endpoint without the key, which some servers quote.
    pub(super) fn hide(&self, text: &str) -> String {
        text.replace(&self.0, HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn from_file(text: &str, mode: u32) -> Result<Option<Key>, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        Key::find(&Endpoint { key_file: Some(file), ..Endpoint::default() })
    }

    #[test]
    fn a_file_of_this_user_alone_gives_a_key_that_is_shown_nowhere() {
        let key = from_file("sk-canary\n", 0o600).unwrap().unwrap();
        assert_eq!(format!("{key:?}"), HIDDEN);
        let (name, value) = key.header("Authorization").unwrap();
        assert_eq!((name, value.to_str().unwrap()), (AUTHORIZATION, "Bearer sk-canary"));
        assert!(value.is_sensitive() && !format!("{value:?}").contains("canary"));
        assert_eq!(key.header("api-key").unwrap().1.to_str().unwrap(), "sk-canary");
        assert_eq!(key.hide("wrong key sk-canary, sk-canary."), "wrong key [key], [key].");
    }

    #[test]
    fn what_others_can_read_and_what_is_no_key_is_refused_without_quoting_it() {
        for mode in [0o640, 0o604, 0o666] {
            assert!(from_file("sk-canary", mode).unwrap_err().contains("chmod 600"));
        }
        for text in ["", " \n", "sk canary", "sk-canary\nmore", "sk-canäry"] {
            let said = from_file(text, 0o600).unwrap_err();
            assert!(said.contains("holds no key") && !said.contains("canary"), "{said}");
        }
        let missing = Endpoint { key_variable: Some("NO_SUCH_VARIABLE".into()), ..Endpoint::default() };
        assert!(Key::find(&missing).unwrap_err().contains("NO_SUCH_VARIABLE"));
        assert_eq!(Key::find(&Endpoint::default()), Ok(None));
    }
}
