//! What happened to a patient: conditions, visits, measurements, prescriptions, a note.

use jiff::Timestamp;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::clinic::{Clinic, Practitioner};
use super::illness::{ACUTE, Illness, Medicine};
use super::measurements::{Findings, measure};
use super::person::{Person, days};
use super::{Maker, Random, concept, note};

const SNOMED: &str = "http://snomed.info/sct";

/// One visit that is being made up.
pub(super) struct Visit<'a> {
    pub(super) person: &'a Person,
    pub(super) practitioner: &'a Practitioner,
    pub(super) encounter: String,
    pub(super) day: Date,
    hour: i8,
    /// What the resources of the visit carry as their time.
    pub(super) recorded: Timestamp,
}

/// Makes all that happened to a person, and says when the last visit was recorded.
pub(super) fn all(
    maker: &mut Maker,
    person: &Person,
    clinic: &Clinic,
    random: &mut Random,
) -> Timestamp {
    let mut chronic = Vec::new();
    let number = random.between(1, 2) + person.illnesses.len().min(3) as u64;
    // The visits lie evenly over three years up to the day of the data, and no two on one day.
    let apart = 1080 / number;
    let mut recorded = Timestamp::default();
    for index in 0..number {
        let day = date(2023, 1, 2) + days(index * apart + random.between(0, apart - 1));
        let hour = i8::try_from(random.between(8, 16)).unwrap_or_default();
        let visit = Visit {
            person,
            practitioner: clinic.any_practitioner(random),
            encounter: random.uuid(),
            day,
            hour,
            recorded: instant(day, hour, 45),
        };
        recorded = visit.recorded;
        let is_first = index == 0;
        if is_first {
            for (illness, began) in &person.illnesses {
                let condition = visit.condition(maker, illness, *began, None, random);
                chronic.push((*illness, condition));
            }
        }
        let acute = (!is_first && random.percent(45)).then(|| random.pick(&ACUTE));
        let problem = acute.map(|illness| {
            let (began, over) = (
                day - days(random.between(1, 4)),
                day + days(random.between(4, 12)),
            );
            (
                illness,
                visit.condition(maker, illness, began, Some(over), random),
            )
        });
        let organization = clinic.organization(person.number);
        visit.encounter(
            maker,
            organization,
            is_first,
            problem.as_ref().or(chronic.first()),
        );
        let findings = measure(person, is_first, random);
        let treated = if is_first {
            &chronic[..]
        } else {
            problem.as_slice()
        };
        for (illness, condition) in treated {
            if let Some(medicine) = &illness.medicine {
                visit.prescription(maker, medicine, condition, acute.is_none(), random);
            }
        }
        if index + 1 == number {
            note::write(maker, &visit, acute, &findings.summary, random);
        }
        visit.observations(maker, findings, random);
    }
    recorded
}

