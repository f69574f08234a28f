//! `cargo bench-libcors memory`: memory of nginx workers, and whether reloads
//! leave it as it is.

use std::fs;

use libcors_testkit::nginx::Installation;

use super::nginx::{Ask, Measurement, contenders};
use libcors_tools::{
    fail,
    run::{Context as _, Error, Result},
};
use xtask::{library::Variant, nginx};

/// Private memory of workers, and of reloads.
pub(super) fn command(reloads: usize) -> Result {
    let built = nginx::build(None, &Variant::default())?;
    let contenders = contenders();
    println!("private dirty memory of a worker, nginx {}:", built.version);
    let mut base = None;
    for contender in &contenders {
        let installation = Installation {
            nginx: built.nginx.clone(),
            module: contender.module.then(|| built.module.clone()),
        };
        let measured = Measurement::prepare(&installation, contender)?;
        measured.with_workers()?;
        let server = measured.folder.start(measured.port).context("nginx")?;
        measured.send(1000, Ask::Actual)?;
        let dirty = worker_dirty(&server.workers())?;
        let more = dirty.saturating_sub(*base.get_or_insert(dirty));
        println!("{:<24}{dirty:>8} kB{more:>8} kB more", contender.name);
        if more > 2048 {
            fail!("a worker may have 2048 kB more, not {more}");
        }
        if contender.count() != 1000 {
            continue;
        }
        let mut first = None;
        for round in 0..=reloads {
            let tenth = (reloads / 10).max(1);
            if round % tenth == 0 {
                let master = dirty_pages(server.id())?;
                let worker = worker_dirty(&server.workers())?;
                println!(
                    "after {round:>5} reloads: master {master} kB, worker \
                     {worker} kB"
                );
                // The first reload sets up what later ones find.
                if round > 0 {
                    let first = *first.get_or_insert(master);
                    if master > first + 1024 {
                        fail!("the master grew from {first} to {master} kB");
                    }
                }
            }
            server.reload().context("nginx")?;
        }
    }
    Ok(())
}

fn worker_dirty(workers: &[u32]) -> Result<u64> {
    match workers.first() {
        Some(id) => dirty_pages(*id),
        None => fail!("nginx has no worker"),
    }
}

/// The private dirty pages of a process, in kB.
fn dirty_pages(id: u32) -> Result<u64> {
    let path = format!("/proc/{id}/smaps_rollup");
    let text = fs::read_to_string(&path).context(&path)?;
    text.lines()
        .find_map(|line| line.strip_prefix("Private_Dirty:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .ok_or_else(|| Error::new(format!("{path} has no Private_Dirty")))
}
