//! The workloads of `workloads.toml`.

use libcors_config::{Format, Policies};
use libcors_policy::Request;
use libcors_testkit::{
    naive,
    suite::{self, Case, File},
};
use serde_json::json;
use toml::{Table, Value};

/// A policy, and a request that is put to it over and over.
#[derive(Clone, Debug)]
pub struct Workload {
    /// The request, and the answer that is expected.
    pub case: Case,
    /// What the policy says.
    pub policy: Table,
}

impl Workload {
    fn new(file: &File, case: &Case) -> Workload {
        let name = case.policy.as_deref().expect("a policy");
        let mut policy = file.policies[name].clone();
        if let Some(Value::Array(origins)) = policy.get_mut("allow_origins") {
            *origins = origins.iter().flat_map(expand).collect();
        }
        Workload { case: case.clone(), policy }
    }

    /// A name such as `w4-10000`.
    pub fn id(&self) -> &str {
        &self.case.name
    }

    /// What is measured, in a few words.
    pub fn what(&self) -> &str {
        self.case.why.as_deref().unwrap_or_default()
    }

    /// The policy as a document, in which it is called `bench`.
    pub fn document(&self) -> String {
        let table = |name: &str, value: Table| {
            Table::from_iter([(name.to_owned(), Value::Table(value))])
        };
        let document = table("policy", table("bench", self.policy.clone()));
        toml::to_string(&document).expect("a table of plain values")
    }

    /// The policy, compiled.
    pub fn compile(&self) -> Policies {
        let document = self.document();
        let outcome =
            libcors_config::parse(document.as_bytes(), self.id(), Format::Toml);
        match outcome.policies {
            Some(policies) => policies,
            None => panic!("{}: {:#?}", self.id(), outcome.diagnostics),
        }
    }

    /// The request, as a host has it.
    pub fn lines(&self) -> Lines {
        Lines { request: self.case.request.clone() }
    }

    /// The texts of a list of the policy.
    pub fn list(&self, key: &str) -> Vec<&str> {
        let values = self.policy.get(key).and_then(Value::as_array);
        values.into_iter().flatten().filter_map(|v| v.as_str()).collect()
    }

    /// The regular expressions among the origins.
    pub fn expressions(&self) -> Vec<&str> {
        let values = self.policy["allow_origins"].as_array();
        values
            .into_iter()
            .flatten()
            .filter_map(|value| value.get("regex")?.as_str())
            .collect()
    }

    /// Whether requests may carry credentials.
    pub fn credentials(&self) -> bool {
        self.flag("allow_credentials")
    }

    fn flag(&self, key: &str) -> bool {
        let value = self.policy.get(key).and_then(Value::as_bool);
        value.unwrap_or_default()
    }

    /// The value of a header of the request.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.case
            .lines
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value.as_slice())
    }

    /// Policy and request for runners in other languages.
    pub fn json(&self) -> serde_json::Value {
        let lines = self.case.lines.iter().map(|(name, value)| {
            [
                String::from_utf8_lossy(name).into_owned(),
                String::from_utf8_lossy(value).into_owned(),
            ]
        });
        json!({
            "id": self.id(),
            "origins": self.list("allow_origins"),
            "expressions": self.expressions(),
            "methods": self.methods(),
            "headers": self.list("allow_headers"),
            "credentials": self.credentials(),
            "max_age": self.max_age(),
            "method": String::from_utf8_lossy(&self.case.method),
            "lines": lines.collect::<Vec<_>>(),
        })
    }

    /// The methods that the policy allows. Other libraries want those listed
    /// that need no entry here.
    pub fn methods(&self) -> Vec<&str> {
        let mut methods = vec!["GET", "POST"];
        methods.extend(self.list("allow_methods"));
        methods
    }

    /// How long a browser may keep the answer to a preflight, in seconds.
    pub fn max_age(&self) -> u64 {
        let value = self.policy.get("max_age").and_then(|v| v.as_integer());
        value.and_then(|value| value.try_into().ok()).unwrap_or_default()
    }
}

