//! What a case of the suite asks of the response of a server that has an
//! application behind it, which gets CORS wrong.

use libcors_testkit::{
    http::{Reply, WRONG},
    naive::{Answer, OWNED, OWNED_TIMING},
    suite::{Case, File, SUITE},
};
use toml::{Table, Value};

/// The name of a policy among those of all files.
pub fn policy_name(file: &File, policy: &str) -> String {
    format!("{}.{policy}", file.name)
}

/// The names of all policies of the suite.
pub fn policy_names() -> impl Iterator<Item = String> {
    SUITE.files.iter().flat_map(|file| {
        file.policies.keys().map(move |policy| policy_name(file, policy))
    })
}

/// All policies of the suite as one document.
pub fn document() -> String {
    let mut policies = Table::new();
    for file in &SUITE.files {
        for (policy, table) in &file.policies {
            let name = policy_name(file, policy);
            policies.insert(name, Value::Table(table.clone()));
        }
    }
    Table::from_iter([("policy".into(), policies.into())]).to_string()
}

/// A response, as far as cases are about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The lines of the headers that are CORS's, in order.
    pub cors: Vec<(String, Vec<u8>)>,
    /// The names in `Vary`.
    pub vary: Vec<String>,
}

fn is_owned(name: &str) -> bool {
    OWNED.contains(&name) || name == OWNED_TIMING
}

impl Response {
    /// What a case asks for, if this is the answer to it.
    pub fn expected(file: &File, case: &Case, answer: &Answer) -> Response {
        let mut cors: Vec<(String, Vec<u8>)> = answer
            .headers
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
            .collect();
        let mut vary: Vec<String> =
            answer.vary.iter().map(|name| (*name).to_owned()).collect();
        if answer.status.is_none() {
            let policy =
                case.policy.as_ref().and_then(|name| file.policies.get(name));
            let keep = policy.and_then(|table| table.get("upstream_headers"))
                == Some(&Value::from("keep"));
            if keep {
                cors.clear();
            }
            // What stays of the application's headers comes first.
            let mut all = Vec::new();
            for (name, value) in WRONG {
                let name = name.to_ascii_lowercase();
                let removed = answer.remove.contains(&name.as_str());
                if is_owned(&name) && (keep || !removed) {
                    all.push((name, value.as_bytes().to_vec()));
                }
            }
            all.append(&mut cors);
            cors = all;
            vary.insert(0, "Accept-Language".to_owned());
        }
        Response { status: answer.status.unwrap_or(200), cors, vary }
    }

    /// What came.
    ///
    /// # Panics
    ///
    /// If there is more than one `Vary` line.
    pub fn seen(reply: &Reply) -> Response {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let vary = reply.values("vary");
        assert!(vary.len() <= 1, "{} Vary lines", vary.len());
        Response {
            status: reply.status,
            cors: reply
                .lines
                .iter()
                .map(|(name, value)| (text(name).to_lowercase(), value.clone()))
                .filter(|(name, _)| is_owned(name))
                .collect(),
            vary: vary
                .iter()
                .flat_map(|line| line.split(|&b| b == b','))
                .map(|name| text(name.trim_ascii()))
                .filter(|name| !name.is_empty())
                .collect(),
        }
    }

    /// The same for a server that has an order of its own, and makes one line of
    /// all lines of a name, which says the same (RFC 9110, section 5.3).
    pub fn combined(mut self) -> Response {
        let mut lines: Vec<(String, Vec<u8>)> = Vec::new();
        for (name, value) in self.cors {
            match lines.iter_mut().find(|(other, _)| *other == name) {
                Some((_, all)) => {
                    all.push(b',');
                    all.extend_from_slice(&value);
                }
                None => lines.push((name, value)),
            }
        }
        lines.sort();
        self.cors = lines;
        self
    }
}
