//! The analysis of what an expression admits.

use std::{cell::Cell, collections::HashSet, fmt::Write};

use libcors_policy::{
    INSECURE_SCHEMES, Origin, OriginPattern, PatternErrorKind,
};
use regex_automata::util::primitives::StateID;
use regex_syntax::hir::Hir;

use super::{
    TooComplex, Unbounded,
    automaton::Dfa,
    cover::{Cover, MAX_NODES},
    example::examples,
    grammar::{Rules, Start, ports},
    names,
    schemes::{self, MAX_SCHEMES},
    search::search,
};

/// What an expression admits.
#[derive(Debug)]
pub(super) struct Analysis {
    pub(super) unbounded: Option<Unbounded>,
    pub(super) insecure: Option<String>,
    pub(super) empty: Option<String>,
}

/// An expression under analysis.
pub(super) struct Subject<'s> {
    pub(super) pattern: &'s str,
    pub(super) hir: &'s Hir,
    /// The automaton that runs.
    pub(super) forward: &'s Dfa,
    /// The one that reads from the right, and marked bytes too.
    pub(super) reverse: &'s Dfa,
    /// How much was done; see [`search`].
    pub(super) work: Cell<usize>,
}

/// The origins of some schemes, which follow the same rules.
struct Group {
    rules: Rules,
    starts: Vec<Start>,
    schemes: Vec<String>,
    /// Too many schemes: these are some of them.
    many: bool,
}

