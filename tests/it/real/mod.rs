//! Beside programs that others wrote. `tests/run` installs them; a test that misses one fails and says so.

mod client_auth;
mod device_code;
mod doctor;
mod dotenv;
mod dpop;
mod import_medplum_cli;
mod import_router;
mod import_sekmet;
mod jwt_peers;
mod keyring;
mod medplum_cli;
mod medplum_cli_defects;
mod medplum_cli_defects_bulk;
mod medplum_cli_profiles;
mod mtls;
mod network;
mod oidc;
mod oidc_login;
mod oidc_provider;
mod report_page;
mod router;
mod router_synthea;
mod sekmet;
mod sides;
mod smart_fetch;
mod token_exchange;
