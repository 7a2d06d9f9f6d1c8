//! stub
use crate::context::Context;
/// s
#[derive(clap::Args, Debug)]
pub struct DemoArgs {}
pub async fn run(_c: &Context, _a: DemoArgs) -> anyhow::Result<()> {
    Ok(())
}
