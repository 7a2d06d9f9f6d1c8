//! Patients and what happened to them, made up: the same for the same seed and number, on every machine.

use super::random::Random;
use super::store::Store;

/// All generated resources carry this time; what is created later carries its own.
const UPDATED: &str = "2026-01-01T00:00:00.000Z";
/// The patient of Medplum's page on external FHIR servers.
const FIRST_PATIENT: &str = "13e44a47-636b-49e2-adb3-9f19c7e0e47a";

const FAMILIES: [&str; 16] = [
    "Ritchie586",
    "García",
    "Müller",
    "Nguyễn",
    "Okafor",
    "Kowalski",
    "Schmidt",
    "Yılmaz",
    "Ivanova",
    "Tanaka",
    "O'Brien",
    "Hernández",
    "Patel",
    "Rossi",
    "Lindström",
    "Novák",
];
const FEMALE: [&str; 8] = [
    "Ana", "Mei", "Amara", "Zofia", "Ingrid", "Elif", "Chloé", "Priya",
];
const MALE: [&str; 8] = [
    "Luis", "Kenji", "Chidi", "Jan", "Björn", "Emre", "Mateo", "Arjun",
];
const CITIES: [(&str, &str, &str); 6] = [
    ("Boston", "MA", "02115"),
    ("Springfield", "IL", "62704"),
    ("Portland", "OR", "97201"),
    ("San José", "CA", "95112"),
    ("Austin", "TX", "78701"),
    ("Burlington", "VT", "05401"),
];
/// SNOMED CT.
const CONDITIONS: [(&str, &str); 8] = [
    ("38341003", "Hypertensive disorder"),
    ("44054006", "Diabetes mellitus type 2"),
    ("195967001", "Asthma"),
    ("55822004", "Hyperlipidemia"),
    ("35489007", "Depressive disorder"),
    ("40055000", "Chronic sinusitis"),
    ("396275006", "Osteoarthritis"),
    ("24700007", "Multiple sclerosis"),
];
/// RxNorm.
const MEDICATIONS: [(&str, &str); 6] = [
    ("314076", "lisinopril 10 MG Oral Tablet"),
    ("860975", "metformin hydrochloride 500 MG Oral Tablet"),
    ("745679", "albuterol 0.09 MG/ACTUAT Inhaler"),
    ("259255", "atorvastatin 20 MG Oral Tablet"),
    ("312940", "sertraline 50 MG Oral Tablet"),
    ("198440", "acetaminophen 500 MG Oral Tablet"),
];
/// LOINC code, name, unit, lowest and highest value in hundredths.
const MEASUREMENTS: [(&str, &str, &str, u64, u64); 6] = [
    ("8302-2", "Body height", "cm", 15_000, 19_500),
    ("29463-7", "Body weight", "kg", 5_000, 12_000),
    ("8867-4", "Heart rate", "/min", 5_500, 9_900),
    ("8310-5", "Body temperature", "Cel", 3_610, 3_790),
    ("2339-0", "Glucose", "mg/dL", 7_000, 16_000),
    ("4548-4", "Hemoglobin A1c", "%", 480, 950),
];

