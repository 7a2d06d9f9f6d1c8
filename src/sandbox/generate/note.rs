//! The note of a visit: a DocumentReference with its text in a Binary.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::illness::Illness;
use super::visit::Visit;
use super::{Maker, Random, concept};

pub(super) fn write(
    maker: &mut Maker,
    visit: &Visit,
    acute: Option<&Illness>,
    findings: &str,
    random: &mut Random,
) {
    let (id, binary) = (random.uuid(), random.uuid());
    let text = text(visit, acute, findings);
    let document = json!({
        "resourceType": "DocumentReference",
        "id": id,
        "status": "current",
        "type": concept("http://loinc.org", "11506-3", "Progress note"),
        "category": [concept("http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category", "clinical-note", "Clinical Note")],
        "subject": visit.person.subject(),
        "date": visit.at(45),
        "author": [visit.author()],
        "content": [{"attachment": {
            "contentType": "text/plain; charset=utf-8",
            "url": format!("Binary/{binary}"),
            "size": text.len(),
            "title": format!("Progress note of {}", visit.day),
        }}],
        "context": {"encounter": [visit.encounter_reference()]},
    });
    maker.put(&id, visit.recorded, document);
    let attachment = json!({
        "resourceType": "Binary",
        "id": binary,
        "contentType": "text/plain; charset=utf-8",
        "securityContext": {"reference": visit.person.reference()},
        "data": STANDARD.encode(text),
    });
    maker.put(&binary, visit.recorded, attachment);
}

fn text(visit: &Visit, acute: Option<&Illness>, findings: &str) -> String {
    let person = visit.person;
    let illnesses: Vec<&str> = person
        .illnesses
        .iter()
        .map(|(illness, _)| illness.display)
        .collect();
    let problems = if illnesses.is_empty() {
        "none known".to_owned()
    } else {
        illnesses.join(", ")
    };
    let (reason, plan) = match acute {
        Some(illness) => (
            illness.display,
            "Rest; come back if it is not better in ten days.",
        ),
        None => (
            "Regular visit",
            "Go on as before; next visit in six months.",
        ),
    };
    format!(
        "Progress note\n\nPatient: {}, born {}\nSeen on {} by {}\n\nReason: {reason}\nProblems: {problems}\nFindings: {findings}\nPlan: {plan}\n",
        person.name(),
        person.born,
        visit.day,
        visit.practitioner.name,
    )
}
