//! stub
use crate::context::Context;
/// s
#[derive(clap::Args, Debug)]
pub struct SandboxArgs {}
pub async fn run(_c: &Context, _a: SandboxArgs) -> anyhow::Result<()> {
    Ok(())
}