/// A store with patients, those who treat them, and the group of them all.
pub(super) fn store(patients: usize, seed: u64) -> Store {
    let mut maker = Maker {
        store: Store::default(),
        random: Random::new(seed),
    };
    let organizations: Vec<String> = ["Community Hospital", "Riverside Clinic", "Centre de santé"]
        .iter()
        .map(|name| maker.organization(name))
        .collect();
    let practitioners: Vec<String> = (0..5).map(|_| maker.practitioner()).collect();
    let mut members = Vec::new();
    for number in 0..patients {
        let id = if number == 0 {
            FIRST_PATIENT.to_owned()
        } else {
            maker.random.uuid()
        };
        maker.patient(&id, number, &organizations, &practitioners);
        members.push(format!(r#"{{"entity":{{"reference":"Patient/{id}"}}}}"#));
    }
    let group = format!(
        r#"{{"resourceType":"Group","type":"person","actual":true,"name":"All patients","quantity":{patients},"member":[{}]}}"#,
        members.join(",")
    );
    maker.put("Group", "all", &group);
    maker.store
}

struct Maker {
    store: Store,
    random: Random,
}

impl Maker {
    fn put(&mut self, resource_type: &str, id: &str, text: &str) {
        // What is generated is JSON; a test reads all of it.
        let _ = self.store.put(resource_type, id, text, UPDATED);
    }

    fn organization(&mut self, name: &str) -> String {
        let id = self.random.uuid();
        self.put(
            "Organization",
            &id,
            &format!(r#"{{"resourceType":"Organization","active":true,"name":"{name}"}}"#),
        );
        id
    }

    fn practitioner(&mut self) -> String {
        let id = self.random.uuid();
        let (family, given) = (*self.random.pick(&FAMILIES), *self.random.pick(&FEMALE));
        let npi = self.random.between(1_000_000_000, 1_999_999_999);
        self.put(
            "Practitioner",
            &id,
            &format!(
                r#"{{"resourceType":"Practitioner","active":true,"identifier":[{{"system":"http://hl7.org/fhir/sid/us-npi","value":"{npi}"}}],"name":[{{"family":"{family}","given":["{given}"],"prefix":["Dr."]}}]}}"#
            ),
        );
        id
    }

    fn patient(
        &mut self,
        id: &str,
        number: usize,
        organizations: &[String],
        practitioners: &[String],
    ) {
        let female = number > 0 && self.random.between(0, 1) == 1;
        let (gender, given) = if female {
            ("female", *self.random.pick(&FEMALE))
        } else {
            ("male", *self.random.pick(&MALE))
        };
        // The page's patient has a name and an identifier of his own.
        let (family, given, number_of_record) = if number == 0 {
            ("Ritchie586", "Dustin31", "3SH0A00AA00".to_owned())
        } else {
            (
                *self.random.pick(&FAMILIES),
                given,
                format!(
                    "{}MB{:06}",
                    self.random.between(1, 9),
                    self.random.between(0, 999_999)
                ),
            )
        };
        let born = self.date(1935, 2020);
        let (city, state, zip) = *self.random.pick(&CITIES);
        let (street, line) = (self.random.between(1, 999), self.random.between(1, 90));
        let organization = self.random.pick(organizations).clone();
        self.put(
            "Patient",
            id,
            &format!(
                r#"{{"resourceType":"Patient","identifier":[{{"system":"http://hl7.org/fhir/sid/us-mbi","value":"{number_of_record}"}}],"active":true,"name":[{{"use":"official","family":"{family}","given":["{given}"]}}],"telecom":[{{"system":"phone","value":"555-01{line:02}"}}],"gender":"{gender}","birthDate":"{born}","address":[{{"line":["{street} Main Street"],"city":"{city}","state":"{state}","postalCode":"{zip}","country":"US"}}],"managingOrganization":{{"reference":"Organization/{organization}"}}}}"#
            ),
        );
        for _ in 0..self.random.between(1, 3) {
            self.condition(id);
        }
        for _ in 0..self.random.between(1, 4) {
            let practitioner = self.random.pick(practitioners).clone();
            self.visit(id, &organization, &practitioner);
        }
    }

    fn condition(&mut self, patient: &str) {
        let (id, onset) = (self.random.uuid(), self.date(2010, 2024));
        let (code, display) = *self.random.pick(&CONDITIONS);
        self.put(
            "Condition",
            &id,
            &format!(
                r#"{{"resourceType":"Condition","clinicalStatus":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}}]}},"code":{{"coding":[{{"system":"http://snomed.info/sct","code":"{code}","display":"{display}"}}],"text":"{display}"}},"subject":{{"reference":"Patient/{patient}"}},"onsetDateTime":"{onset}"}}"#
            ),
        );
    }

    /// An encounter with its measurements and, now and then, a prescription.
    fn visit(&mut self, patient: &str, organization: &str, practitioner: &str) {
        let (encounter, day, hour) = (
            self.random.uuid(),
            self.date(2024, 2025),
            self.random.between(8, 17),
        );
        self.put(
            "Encounter",
            &encounter,
            &format!(
                r#"{{"resourceType":"Encounter","status":"finished","class":{{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB"}},"type":[{{"coding":[{{"system":"http://snomed.info/sct","code":"162673000","display":"General examination of patient (procedure)"}}]}}],"subject":{{"reference":"Patient/{patient}"}},"participant":[{{"individual":{{"reference":"Practitioner/{practitioner}"}}}}],"period":{{"start":"{day}T{hour:02}:00:00Z","end":"{day}T{hour:02}:30:00Z"}},"serviceProvider":{{"reference":"Organization/{organization}"}}}}"#
            ),
        );
        for (code, display, unit, low, high) in MEASUREMENTS {
            let (id, value) = (self.random.uuid(), self.random.between(low, high));
            // Two decimals, zeros too: a client that rounds them away is found out.
            let value = format!("{}.{:02}", value / 100, value % 100);
            self.put(
                "Observation",
                &id,
                &format!(
                    r#"{{"resourceType":"Observation","status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"{code}","display":"{display}"}}],"text":"{display}"}},"subject":{{"reference":"Patient/{patient}"}},"encounter":{{"reference":"Encounter/{encounter}"}},"effectiveDateTime":"{day}T{hour:02}:10:00Z","valueQuantity":{{"value":{value},"unit":"{unit}","system":"http://unitsofmeasure.org","code":"{unit}"}}}}"#
                ),
            );
        }
        if self.random.between(0, 2) == 0 {
            let id = self.random.uuid();
            let (code, display) = *self.random.pick(&MEDICATIONS);
            self.put(
                "MedicationRequest",
                &id,
                &format!(
                    r#"{{"resourceType":"MedicationRequest","status":"active","intent":"order","medicationCodeableConcept":{{"coding":[{{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"{code}","display":"{display}"}}],"text":"{display}"}},"subject":{{"reference":"Patient/{patient}"}},"encounter":{{"reference":"Encounter/{encounter}"}},"authoredOn":"{day}T{hour:02}:20:00Z","requester":{{"reference":"Practitioner/{practitioner}"}}}}"#
                ),
            );
        }
    }

    fn date(&mut self, first_year: u64, last_year: u64) -> String {
        let (year, month, day) = (
            self.random.between(first_year, last_year),
            self.random.between(1, 12),
            self.random.between(1, 28),
        );
        format!("{year}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn texts(store: &Store) -> Vec<String> {
        let types = store.types();
        types
            .iter()
            .flat_map(|name| store.all(name))
            .map(|(_, stored)| stored.text.clone())
            .collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_data_and_another_one_other_data() {
        assert_eq!(texts(&store(10, 1)), texts(&store(10, 1)));
        assert_ne!(texts(&store(10, 1)), texts(&store(10, 2)));
    }

    #[test]
    fn every_reference_points_at_a_resource_that_is_there() {
        let store = store(20, 7);
        let mut there = HashSet::new();
        for name in store.types() {
            there.extend(store.all(&name).map(|(id, _)| format!("{name}/{id}")));
        }
        for text in texts(&store) {
            let _: serde_json::Value = serde_json::from_str(&text).unwrap();
            crate::fhir::object::rewrite_references(&text, |reference| {
                assert!(there.contains(reference), "{reference}");
                None
            });
        }
        assert!(there.contains(&format!("Patient/{FIRST_PATIENT}")));
    }
}
