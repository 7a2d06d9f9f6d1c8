//! Who a patient is: name, age, body, illnesses.

use jiff::civil::{Date, date};
use jiff::{Span, ToSpan};
use serde_json::{Value, json};

use super::clinic::Clinic;
use super::illness::{CHRONIC, Illness};
use super::names::{ORIGINS, Origin, STREETS, TOWNS, Town};
use super::{Random, concept};

/// The patient of Medplum's page on external FHIR servers.
const FIRST_ID: &str = "13e44a47-636b-49e2-adb3-9f19c7e0e47a";
const FIRST_IDENTIFIER: &str = "3SH0A00AA00";

/// A patient, before the resource is made.
pub(super) struct Person {
    pub(super) id: String,
    pub(super) number: usize,
    pub(super) given: &'static str,
    pub(super) family: &'static str,
    pub(super) born: Date,
    pub(super) height_mm: u64,
    /// Body mass index in tenths.
    pub(super) mass_index: u64,
    /// Each with the day it began.
    pub(super) illnesses: Vec<(&'static Illness, Date)>,
    pub(super) smokes: bool,
    female: bool,
    medicare_number: String,
    origin: &'static Origin,
    town: &'static Town,
    street: String,
    phone: String,
}

impl Person {
    pub(super) fn born(number: usize, random: &mut Random) -> Self {
        let is_first = number == 0;
        let female = !is_first && random.percent(52);
        // Nine of twenty come from the first origin, the others from anywhere.
        let origin = usize::try_from(random.between(0, 19).saturating_sub(8)).unwrap_or_default();
        let origin = &ORIGINS[if is_first { 0 } else { origin }];
        let names = if female { &origin.women } else { &origin.men };
        let (given, family) = (*random.pick(names), *random.pick(&origin.families));
        let age = if is_first { 71 } else { random.between(18, 92) };
        let born = date(2025, 12, 1) - days(age * 365 + age / 4 + random.between(0, 330));
        let town = random.pick(&TOWNS);
        let height_mm = random.between(1600, 1900) - if female { 110 } else { 0 };
        let illnesses = CHRONIC
            .iter()
            .filter(|illness| age >= illness.from_age && random.percent(illness.percent))
            .collect::<Vec<_>>();
        Self {
            id: if is_first {
                FIRST_ID.to_owned()
            } else {
                random.uuid()
            },
            number,
            given: if is_first { "Dustin31" } else { given },
            family: if is_first { "Ritchie586" } else { family },
            born,
            height_mm,
            mass_index: random.between(190, 360),
            illnesses: illnesses
                .into_iter()
                .map(|illness| (illness, date(2013, 1, 1) + days(random.between(0, 3600))))
                .collect(),
            smokes: random.percent(14),
            female,
            medicare_number: medicare_number(is_first, random),
            origin,
            street: format!("{} {}", random.between(1, 989), random.pick(&STREETS)),
            // 555-01xx is for made-up people.
            phone: format!("{}-555-01{:02}", town.area, random.between(0, 99)),
            town,
        }
    }

    pub(super) fn reference(&self) -> String {
        format!("Patient/{}", self.id)
    }

    pub(super) fn name(&self) -> String {
        let prefix = if self.female { "Ms." } else { "Mr." };
        format!("{prefix} {} {}", self.given, self.family)
    }

    /// A reference with the name beside it.
    pub(super) fn subject(&self) -> Value {
        json!({"reference": self.reference(), "display": self.name()})
    }

    pub(super) fn has(&self, snomed: &str) -> bool {
        self.illnesses
            .iter()
            .any(|(illness, _)| illness.snomed == snomed)
    }

    pub(super) fn resource(&self, clinic: &Clinic) -> Value {
        let (language, language_name) = self.origin.language;
        let kind = |code: &str, display: &str| {
            concept(
                "http://terminology.hl7.org/CodeSystem/v2-0203",
                code,
                display,
            )
        };
        json!({
            "resourceType": "Patient",
            "id": self.id,
            "identifier": [
                {
                    "use": "usual",
                    "type": kind("MR", "Medical Record Number"),
                    "system": "http://hospital.example.org/mrn",
                    "value": format!("{:08}", 10_000_001 + self.number),
                },
                {
                    "use": "official",
                    "type": kind("MC", "Patient's Medicare number"),
                    "system": "http://hl7.org/fhir/sid/us-mbi",
                    "value": self.medicare_number,
                },
            ],
            "active": true,
            "name": [{
                "use": "official",
                "text": self.name(),
                "family": self.family,
                "given": self.given.split(' ').collect::<Vec<_>>(),
                "prefix": [if self.female { "Ms." } else { "Mr." }],
            }],
            "telecom": [{"system": "phone", "value": self.phone, "use": "home"}],
            "gender": if self.female { "female" } else { "male" },
            "birthDate": self.born.to_string(),
            "address": [{
                "use": "home",
                "line": [self.street],
                "city": self.town.name,
                "state": self.town.state,
                "postalCode": self.town.postal_code,
                "country": "US",
            }],
            "communication": [{
                "language": concept("urn:ietf:bcp:47", language, language_name),
                "preferred": true,
            }],
            "managingOrganization": {"reference": format!("Organization/{}", clinic.organization(self.number))},
        })
    }
}

pub(super) fn days(number: u64) -> Span {
    i32::try_from(number).unwrap_or_default().days()
}

/// A Medicare Beneficiary Identifier that nobody has: real ones never hold an S.
fn medicare_number(is_first: bool, random: &mut Random) -> String {
    if is_first {
        return FIRST_IDENTIFIER.to_owned();
    }
    let letter = |random: &mut Random| *random.pick(&b"ACDEFGHJKMNPQRTUVWXY"[..]) as char;
    let (a, b, c, d) = (
        letter(random),
        letter(random),
        letter(random),
        letter(random),
    );
    format!(
        "{}S{a}{}{b}{}{}{c}{d}{:02}",
        random.between(1, 9),
        random.between(0, 9),
        random.between(0, 9),
        random.between(0, 9),
        random.between(0, 99)
    )
}
