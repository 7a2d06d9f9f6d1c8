//! What the server says of itself: CapabilityStatement and SMART discovery.

use serde_json::{Value, json};

use super::answer::Answer;
use super::search::PARAMETERS;
use super::token::GRANT_TYPES;
use super::{Asked, Shared};

/// `GET [base]/metadata`, with the export operations and the oauth-uris of old.
pub(super) fn capability_statement(shared: &Shared, asked: &Asked) -> Answer {
    let store = shared.store();
    let resources: Vec<Value> = store.types().map(resource).collect();
    let statement = json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-11-22",
        "kind": "instance",
        "instantiates": ["http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"],
        "software": {"name": "medplum sandbox", "version": env!("CARGO_PKG_VERSION")},
        "implementation": {"description": "Made-up patients; nothing is kept", "url": asked.fhir_base()},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "patchFormat": ["application/json-patch+json"],
        "rest": [{
            "mode": "server",
            "security": {
                "extension": [{
                    "url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
                    "extension": [{"url": "token", "valueUri": token_url(asked)}],
                }],
                "service": [{"coding": [{
                    "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                    "code": "SMART-on-FHIR",
                }]}],
            },
            "resource": resources,
            "interaction": [{"code": "batch"}, {"code": "transaction"}],
            "operation": [export("export")],
        }],
    });
    Answer::fhir(200, statement.to_string())
}

/// `GET [base]/.well-known/smart-configuration`
pub(super) fn smart_configuration(asked: &Asked) -> Answer {
    let configuration = json!({
        "token_endpoint": token_url(asked),
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "grant_types_supported": GRANT_TYPES,
        "scopes_supported": ["system/*.read", "system/*.rs", "system/*.cruds"],
        "code_challenge_methods_supported": ["S256"],
        "capabilities": ["client-confidential-symmetric", "permission-v1", "permission-v2"],
    });
    Answer::typed(200, "application/json", configuration.to_string())
}

fn resource(resource_type: &str) -> Value {
    let interactions = ["read", "create", "update", "patch", "delete", "search-type"]
        .map(|code| json!({"code": code}));
    let parameters: Vec<Value> = PARAMETERS
        .iter()
        .map(|parameter| json!({"name": parameter.name, "type": parameter.kind.name()}))
        .collect();
    let mut resource = json!({
        "type": resource_type,
        "interaction": interactions,
        "versioning": "versioned-update",
        "readHistory": false,
        "updateCreate": true,
        "conditionalCreate": true,
        "searchParam": parameters,
    });
    match resource_type {
        "Patient" => {
            let everything = "http://hl7.org/fhir/OperationDefinition/Patient-everything";
            resource["operation"] = json!([
                export("patient-export"),
                {"name": "everything", "definition": everything},
            ]);
        }
        "Group" => resource["operation"] = json!([export("group-export")]),
        _ => {}
    }
    resource
}

fn export(definition: &str) -> Value {
    let definitions = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition";
    json!({"name": "export", "definition": format!("{definitions}/{definition}")})
}

fn token_url(asked: &Asked) -> String {
    format!("{}/oauth2/token", asked.base_url)
}
