//! stub
use crate::run::Result;
#[derive(Debug, clap::Args)]
pub struct Arguments {}
pub fn command(_: &Arguments) -> Result { Ok(()) }
