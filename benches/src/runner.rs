//! How a runner is spoken to.
//!
//! It reads commands from its standard input, a line each, and answers on its
//! standard output:
//!
//! | command | answer |
//! | --- | --- |
//! | `contenders` | their names, on one line |
//! | `answer CONTENDER WORKLOAD` | the status, then `Name: value` lines, then an empty line; or `none`, if the contender cannot express the workload |
//! | `time CONTENDER WORKLOAD BATCHES NANOSECONDS` | so many batches of about that length, after one to warm up: nanoseconds per request in each, on one line |
//!
//! `count CONTENDER WORKLOAD TIMES` as arguments runs one workload so many times,
//! for callgrind, which collects in the function `measured` alone; `all` are all
//! workloads.

use std::{
    collections::{HashMap, hash_map::Entry},
    env,
    io::{self, BufRead as _, Write as _},
    process::ExitCode,
    time::{Duration, Instant},
};

use crate::{Workload, find, workloads};

/// A response as far as CORS goes: the status, and headers.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// The status; 200 where the application answers.
    pub status: u16,
    /// The headers that were set.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// A contender with the policy and the request of a workload.
pub trait Subject {
    /// What it answers.
    fn response(&mut self) -> Response;

    /// Answers so many times.
    fn run(&mut self, times: u64);
}

/// Makes a [`Subject`]; `None` if the contender cannot express the workload.
pub type Make = fn(&Workload) -> Option<Box<dyn Subject>>;

/// Runs contenders as the module says.
pub fn main(contenders: &[(&str, Make)]) -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()
        [..]
    {
        [] => serve(contenders),
        ["count", contender, id, times] => {
            count(contenders, contender, id, times)
        }
        _ => Err("usage: runner [count CONTENDER WORKLOAD TIMES]".to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn make(
    contenders: &[(&str, Make)],
    contender: &str,
    id: &str,
) -> Result<Option<Box<dyn Subject>>, String> {
    let (_, make) = contenders
        .iter()
        .find(|(name, _)| *name == contender)
        .ok_or_else(|| format!("no contender {contender:?}"))?;
    let workload = find(id).ok_or_else(|| format!("no workload {id:?}"))?;
    Ok(make(&workload))
}

fn count(
    contenders: &[(&str, Make)],
    contender: &str,
    id: &str,
    times: &str,
) -> Result<(), String> {
    let times = times.parse().map_err(|_| format!("{times:?} is no number"))?;
    let ids = match id {
        "all" => workloads().iter().map(|w| w.id().to_owned()).collect(),
        id => vec![id.to_owned()],
    };
    for id in ids {
        let mut subject = make(contenders, contender, &id)?
            .ok_or_else(|| format!("{contender} cannot express {id}"))?;
        measured(&mut *subject, times);
    }
    Ok(())
}

/// What callgrind collects.
#[inline(never)]
fn measured(subject: &mut dyn Subject, times: u64) {
    subject.run(times);
}

fn serve(contenders: &[(&str, Make)]) -> Result<(), String> {
    let mut subjects = HashMap::new();
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line.map_err(|e| e.to_string())?;
        let answer = match line.split(' ').collect::<Vec<_>>()[..] {
            ["contenders"] => {
                let names = contenders.iter().map(|(name, _)| *name);
                names.collect::<Vec<_>>().join(" ").into_bytes()
            }
            [command, contender, id, ref rest @ ..] => {
                // Made once: a policy may have many origins.
                let key = (contender.to_owned(), id.to_owned());
                let subject = match subjects.entry(key) {
                    Entry::Occupied(entry) => entry.into_mut(),
                    Entry::Vacant(entry) => {
                        entry.insert(make(contenders, contender, id)?)
                    }
                };
                match (command, subject, rest) {
                    ("answer", None, []) => b"none".to_vec(),
                    ("answer", Some(subject), []) => lines(&subject.response()),
                    ("time", Some(subject), [batches, nanoseconds]) => {
                        let number = |text: &str| {
                            text.parse::<u64>().map_err(|e| e.to_string())
                        };
                        let length = number(nanoseconds)?;
                        time(&mut **subject, number(batches)?, length)
                            .into_bytes()
                    }
                    _ => return Err(format!("cannot do {line:?}")),
                }
            }
            _ => return Err(format!("cannot do {line:?}")),
        };
        out.write_all(&answer)
            .and_then(|()| out.write_all(b"\n"))
            .and_then(|()| out.flush())
            .map_err(|e| e.to_string())?;
    }
    Ok(())
}

fn lines(response: &Response) -> Vec<u8> {
    let mut text = response.status.to_string().into_bytes();
    for (name, value) in &response.headers {
        text.push(b'\n');
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value);
    }
    text.push(b'\n');
    text
}

fn time(subject: &mut dyn Subject, batches: u64, nanoseconds: u64) -> String {
    let length = Duration::from_nanos(nanoseconds);
    let mut batch = |times: u64| {
        let start = Instant::now();
        measured(subject, times);
        start.elapsed()
    };
    // As many as fill a batch; finding that out warms up.
    let mut times = 1;
    let times = loop {
        let took = batch(times);
        if took * 2 >= length {
            let scale = length.as_secs_f64() / took.as_secs_f64();
            break (times as f64 * scale).max(1.0) as u64;
        }
        times *= 2;
    };
    let samples = (0..batches).map(|_| {
        let each = batch(times).as_secs_f64() * 1e9 / times as f64;
        format!("{each:.3}")
    });
    samples.collect::<Vec<_>>().join(" ")
}
