//! Reading a scenario file: versions, an index to begin with, and steps.

use serde_json::{Map, Value};

use crate::player::Transport;
use crate::repeat::expand;

/// Words in brackets that are no versions.
const MODES: [&str; 3] = ["rest", "grpc", "eventually"];

/// A file.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    /// Versions of the API that it is played in.
    pub(crate) versions: Vec<String>,
    /// Settings of the server that are not its defaults.
    pub(crate) settings: Map<String, Value>,
    /// The body that creates the index which data requests go to, in the dialect of 2025-10.
    pub(crate) index: Option<Value>,
    /// What is said and answered, in order.
    pub(crate) steps: Vec<Step>,
}

/// One request and its answer.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// What it shows.
    pub(crate) title: String,
    /// Words in brackets: versions that it is limited to, or one of [`MODES`].
    pub(crate) only: Vec<String>,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// Expected answers; the first that fits the version counts.
    pub(crate) answers: Vec<Answer>,
}

/// What is expected.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// Versions that it is meant for; empty means any.
    pub(crate) versions: Vec<String>,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    /// The JSON body, the text of a body that is not JSON, or nothing.
    pub(crate) body: Body,
}

/// An expected body.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    Json(Value),
    Text(String),
    Empty,
}

impl Step {
    /// Whether it belongs to a version.
    pub(crate) fn is_in(&self, version: &str) -> bool {
        let is_version = |word: &&String| !MODES.contains(&word.as_str());
        let mut versions = self.only.iter().filter(is_version).peekable();
        versions.peek().is_none() || versions.any(|only| only == version)
    }

    /// Whether it belongs to a transport. Without a word it belongs to both.
    pub(crate) fn is_over(&self, transport: Transport) -> bool {
        transport == Transport::Grpc || !self.says("grpc")
    }

    /// Whether only REST can say it: bodies that are no messages, headers of HTTP.
    pub(crate) fn is_rest_only(&self) -> bool {
        self.says("rest")
    }

    /// Whether the answer may need some time to come true.
    pub(crate) fn may_be_late(&self) -> bool {
        self.says("eventually")
    }

    /// Refuses what would silently never be played: versions that the file does not have, and
    /// answers behind one that fits every version.
    fn check(&self, versions: &[String]) -> Result<(), String> {
        let words = self.only.iter().filter(|word| !MODES.contains(&word.as_str()));
        let named = self.answers.iter().flat_map(|answer| &answer.versions);
        if let Some(unknown) = words.chain(named).find(|word| !versions.contains(word)) {
            return Err(format!("step '{}': {unknown} is none of the versions", self.title));
        }
        let before_last = self.answers.split_last().map_or(&[][..], |(_, before)| before);
        if before_last.iter().any(|answer| answer.versions.is_empty()) {
            return Err(format!("step '{}': the answer without versions comes last", self.title));
        }
        Ok(())
    }

    fn says(&self, mode: &str) -> bool {
        self.only.iter().any(|word| word == mode)
    }

    pub(crate) fn answer_in(&self, version: &str) -> Option<&Answer> {
        self.answers.iter().find(|answer| {
            answer.versions.is_empty() || answer.versions.iter().any(|only| only == version)
        })
    }
}

impl Script {
    /// Whether any step goes over gRPC.
    pub(crate) fn has_grpc(&self) -> bool {
        self.steps
            .iter()
            .any(|step| !step.is_rest_only() && crate::grpc::has_method(&step.method, &step.path))
    }

    /// Reads a file.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut parts = text.split("\n== ");
        let head = parts.next().unwrap_or_default();
        let mut script =
            Self { versions: Vec::new(), settings: Map::new(), index: None, steps: Vec::new() };
        for line in head.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
            match line.split_once(':') {
                Some(("versions", rest)) => {
                    script.versions = rest.split_whitespace().map(str::to_owned).collect();
                }
                Some(("settings", rest)) => {
                    let Value::Object(settings) = json("the settings", rest)? else {
                        return Err("settings are an object".to_owned());
                    };
                    script.settings = settings;
                }
                Some(("index", rest)) => script.index = Some(json("the index", rest)?),
                _ => return Err(format!("not understood: {line}")),
            }
        }
        if script.versions.is_empty() {
            return Err("a scenario needs a line `versions: …`".to_owned());
        }
        for part in parts {
            let step = step(part)?;
            step.check(&script.versions)?;
            script.steps.push(step);
        }
        if script.steps.is_empty() {
            return Err("a scenario needs a step".to_owned());
        }
        Ok(script)
    }
}

fn step(text: &str) -> Result<Step, String> {
    let (heading, rest) = text.split_once('\n').ok_or("a step ends after its title")?;
    let (title, only) = match heading.split_once(" [") {
        Some((title, words)) => (title, words.trim_end_matches(']')),
        None => (heading, ""),
    };
    let wrong = |what: &str| format!("step '{title}': {what}");
    let mut blocks = rest.split("\n--");
    let request = blocks.next().unwrap_or_default();
    let (first, request) = request.split_once('\n').unwrap_or((request, ""));
    let (method, path) = first.split_once(' ').ok_or_else(|| wrong("no method and path"))?;
    let (headers, body) = headers_and_rest(request);
    let answers: Vec<_> = blocks.map(|block| answer(title, block)).collect::<Result<_, _>>()?;
    if answers.is_empty() {
        return Err(wrong("nothing is expected"));
    }
    Ok(Step {
        title: title.to_owned(),
        only: only.split_whitespace().map(str::to_owned).collect(),
        method: method.to_owned(),
        path: expand(path.trim()).map_err(|problem| wrong(&problem))?,
        headers,
        body: expand(body.trim()).map_err(|problem| wrong(&problem))?,
        answers,
    })
}

fn answer(title: &str, block: &str) -> Result<Answer, String> {
    let (versions, rest) = block.split_once('\n').unwrap_or((block, ""));
    let (status, rest) = rest.split_once('\n').unwrap_or((rest, ""));
    let status = status.trim().parse().map_err(|_| format!("step '{title}': no status"))?;
    let (headers, body) = headers_and_rest(rest);
    let body = expand(body.trim()).map_err(|problem| format!("step '{title}': {problem}"))?;
    let body = match body.as_str() {
        "" => Body::Empty,
        text if text.starts_with(['{', '[']) => Body::Json(json(title, text)?),
        text => Body::Text(text.to_owned()),
    };
    let versions = versions.split_whitespace().map(str::to_owned).collect();
    Ok(Answer { versions, status, headers, body })
}

/// Lines `Name: value` at the beginning, then what follows.
fn headers_and_rest(text: &str) -> (Vec<(String, String)>, &str) {
    let (mut headers, mut rest) = (Vec::new(), text);
    while let Some((name, value)) = rest.split('\n').next().and_then(|line| line.split_once(": ")) {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if name.is_empty() || !name.bytes().all(is_name) {
            break;
        }
        headers.push((name.to_lowercase(), value.to_owned()));
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
    (headers, rest)
}

fn json(what: &str, text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("{what}: {error} in {text}"))
}