impl Subject<'_> {
    pub(super) fn analyse(&self) -> Result<Analysis, TooComplex> {
        // Hardly any expression needs the exact analysis: only if this one
        // came upon an origin that is too long.
        match self.analyse_as(false)? {
            Some(analysis) => Ok(analysis),
            None => self.analyse_as(true)?.ok_or(TooComplex),
        }
    }

    /// `None` if an origin that was found is not valid.
    fn analyse_as(&self, exact: bool) -> Result<Option<Analysis>, TooComplex> {
        let groups = self.groups(exact)?;
        let mut analysis =
            Analysis { unbounded: None, insecure: None, empty: None };
        let mut any = false;
        for group in &groups {
            let found = self.find(group, &Cover::none(), false)?;
            if let Some(origin) = found {
                if !self.admits(&origin) {
                    return Ok(None);
                }
                any = true;
            }
        }
        if !any {
            analysis.empty = Some(self.why_empty());
            return Ok(Some(analysis));
        }

        let mut candidates = Candidates::default();
        for group in &groups {
            if analysis.unbounded.is_some() {
                break;
            }
            let verdict = match group.many {
                true => self.open_scheme(group, &mut candidates)?,
                false => self.unbounded(group, &mut candidates)?,
            };
            match verdict {
                Verdict::Bounded => {}
                Verdict::Unbounded(unbounded) => {
                    analysis.unbounded = Some(unbounded);
                }
                Verdict::Invalid => return Ok(None),
            }
        }

        let local = Cover::local();
        for group in &groups {
            let insecure: Vec<String> = group
                .schemes
                .iter()
                .filter(|scheme| INSECURE_SCHEMES.contains(&scheme.as_str()))
                .cloned()
                .collect();
            if insecure.is_empty() || analysis.insecure.is_some() {
                continue;
            }
            let group = Group {
                rules: group.rules,
                starts: group.starts.clone(),
                schemes: insecure,
                many: false,
            };
            let Some(origin) = self.find(&group, &local, true)? else {
                continue;
            };
            let better = candidates
                .get(self)
                .iter()
                .filter(|text| is_exposed(text))
                .min_by_key(|text| rank(text, true));
            let origin = better.unwrap_or(&origin).clone();
            if !self.admits(&origin) {
                return Ok(None);
            }
            analysis.insecure = Some(origin);
        }
        Ok(Some(analysis))
    }

    /// The schemes that the expression admits with valid hosts.
    fn groups(&self, exact: bool) -> Result<Vec<Group>, TooComplex> {
        let mut groups = Vec::new();
        for (scheme, default) in [("https", "443"), ("http", "80"), ("", "")] {
            let web = !scheme.is_empty();
            let rules = Rules { web, exact };
            let starts = ports(self.reverse, default.as_bytes());
            let mut states: HashSet<StateID> = HashSet::new();
            let none = Cover::none();
            let mut collect = |state, _| {
                states.insert(state);
                false
            };
            let (dfa, work) = (self.reverse, &self.work);
            search(dfa, rules, &starts, &none, work, &mut collect)?;
            let mut schemes = Vec::new();
            if !web {
                schemes.extend(schemes::others(self.reverse, &states)?);
            } else if states
                .iter()
                .any(|&state| schemes::admits(self.reverse, state, scheme))
            {
                schemes.push(scheme.to_owned());
            }
            if !schemes.is_empty() {
                let many = schemes.len() > MAX_SCHEMES;
                groups.push(Group { rules, starts, schemes, many });
            }
        }
        Ok(groups)
    }

    /// A shortest origin of a group that is not covered.
    fn find(
        &self,
        group: &Group,
        cover: &Cover,
        loopback: bool,
    ) -> Result<Option<String>, TooComplex> {
        let scheme_of = |state| {
            let mut schemes = group.schemes.iter();
            schemes.find(|scheme| schemes::admits(self.reverse, state, scheme))
        };
        let found = search(
            self.reverse,
            group.rules,
            &group.starts,
            cover,
            &self.work,
            &mut |state, place| {
                !(loopback && place.is_loopback()) && scheme_of(state).is_some()
            },
        )?;
        Ok(found.and_then(|found| {
            let scheme = scheme_of(found.state)?;
            Some(format!("{scheme}://{}", found.text))
        }))
    }

    fn unbounded(
        &self,
        group: &Group,
        candidates: &mut Candidates,
    ) -> Result<Verdict, TooComplex> {
        let web = group.rules.web;
        let written = Cover::written(self.reverse, group.rules, &group.starts);
        self.spend(written.as_ref().map_or(MAX_NODES, Cover::len));
        let Some(cover) = written else {
            let found = self.find(group, &Cover::none(), false)?;
            return Ok(match found {
                Some(origin) if self.admits(&origin) => {
                    let why = "and writes out more domains than are told apart";
                    Verdict::Unbounded(Unbounded { origin, why: why.into() })
                }
                Some(_) => Verdict::Invalid,
                None => Verdict::Bounded,
            });
        };
        let Some(shortest) = self.find(group, &cover, false)? else {
            return Ok(Verdict::Bounded);
        };

        // One that a person would think of is better, and one whose very name
        // does not stand written out is best.
        let is_other = |text: &str| {
            host(text)
                .is_some_and(|host| !cover.has_name(names::name(host, web)))
        };
        let is_wrong = |text: &&String| {
            Origin::parse(text.as_bytes()).is_some_and(|origin| {
                let mut schemes = group.schemes.iter();
                schemes.any(|s| s.as_bytes() == origin.scheme())
                    && !cover.covers(origin.host())
            })
        };
        let below = self.below(group, &cover);
        let best = candidates
            .get(self)
            .iter()
            .chain(&below)
            .filter(is_wrong)
            .min_by_key(|text| (!is_other(text), rank(text, web)));
        let origin = best.cloned().unwrap_or(shortest);
        if !self.admits(&origin) {
            return Ok(Verdict::Invalid);
        }
        let why = if !is_other(&origin) {
            let name = host(&origin).map(|host| names::name(host, web));
            let name = String::from_utf8_lossy(name.unwrap_or_default());
            format!("and names below `{name}` are given to anyone who asks")
        } else if web && rank(&origin, web).0 == 0 {
            "which anyone could register".to_owned()
        } else {
            "whose host does not stand written out in it".to_owned()
        };
        Ok(Verdict::Unbounded(Unbounded { origin, why }))
    }

    /// Origins below names that have names of others below them.
    fn below(&self, group: &Group, cover: &Cover) -> Vec<String> {
        const LABELS: [&str; 24] = [
            "",
            "s3.",
            "blob.core.",
            "compute.",
            "a.compute.",
            "elb.",
            "app.",
            "apps.",
            "cdn.",
            "cloud.",
            "cust.",
            "customer.",
            "demo.",
            "dev.",
            "pages.",
            "paas.",
            "prod.",
            "site.",
            "static.",
            "user.",
            "users.",
            "execute-api.us-east-1.",
            "s3.us-east-1.",
            "auth.us-east-1.",
        ];
        let mut found = Vec::new();
        let Some(scheme) = group.schemes.first() else { return found };
        for name in cover.shared().iter().take(16) {
            let name = String::from_utf8_lossy(name);
            for labels in LABELS {
                let origin = format!("{scheme}://evil.{labels}{name}");
                if self.admits(&origin) {
                    found.push(origin);
                }
            }
        }
        found
    }

    fn spend(&self, work: usize) {
        self.work.set(self.work.get() + work);
    }

    /// Whether this is a valid origin, and the expression matches it.
    fn admits(&self, text: &str) -> bool {
        Origin::parse(text.as_bytes()).is_some()
            && self.forward.is_match(text.as_bytes())
    }

    /// An origin with a scheme that stands nowhere in the expression, if that can
    /// be.
    fn open_scheme(
        &self,
        group: &Group,
        candidates: &mut Candidates,
    ) -> Result<Verdict, TooComplex> {
        let mut all = candidates.get(self).iter();
        let better = all.find(|text| {
            let scheme = text.split(':').next().unwrap_or_default();
            !matches!(scheme, "http" | "https")
                && !self.pattern.contains(scheme)
        });
        let origin = match better {
            Some(better) => better.clone(),
            None => match self.find(group, &Cover::none(), false)? {
                Some(origin) if self.admits(&origin) => origin,
                _ => return Ok(Verdict::Invalid),
            },
        };
        let why = "whose scheme it leaves open".to_owned();
        Ok(Verdict::Unbounded(Unbounded { origin, why }))
    }

    /// Why no origin matches, as far as that can be told.
    fn why_empty(&self) -> String {
        let mut message = "no origin matches".to_owned();
        for text in examples(self.hir).iter().take(64) {
            let Err(error) = OriginPattern::parse(text) else { continue };
            let kind = error.kind();
            if matches!(
                kind,
                PatternErrorKind::Empty | PatternErrorKind::Character
            ) {
                continue;
            }
            let _ = write!(message, ": {}", error.kind().as_str());
            break;
        }
        message
    }
}

