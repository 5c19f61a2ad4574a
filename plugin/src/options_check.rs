//! Whether the options can work: paths, pointers, words and names that contradict each other.

use sluice_guest::{Finding, Place};

use crate::options::{FlagsIn, Options, finding, is_word_of};
use crate::{date_format, fields};

impl Options {
    /// What is wrong with the options by themselves; empty if nothing is.
    pub fn findings(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut add = |name: &str, message: String| {
            found.push(finding(Place::Option(name.to_owned()), message));
        };
        if self.import_type.trim().is_empty() {
            add(
                "import_type",
                "is missing: set it to the name of the import configuration that Retention \
                 Science set up for your site"
                    .to_owned(),
            );
        }
        if self.entity.is_empty() || !self.entity.bytes().all(fields::is_word_byte) {
            add(
                "entity",
                "must be made of letters, digits, `_` and `-`".to_owned(),
            );
        }
        for (name, path, id) in [
            ("import_path", &self.import_path, false),
            ("job_path", &self.job_path, true),
            ("users_path", &self.users_path, false),
            ("check_path", &self.check_path, false),
        ] {
            if let Some(message) = path_fault(path, id) {
                add(name, message.to_owned());
            }
        }
        for (name, pointers) in [
            ("job_id_pointers", &self.job_id_pointers),
            ("job_status_pointers", &self.job_status_pointers),
            ("job_errors_pointers", &self.job_errors_pointers),
        ] {
            for pointer in pointers
                .iter()
                .filter(|p| !p.is_empty() && !p.starts_with('/'))
            {
                add(
                    name,
                    format!("`{pointer}` is no JSON pointer: one starts with `/`"),
                );
            }
        }
        if self.job_status_pointers.is_empty() {
            add(
                "job_status_pointers",
                "needs at least one pointer, or no job ever ends".to_owned(),
            );
        }
        if self.status_succeeded.is_empty() {
            add(
                "status_succeeded",
                "needs at least one word, or no job ever succeeds".to_owned(),
            );
        }
        for word in &self.status_failed {
            if is_word_of(&self.status_succeeded, word) {
                add(
                    "status_failed",
                    format!("`{word}` stands in `status_succeeded`, too"),
                );
            }
        }
        if fields::custom_parts(&self.exit_attribute).is_none() {
            add(
                "exit_attribute",
                format!("must have the form `{}`", fields::CUSTOM_FORM),
            );
        }
        self.check_names(&mut add);
        for format in &self.date_formats {
            if let Err(error) = date_format::check(format) {
                add(
                    "date_formats",
                    format!("`{format}` can not be used: {error}"),
                );
            }
        }
        found
    }

    /// Names that are sent as keys must not hide a field or each other.
    fn check_names(&self, add: &mut impl FnMut(&str, String)) {
        let mut taken = vec!["custom_attributes", "import_type"];
        taken.extend(fields::CATALOGUE.iter().map(|field| field.name));
        let in_body = self.flags_in == FlagsIn::Body;
        for (option, name, own, counts) in [
            (
                "accepts_marketing_key",
                &self.accepts_marketing_key,
                "accepts_marketing",
                true,
            ),
            ("welcome_flag", &self.welcome_flag, "", in_body),
            ("merge_flag", &self.merge_flag, "", in_body),
        ] {
            if name.trim().is_empty() {
                add(option, "must not be empty".to_owned());
            } else if name.contains(|c: char| c.is_control() || matches!(c, '"' | '\\')) {
                // It becomes the name of a part of the form that starts an import.
                add(
                    option,
                    "must not hold quotes, backslashes or control characters".to_owned(),
                );
            } else if counts && name != own && taken.contains(&name.as_str()) {
                add(
                    option,
                    format!("`{name}` is the name of something else that is sent"),
                );
            }
            taken.push(name);
        }
        if self.entity == "import_type" {
            add(
                "entity",
                "`import_type` is the name of something else that is sent".to_owned(),
            );
        }
        if in_body && (self.welcome_flag == self.entity || self.merge_flag == self.entity) {
            add("entity", "is the name of a flag, too".to_owned());
        }
    }
}

fn path_fault(path: &str, with_id: bool) -> Option<&'static str> {
    let Some(rest) = path.strip_prefix('/') else {
        return Some("must be a path that starts with `/`");
    };
    if rest
        .split('/')
        .any(|segment| matches!(segment, "" | "." | ".."))
    {
        return Some("must not have an empty segment, `.` or `..`");
    }
    if path.contains(|c: char| c.is_control() || "?#\\".contains(c)) {
        return Some("must be a plain path, without `?`, `#` or `\\`");
    }
    let ids = rest.split('/').filter(|segment| *segment == "{id}").count();
    let other = rest
        .split('/')
        .any(|segment| segment != "{id}" && segment.contains(['{', '}', '*']));
    match (with_id, ids, other) {
        (true, 1, false) | (false, 0, false) => None,
        (true, ..) => Some("must hold the segment `{id}` once, and no other pattern"),
        (false, ..) => Some("must not hold a pattern (`{`, `}` or `*`)"),
    }
}
