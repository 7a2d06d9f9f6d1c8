//! Beside programs that others wrote. `tests/run` installs them; a test that misses one fails and says so.

mod jwt_peers;
mod medplum_cli;
mod oidc;
mod oidc_login;
mod oidc_provider;
mod router;
mod router_synthea;
mod sekmet;
mod sides;
mod smart_fetch;
