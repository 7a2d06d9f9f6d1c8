//! stub
#[derive(Debug)]
pub struct Checker;
#[derive(Debug)]
pub struct Summary {
    pub resources: u64,
}
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct LineError;
impl Checker {
    pub fn new(_: Option<&str>) -> Self {
        Self
    }
    pub fn feed(&mut self, _: &[u8]) -> Result<(), LineError> {
        Ok(())
    }
    pub fn finish(self) -> Result<Summary, LineError> {
        Ok(Summary { resources: 0 })
    }
}
