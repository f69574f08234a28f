//! The origins of a policy, as other libraries want them: a list, or a function
//! where a list cannot say it.

use libcors_benches::Workload;
use regex::bytes::RegexSet;

type Covers = dyn Fn(&[u8]) -> bool + Send + Sync;

pub enum Origins {
    List(Vec<String>),
    Predicate(Box<Covers>),
}

impl Origins {
    pub fn of(workload: &Workload) -> Origins {
        let expressions = workload.expressions();
        if !expressions.is_empty() {
            let anchored = expressions.iter().map(|e| format!("^(?:{e})$"));
            let set = RegexSet::new(anchored).expect("valid expressions");
            return Origins::Predicate(Box::new(move |o| set.is_match(o)));
        }
        let list = workload.list("allow_origins");
        match list.first().and_then(|origin| origin.split_once("//*.")) {
            // What their documentation shows for subdomains.
            Some((scheme, domain)) => {
                let start = format!("{scheme}//");
                let end = format!(".{domain}");
                Origins::Predicate(Box::new(move |origin| {
                    origin.starts_with(start.as_bytes())
                        && origin.ends_with(end.as_bytes())
                }))
            }
            None => {
                Origins::List(list.iter().map(|o| (*o).to_owned()).collect())
            }
        }
    }
}
