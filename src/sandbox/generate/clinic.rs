//! The clinics and those who work there.

use jiff::Timestamp;
use serde_json::json;

use super::names::{ORIGINS, TOWNS};
use super::{Maker, Random, concept};

const CLINICS: [&str; 3] = [
    "Riverside Community Hospital",
    "Lakeview Family Practice",
    "Centre de santé Saint-Élie",
];
const OPENED: &str = "2022-01-03T09:00:00Z";

/// One of those who treat.
pub(super) struct Practitioner {
    pub(super) id: String,
    pub(super) name: String,
}

/// All that treat and where.
pub(super) struct Clinic {
    organizations: Vec<String>,
    practitioners: Vec<Practitioner>,
}

impl Clinic {
    pub(super) fn open(maker: &mut Maker, random: &mut Random) -> Self {
        let opened: Timestamp = OPENED.parse().unwrap_or_default();
        let organizations = CLINICS
            .iter()
            .zip(&TOWNS)
            .map(|(name, town)| {
                let id = random.uuid();
                let organization = json!({
                    "resourceType": "Organization",
                    "id": id,
                    "active": true,
                    "type": [concept("http://terminology.hl7.org/CodeSystem/organization-type", "prov", "Healthcare Provider")],
                    "name": name,
                    "address": [{"city": town.name, "state": town.state, "postalCode": town.postal_code, "country": "US"}],
                });
                maker.put(&id, opened, organization);
                id
            })
            .collect();
        let practitioners = (0..8)
            .map(|number| {
                let (id, origin) = (random.uuid(), random.pick(&ORIGINS));
                let female = random.percent(55);
                let names = if female { &origin.women } else { &origin.men };
                let (given, family) = (*random.pick(names), *random.pick(&origin.families));
                let name = format!("Dr. {given} {family}");
                let practitioner = json!({
                    "resourceType": "Practitioner",
                    "id": id,
                    // Real ones begin with 1 or 2.
                    "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": format!("999990000{number}")}],
                    "active": true,
                    "name": [{"use": "official", "text": name, "family": family, "given": [given], "prefix": ["Dr."]}],
                    "gender": if female { "female" } else { "male" },
                });
                maker.put(&id, opened, practitioner);
                Practitioner { id, name }
            })
            .collect();
        Self {
            organizations,
            practitioners,
        }
    }

    /// The organization that a patient goes to, by the patient's number.
    pub(super) fn organization(&self, number: usize) -> &str {
        &self.organizations[number % self.organizations.len()]
    }

    pub(super) fn any_practitioner(&self, random: &mut Random) -> &Practitioner {
        random.pick(&self.practitioners)
    }
}
