//! `cargo bench-libcors sizes`: how large the files are that are installed, with each
//! of the library's features and without.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::results;
use libcors_tools::{
    packages::{self, Need},
    run::{self, Context as _, Result},
};
use xtask::{
    envoy,
    library::{self, Variant},
    nginx, python,
};

/// Features of the library that can be left out.
const FEATURES: [&str; 3] = ["idna", "public-suffixes", "regex"];

/// Runs `cargo bench-libcors sizes`.
pub(super) fn command() -> Result {
    packages::ensure(&[Need::Program("strip", "binutils")])?;
    let mut sizes = Sizes { rows: Vec::new() };
    run::say("bytes of what is installed, stripped:");

    let library = |variant: &Variant| Ok(library::build(variant)?.shared());
    for left_out in [None, Some(0), Some(1), Some(2)] {
        let (what, variant) = match left_out {
            None => ("all features".to_string(), Variant::default()),
            Some(at) => {
                let mut features = FEATURES.to_vec();
                let name = features.remove(at);
                (format!("without {name}"), Variant::of(&features))
            }
        };
        sizes.add("libcors.so", &what, &library(&variant)?)?;
    }
    for feature in FEATURES {
        let what = format!("{feature} alone");
        sizes.add("libcors.so", &what, &library(&Variant::of(&[feature]))?)?;
    }
    let (all, none) = (Variant::default(), Variant::small());
    sizes.add("libcors.so", "no features", &library(&none)?)?;

    for (what, variant) in [("all features", &all), ("no features", &none)] {
        let module = nginx::build(None, variant)?.module;
        sizes.add("the module for nginx", what, &module)?;
        let module = envoy::build(variant)?;
        sizes.add("the module for Envoy", what, &module)?;
    }
    let extension = python::extension()?;
    sizes.add("the extension for Python", "all features", &extension)?;
    results::write("sizes", json!({ "files": sizes.rows }))
}

struct Sizes {
    rows: Vec<Value>,
}

impl Sizes {
    fn add(&mut self, file: &str, features: &str, path: &Path) -> Result {
        let folder = run::target().join("bench/sizes");
        fs::create_dir_all(&folder).context(folder.display())?;
        let copy = folder.join("stripped");
        run::read(run::command("strip").arg("-o").arg(&copy).arg(path))?;
        let size = fs::metadata(&copy).context(copy.display())?.len();
        run::say(format_args!("{file:<28}{features:<24}{size:>10}"));
        self.rows
            .push(json!({ "file": file, "features": features, "bytes": size }));
        Ok(())
    }
}