/// What a workload's request has of the fields that the engine asks for.
#[derive(Clone, Debug)]
pub struct Lines {
    request: naive::Request,
}

/// [`Lines`], as a host has them at hand.
#[derive(Debug)]
pub struct BorrowedLines<'w> {
    method: &'w [u8],
    origin: Vec<&'w [u8]>,
    request_method: Vec<&'w [u8]>,
    request_headers: Vec<&'w [u8]>,
}

impl Lines {
    /// The lines, to borrow a request from.
    pub fn borrow(&self) -> BorrowedLines<'_> {
        fn slices(lines: &[Vec<u8>]) -> Vec<&[u8]> {
            lines.iter().map(Vec::as_slice).collect()
        }
        BorrowedLines {
            method: &self.request.method,
            origin: slices(&self.request.origin),
            request_method: slices(&self.request.request_method),
            request_headers: slices(&self.request.request_headers),
        }
    }
}

impl BorrowedLines<'_> {
    /// The request, for the engine.
    pub fn request(&self) -> Request<'_> {
        Request {
            origin: &self.origin,
            request_method: &self.request_method,
            request_headers: &self.request_headers,
            ..Request::new(self.method)
        }
    }
}

/// A request as lines: the method, then `Name: value`.
pub fn request_text(case: &Case) -> Vec<u8> {
    let mut text = case.method.clone();
    for (name, value) in &case.lines {
        text.push(b'\n');
        text.extend_from_slice(name);
        text.extend_from_slice(b": ");
        text.extend_from_slice(value);
    }
    text.push(b'\n');
    text
}

/// The origin that `{shops:N}` has at an index.
pub fn shop(index: usize) -> String {
    format!("https://shop-{index:05}.example.org")
}

/// The regular expression that `{expressions:N}` has at an index.
pub fn expression(index: usize) -> String {
    format!(r"https://a{index}-[0-9]+\.example\.org")
}

/// All workloads, in order.
pub fn workloads() -> Vec<Workload> {
    let file = file();
    let cases = file.cases.iter();
    cases.map(|case| Workload::new(&file, case)).collect()
}

/// The workload of a name. It alone is made: others may have many origins.
pub fn find(id: &str) -> Option<Workload> {
    let file = file();
    let case = file.cases.iter().find(|case| case.name == id)?;
    Some(Workload::new(&file, case))
}

fn file() -> File {
    let text = include_str!("../workloads.toml");
    let file = suite::parse("workloads", text);
    file.unwrap_or_else(|e| panic!("workloads.toml: {e}"))
}

/// What an entry of a list of origins stands for.
fn expand(entry: &Value) -> Vec<Value> {
    let counted = |mark: &str| -> Option<usize> {
        let text = entry.as_str()?.strip_prefix(mark)?;
        text.strip_suffix('}')?.parse().ok()
    };
    if let Some(count) = counted("{shops:") {
        return (0..count).map(|index| Value::String(shop(index))).collect();
    }
    if let Some(count) = counted("{expressions:") {
        let table = |index| {
            let text = Value::String(expression(index));
            Value::Table(Table::from_iter([("regex".to_owned(), text)]))
        };
        return (0..count).map(table).collect();
    }
    vec![entry.clone()]
}

#[cfg(test)]
mod tests {
    use libcors_testkit::check;
    use libcors_tests::{answer, request};

    use super::*;

    #[test]
    fn the_engine_answers_as_expected() {
        let workloads = workloads();
        assert_eq!(workloads.len(), 16);
        let mut wrong = Vec::new();
        for workload in workloads {
            let policies = workload.compile();
            let policy = policies.get("bench").unwrap().policy();
            let asked = request(&workload.case.request);
            let found = answer(&policy.decide(&asked));
            wrong.extend(check::verify(&workload.case, &found).err());
            let browser = check::browser_verdict(&workload.case, &found);
            assert_eq!(browser, workload.case.browser, "{}", workload.id());
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
