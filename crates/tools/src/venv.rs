//! Virtual environments of Python, in the target folder.

use std::{fs, path::Path};

use crate::{
    packages::{self, Need},
    run::{self, Context as _, Result},
};

/// What a virtual environment needs of the machine.
pub const NEEDS: [Need; 2] = [
    Need::Program("python3", "python3"),
    Need::Python("ensurepip", "python3-venv"),
];

/// Makes one, unless it is there with these requirements, which are those of a
/// requirements.txt. `what` names them in messages.
pub fn ensure(
    python: &Path,
    folder: &Path,
    what: &str,
    requirements: &str,
) -> Result {
    let wanted = format!("# {}\n{requirements}", python.display());
    let stamp = folder.join("requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    make(python, folder, what, requirements)?;
    // Last, so that one that is half made is made again.
    fs::write(&stamp, wanted).context(stamp.display())
}

/// Makes one anew.
pub fn make(
    python: &Path,
    folder: &Path,
    what: &str,
    requirements: &str,
) -> Result {
    packages::ensure(&NEEDS)?;
    packages::permit(what, folder)?;
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).context(folder.display())?;
    run::read(run::command(python).args(["-m", "venv"]).arg(folder))?;
    let list = folder.join("wanted.txt");
    fs::write(&list, requirements).context(list.display())?;
    run::read(
        run::command(folder.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--no-input"])
            .args(["--disable-pip-version-check", "--requirement"])
            .arg(&list),
    )
    .context(what)
    .map(drop)
}
