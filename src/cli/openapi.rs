//! `registrar openapi`.

use super::output;
use crate::api;
use anyhow::Context;
use clap::Args;
use clap::builder::PossibleValuesParser;

#[derive(Debug, Args)]
pub(super) struct OpenapiArgs {
    /// API to describe
    #[arg(value_parser = PossibleValuesParser::new(api::DOCUMENTS))]
    dialect: String,
}

pub(super) fn print(args: &OpenapiArgs) -> anyhow::Result<()> {
    let document = api::openapi(&args.dialect).context("there is no such API")?;
    Ok(output::line(document.to_pretty_json()?)?)
}
