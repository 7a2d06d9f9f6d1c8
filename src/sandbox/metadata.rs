//! What the server says of itself: CapabilityStatement and SMART discovery.

use axum::response::Response;
use serde_json::{Value, json};

use super::{Shared, answer, lock, search};

/// `GET [base]/metadata`, with the export operations and the legacy oauth-uris.
pub(super) fn capability_statement(shared: &Shared) -> Response {
    let operation = |name: &str| json!({"name": "export", "definition": format!("http://hl7.org/fhir/uv/bulkdata/OperationDefinition/{name}")});
    let types = lock(&shared.store).types();
    let resources: Vec<Value> = types
        .iter()
        .map(|resource_type| {
            let interactions = ["read", "create", "update", "delete", "search-type"]
                .map(|code| json!({"code": code}));
            let parameters: Vec<Value> = search::PARAMETERS
                .iter()
                .map(|(name, kind)| json!({"name": name, "type": kind}))
                .collect();
            let mut resource = json!({
                "type": resource_type,
                "interaction": interactions,
                "versioning": "versioned",
                "updateCreate": true,
                "conditionalCreate": true,
                "searchParam": parameters,
            });
            match resource_type.as_str() {
                "Patient" => resource["operation"] = json!([operation("patient-export")]),
                "Group" => resource["operation"] = json!([operation("group-export")]),
                _ => {}
            }
            resource
        })
        .collect();
    let statement = json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-11-22",
        "kind": "instance",
        "software": {"name": "medplum sandbox", "version": env!("CARGO_PKG_VERSION")},
        "implementation": {"description": "Generated patients; nothing is kept", "url": shared.fhir_base},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "instantiates": ["http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"],
        "rest": [{
            "mode": "server",
            "security": {"extension": [{
                "url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
                "extension": [{"url": "token", "valueUri": token_url(shared)}],
            }]},
            "resource": resources,
            "interaction": [{"code": "batch"}, {"code": "transaction"}],
            "operation": [operation("export")],
        }],
    });
    answer::fhir(200, statement.to_string())
}

/// `GET [base]/.well-known/smart-configuration`
pub(super) fn smart_configuration(shared: &Shared) -> Response {
    let configuration = json!({
        "token_endpoint": token_url(shared),
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "grant_types_supported": ["client_credentials"],
        "scopes_supported": ["system/*.read", "system/*.rs", "system/*.cruds"],
        "code_challenge_methods_supported": ["S256"],
        "capabilities": ["client-confidential-symmetric", "permission-v1", "permission-v2"],
    });
    answer::typed(200, "application/json", configuration.to_string())
}

fn token_url(shared: &Shared) -> String {
    format!("{}oauth2/token", shared.base_url)
}