impl Visit<'_> {
    pub(super) fn at(&self, minute: i8) -> String {
        format!("{:.0}", instant(self.day, self.hour, minute))
    }

    pub(super) fn encounter_reference(&self) -> Value {
        json!({"reference": format!("Encounter/{}", self.encounter)})
    }

    pub(super) fn author(&self) -> Value {
        json!({"reference": format!("Practitioner/{}", self.practitioner.id), "display": self.practitioner.name})
    }

    fn condition(
        &self,
        maker: &mut Maker,
        illness: &Illness,
        began: Date,
        over: Option<Date>,
        random: &mut Random,
    ) -> String {
        let id = random.uuid();
        let status = if over.is_some() { "resolved" } else { "active" };
        let clinical = "http://terminology.hl7.org/CodeSystem/condition-clinical";
        let verification = "http://terminology.hl7.org/CodeSystem/condition-ver-status";
        let category = "http://terminology.hl7.org/CodeSystem/condition-category";
        let category = if over.is_some() {
            concept(category, "encounter-diagnosis", "Encounter Diagnosis")
        } else {
            concept(category, "problem-list-item", "Problem List Item")
        };
        let mut condition = json!({
            "resourceType": "Condition",
            "id": id,
            "clinicalStatus": {"coding": [{"system": clinical, "code": status}]},
            "verificationStatus": {"coding": [{"system": verification, "code": "confirmed"}]},
            "category": [category],
            "code": {
                "coding": [
                    {"system": SNOMED, "code": illness.snomed, "display": illness.display},
                    {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": illness.icd10},
                ],
                "text": illness.display,
            },
            "subject": self.person.subject(),
            "encounter": self.encounter_reference(),
            "onsetDateTime": began.to_string(),
            "recordedDate": self.at(20),
            "recorder": self.author(),
        });
        if let Some(over) = over {
            condition["abatementDateTime"] = over.to_string().into();
        }
        maker.put(&id, self.recorded, condition);
        id
    }

    fn encounter(
        &self,
        maker: &mut Maker,
        organization: &str,
        is_first: bool,
        reason: Option<&(&Illness, String)>,
    ) {
        let kind = match reason {
            _ if is_first => concept(
                SNOMED,
                "162673000",
                "General examination of patient (procedure)",
            ),
            Some((illness, _)) if ACUTE.iter().any(|acute| acute.snomed == illness.snomed) => {
                concept(SNOMED, "185345009", "Encounter for symptom")
            }
            Some(_) => concept(SNOMED, "390906007", "Follow-up encounter"),
            None => concept(SNOMED, "185349003", "Encounter for check up (procedure)"),
        };
        let mut encounter = json!({
            "resourceType": "Encounter",
            "id": self.encounter,
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB", "display": "ambulatory"},
            "type": [kind],
            "subject": self.person.subject(),
            "participant": [{"individual": self.author()}],
            "period": {"start": self.at(0), "end": self.at(30)},
            "serviceProvider": {"reference": format!("Organization/{organization}")},
        });
        if let Some((illness, condition)) = reason {
            encounter["reasonReference"] = json!([{"reference": format!("Condition/{condition}"), "display": illness.display}]);
        }
        maker.put(&self.encounter, self.recorded, encounter);
    }

    fn observations(&self, maker: &mut Maker, findings: Findings, random: &mut Random) {
        for mut measured in findings.observations {
            let id = random.uuid();
            let mut observation = json!({
                "resourceType": "Observation",
                "id": id,
                "status": "final",
                "category": measured["category"].take(),
                "code": measured["code"].take(),
                "subject": self.person.subject(),
                "encounter": self.encounter_reference(),
                "effectiveDateTime": self.at(10),
                "issued": self.at(40),
                "performer": [self.author()],
            });
            for name in ["valueQuantity", "valueCodeableConcept", "component"] {
                if let Some(value) = measured.get_mut(name) {
                    observation[name] = value.take();
                }
            }
            maker.put(&id, self.recorded, observation);
        }
    }

    fn prescription(
        &self,
        maker: &mut Maker,
        medicine: &Medicine,
        condition: &str,
        is_lasting: bool,
        random: &mut Random,
    ) {
        let id = random.uuid();
        let prescription = json!({
            "resourceType": "MedicationRequest",
            "id": id,
            "status": if is_lasting { "active" } else { "completed" },
            "intent": "order",
            "medicationCodeableConcept": concept("http://www.nlm.nih.gov/research/umls/rxnorm", medicine.rxnorm, medicine.display),
            "subject": self.person.subject(),
            "encounter": self.encounter_reference(),
            "authoredOn": self.at(25),
            "requester": self.author(),
            "reasonReference": [{"reference": format!("Condition/{condition}")}],
            "dosageInstruction": [{"sequence": 1, "text": medicine.dosage}],
            "dispenseRequest": {"numberOfRepeatsAllowed": if is_lasting { 3 } else { 0 }},
        });
        maker.put(&id, self.recorded, prescription);
    }
}

fn instant(day: Date, hour: i8, minute: i8) -> Timestamp {
    let time = day.at(hour, minute, 0, 0);
    TimeZone::UTC.to_timestamp(time).unwrap_or_default()
}
