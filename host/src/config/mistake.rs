//! A mistake in the configuration: where, what was found, what was expected, what to do.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// A file as it was read, for messages that point into it.
#[derive(PartialEq, Eq)]
pub(crate) struct Source {
    pub path: PathBuf,
    pub text: String,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Source({})", self.path.display())
    }
}

impl Source {
    /// The text as messages may show it, of the same length: whatever may be a secret is starred.
    /// The names of variables and files stay, since those are what one looks for.
    fn shown(&self) -> String {
        let mut shown = String::with_capacity(self.text.len());
        let mut among_secrets = false;
        // The quotes of a text over several lines that is open, and may be a secret.
        let mut open = None;
        for line in self.text.split_inclusive('\n') {
            // One that stands in an open text is none, or the text was never meant to be open.
            if line.trim_start().starts_with('[') {
                among_secrets = line.contains("secret") || (among_secrets && open.is_some());
            }
            let hide = among_secrets || line.contains("secret") || line.contains("value");
            if open.is_some() {
                blank(line, &mut shown);
            } else if hide {
                star(line, &mut shown);
            } else {
                shown.push_str(line);
            }
            if open.is_some() || hide {
                open = left_open(line, open);
            }
        }
        shown
    }
}

/// Which quotes of a text over several lines are open behind a line, given those before it.
fn left_open(line: &str, mut open: Option<&'static str>) -> Option<&'static str> {
    let mut rest = line;
    loop {
        let find = |quotes| rest.find(quotes).map(|at| (at, quotes));
        let next = match open {
            Some(quotes) => find(quotes),
            None => find("\"\"\"").into_iter().chain(find("'''")).min(),
        };
        let Some((at, quotes)) = next else {
            return open;
        };
        open = open.is_none().then_some(quotes);
        rest = &rest[at + quotes.len()..];
    }
}

/// Everything becomes stars.
fn blank(line: &str, shown: &mut String) {
    shown.extend(line.chars().map(|c| match c {
        '\n' | '\r' => c.to_string(),
        c => "*".repeat(c.len_utf8()),
    }));
}

/// Every value becomes stars, but for what follows `env =` and `file =`; also one without quotes or
/// with an open one: the line may be what does not parse.
fn star(line: &str, shown: &mut String) {
    const WORDS: [&str; 3] = ["env", "file", "value"];
    let mut rest = line;
    let mut before = "";
    // Behind a `=` stands a value, which may end in one itself.
    let mut in_value = false;
    while let Some(c) = rest.chars().next() {
        let (length, hide) = if c == '"' || c == '\'' {
            let end = rest[1..].find([c, '\n']).map_or(rest.len(), |at| at + 1);
            (end, !matches!(before, "env" | "file"))
        } else if c.is_alphanumeric() {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '-' && c != '_');
            let word = &rest[..end.unwrap_or(rest.len())];
            let is_key = !in_value
                && (rest[word.len()..].trim_start().starts_with('=') || WORDS.contains(&word));
            if is_key {
                before = word;
            }
            let header = line.trim_start().starts_with('[') && !line.contains('=');
            (word.len(), !is_key && !header)
        } else {
            match c {
                '=' => in_value = true,
                '{' | ',' => in_value = false,
                _ => {}
            }
            (c.len_utf8(), false)
        };
        let (part, behind) = rest.split_at(length);
        if hide {
            shown.extend(part.chars().map(|c| {
                if c == '"' || c == '\'' {
                    c.to_string()
                } else {
                    "*".repeat(c.len_utf8())
                }
            }));
        } else {
            shown.push_str(part);
        }
        rest = behind;
        if c == '"' || c == '\'' {
            // The closing quote stands at the front of what is left.
            let closing = rest
                .chars()
                .next()
                .filter(|next| *next == c)
                .map_or(0, char::len_utf8);
            shown.push_str(&rest[..closing]);
            rest = &rest[closing..];
        }
    }
}

/// One mistake.
#[derive(Clone, Debug)]
pub struct Mistake {
    pub(super) source: Option<Arc<Source>>,
    pub(super) span: Range<usize>,
    title: String,
    label: String,
    help: Option<String>,
    warning: bool,
}