enum Verdict {
    Bounded,
    Unbounded(Unbounded),
    /// What was found is too long to be an origin.
    Invalid,
}

/// Origins that a person would think of, made up when they are needed.
#[derive(Default)]
struct Candidates(Option<Vec<String>>);

impl Candidates {
    fn get(&mut self, subject: &Subject<'_>) -> &[String] {
        self.0.get_or_insert_with(|| {
            let mut all = examples(subject.hir);
            subject.spend(all.len());
            all.retain(|text| subject.admits(text));
            all
        })
    }
}

fn host(origin: &str) -> Option<&[u8]> {
    Origin::parse(origin.as_bytes()).map(|origin| origin.host())
}

/// How unlikely an example is to convince: least if its name can be registered
/// under a public suffix that everyone knows.
fn rank(origin: &str, web: bool) -> (u8, bool, bool) {
    let Some(parsed) = Origin::parse(origin.as_bytes()) else {
        return (3, true, true);
    };
    let host = parsed.host();
    let host = host.strip_suffix(b".").unwrap_or(host);
    let suffix = names::suffix(host);
    let address = host.ends_with(b"]")
        || host.iter().all(|b| b.is_ascii_digit() || *b == b'.');
    let known = match web {
        true if !address && suffix.known && suffix.len < host.len() => 0,
        true => 1,
        false => 2,
    };
    (known, parsed.scheme() != b"https", parsed.port().is_some())
}

/// Whether pages of this origin can be altered on their way.
fn is_exposed(text: &str) -> bool {
    match OriginPattern::parse(text) {
        Ok(OriginPattern::Tuple(tuple)) => tuple.is_insecure(),
        _ => false,
    }
}
