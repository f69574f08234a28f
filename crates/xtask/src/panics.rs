//! Whether a decision can panic, read from machine code.

use std::path::Path;

use crate::{
    fail,
    run::{self, Result},
};

/// Looks at the machine code of the functions that decide, in a module that is
/// not stripped and linked as it is shipped: none may call what panics. Returns
/// how many there are.
pub fn check(module: &Path) -> Result<usize> {
    // Those that only build, print or explain policies may.
    const DECIDING: [&str; 8] = [
        "cors::decision::decide_any",
        "libcors_policy::answers::",
        "libcors_policy::policy::",
        "libcors_policy::origin::",
        "libcors_policy::origins::",
        "libcors_policy::table::",
        "libcors_policy::tokens::",
        " <cors_decide>",
    ];
    const OTHERS: [&str; 8] = [
        "drop_in_place",
        "fmt",
        "::new",
        "::explain",
        "::Teller",
        "::fill",
        "::text",
        "::key_of",
    ];
    let code = run::read(
        run::command("objdump")
            .args(["--disassemble", "--demangle", "--no-show-raw-insn"])
            .arg(module),
    )?;
    let mut function = None;
    let mut count = 0;
    for line in code.lines() {
        if line.ends_with(">:") {
            let deciding = DECIDING.iter().any(|name| line.contains(name))
                && !OTHERS.iter().any(|name| line.contains(name));
            count += usize::from(deciding);
            function = deciding.then_some(line);
        } else if let Some(function) = function
            && (line.contains("core::panicking::") || line.contains("_fail"))
        {
            fail!("{function} may panic: {line}");
        }
    }
    if count < 5 {
        fail!("only {count} functions that decide in {}", module.display());
    }
    Ok(count)
}
