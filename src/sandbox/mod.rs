//! stub
#[derive(Debug, Default)]
pub struct Options {
    pub port: u16,
    pub patients: usize,
    pub seed: u64,
    pub x: u8,
}
#[derive(Debug)]
pub struct Sandbox;
pub async fn start(_o: Options) -> std::io::Result<Sandbox> {
    Err(std::io::Error::other("stub"))
}
impl Sandbox {
    pub fn base_url(&self) -> &str {
        ""
    }
    pub fn fhir_url_path(&self) -> &str {
        ""
    }
    pub fn client_id(&self) -> &str {
        ""
    }
    pub fn client_secret(&self) -> &str {
        ""
    }
    pub async fn shutdown(self) {}
}
