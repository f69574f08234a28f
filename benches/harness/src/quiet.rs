//! That decisions allocate nothing, take no lock and make no system call: a
//! program that decides more often does not do more of it.

use libcors_benches::Workload;

use super::{
    VALGRIND,
    runners::{self, Link},
};
use libcors_tools::{
    fail,
    packages::{self, Need},
    run::{self, Error, Result},
};

/// So many decisions, and so many more.
const FEW: u64 = 10;
const MANY: u64 = 1010;

/// What the check needs of the machine.
pub(super) const NEEDS: [Need; 2] =
    [VALGRIND, Need::Program("strace", "strace")];

/// Fails if a decision does one of them; returns how many checks were made.
pub(super) fn check(workloads: &[Workload]) -> Result<usize> {
    packages::ensure(&NEEDS)?;
    let folder = runners::write_workloads(workloads)?;
    let mut programs = vec![("rust", runners::rust()?)];
    for (link, program) in runners::c(&folder)? {
        if link == Link::Shared {
            programs.push((link.contender(), program));
        }
    }
    let mut checks = 0;
    for (contender, program) in &programs {
        for (what, count) in [
            ("allocations", allocations as fn(&str) -> Result<usize>),
            ("system calls", system_calls),
        ] {
            let wrapper: &[&str] = match what {
                "allocations" => &["valgrind", "--tool=memcheck"],
                // A lock that is waited for is a system call, too.
                _ => &["strace", "--follow-forks"],
            };
            let of = |times| count(&program.under(wrapper, contender, times)?);
            let (few, many) = (of(FEW)?, of(MANY)?);
            if few != many {
                fail!(
                    "{contender}: {few} {what} with {FEW} decisions of each \
                     workload, and {many} with {MANY}"
                );
            }
            checks += 1;
        }
    }
    run::say(format_args!(
        "  no allocation and no system call in {} decisions of {} programs",
        workloads.len() as u64 * (MANY - FEW),
        programs.len()
    ));
    Ok(checks)
}

/// From valgrind's line `total heap usage: 1,234 allocs, …`.
fn allocations(text: &str) -> Result<usize> {
    text.lines()
        .find_map(|line| line.split("total heap usage: ").nth(1))
        .and_then(|rest| rest.split(' ').next())
        .and_then(|number| number.replace(',', "").parse().ok())
        .ok_or_else(|| Error::new(format!("valgrind counted nothing: {text}")))
}

/// strace writes a line for each.
fn system_calls(text: &str) -> Result<usize> {
    let count = text.lines().filter(|line| line.contains(") = ")).count();
    match count {
        0 => fail!("strace saw nothing: {text}"),
        count => Ok(count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_others() {
        let text = "==1==   total heap usage: 1,234 allocs, 1 frees, 9 bytes\n";
        assert_eq!(allocations(text).unwrap(), 1234);
        assert!(allocations("").is_err());
        let text = "brk(NULL) = 0x5\nread(3, \"\", 1) = 0\n+++ exited +++\n";
        assert_eq!(system_calls(text).unwrap(), 2);
        assert!(system_calls("strace: no\n").is_err());
    }
}