impl Mistake {
    pub(crate) fn new(source: &Arc<Source>, span: Range<usize>, title: impl Into<String>) -> Self {
        Self {
            source: Some(source.clone()),
            span,
            title: title.into(),
            label: String::new(),
            help: None,
            warning: false,
        }
    }

    /// A mistake that stands in no file.
    pub(crate) fn nowhere(title: impl Into<String>) -> Self {
        Self {
            source: None,
            span: 0..0,
            title: title.into(),
            label: String::new(),
            help: None,
            warning: false,
        }
    }

    pub(crate) fn label(self, label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            ..self
        }
    }

    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }

    pub(crate) fn warning(self) -> Self {
        Self {
            warning: true,
            ..self
        }
    }

    /// Whether the program can work all the same.
    pub fn is_warning(&self) -> bool {
        self.warning
    }

    /// What is wrong, without its place.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// For people: title, place in the file, and help. With colours if the reader has them.
    pub fn render(&self, colours: bool) -> String {
        let shown = self.source.as_ref().map(|source| source.shown());
        let shown = shown.as_deref().unwrap_or_default();
        let level = if self.warning {
            Level::WARNING
        } else {
            Level::ERROR
        };
        let title = level.primary_title(self.title.as_str());
        let mut group = match &self.source {
            Some(source) => {
                let path = source.path.display().to_string();
                let mut annotation = AnnotationKind::Primary.span(self.span.clone());
                if !self.label.is_empty() {
                    annotation = annotation.label(self.label.as_str());
                }
                title.element(Snippet::source(shown).path(path).annotation(annotation))
            }
            None => Group::with_title(title),
        };
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let renderer = if colours {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        renderer.render(&[group])
    }
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.render(false))
    }
}

/// All mistakes of a configuration; at least one is no warning.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n"))]
pub struct Mistakes(pub Vec<Mistake>);

/// The name that was most likely meant, if one is near.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(score, _)| *score > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_named_only_if_it_is_near() {
        let names = ["label", "description", "audience", "fields"];
        assert_eq!(nearest("lable", names), Some("label"));
        assert_eq!(nearest("feilds", names), Some("fields"));
        assert_eq!(nearest("colour", names), None);
    }

    #[test]
    fn no_secret_is_shown_even_where_it_was_written_down() {
        for line in [
            "api-key = { value = \"sekrit\" }",
            "api-key = \"sekrit\"",
            "api-key = 'sekrit'",
            "api-key = sekrit",
            "api-key = { value = \"sekrit",
            "api-key = { value = sekrit== }",
            "api-key = { value = \"\"\"\nsekrit\n[sekrit]\n\"\"\" }",
            "api-key = { env = \"NAME\", value = \"sekrit\" }",
        ] {
            let text = format!("[authorizations.a.secrets]\n{line}\n");
            let source = Arc::new(Source {
                path: "acme.toml".into(),
                text: text.clone(),
            });
            let shown = Mistake::new(&source, 27..34, "wrong").to_string();
            assert!(
                shown.contains("api-key = ") && !shown.contains("sekrit"),
                "{shown}"
            );
            assert!(!source.shown().contains("sekrit"), "{}", source.shown());
            assert_eq!(source.shown().len(), text.len());
            assert!(!format!("{source:?}").contains("sekrit"));
        }
        let text = "secrets = { api-key = { env = \"NAME\" } }".to_owned();
        assert!(
            Source {
                path: "a".into(),
                text
            }
            .shown()
            .contains("\"NAME\"")
        );
    }

    #[test]
    fn a_mistake_shows_file_line_and_help() {
        let source = Arc::new(Source {
            path: "acme.toml".into(),
            text: "a = 1\nlable = 2\n".to_owned(),
        });
        let shown = Mistake::new(&source, 6..11, "unknown key `lable`")
            .label("not known here")
            .help("did you mean `label`?")
            .to_string();
        assert!(shown.contains("acme.toml:2:1"), "{shown}");
        assert!(
            shown.contains("lable = 2") && shown.contains("did you mean `label`?"),
            "{shown}"
        );
    }
}
