//! One visit: the resources that it leaves.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::clinic::Practitioner;
use super::illness::{ACUTE, Illness, Medicine};
use super::measurements::Findings;
use super::person::Person;
use super::{Maker, Random, concept};

const SNOMED: &str = "http://snomed.info/sct";

/// One visit that is being made up.
pub(super) struct Visit<'a> {
    pub(super) person: &'a Person,
    pub(super) practitioner: &'a Practitioner,
    pub(super) encounter: String,
    pub(super) day: Date,
    pub(super) hour: i8,
    /// What the resources of the visit carry as their time.
    pub(super) recorded: Timestamp,
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

    pub(super) fn condition(
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

    pub(super) fn encounter(
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

    pub(super) fn observations(&self, maker: &mut Maker, findings: Findings, random: &mut Random) {
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

    pub(super) fn prescription(
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

/// A time on the day of a visit.
pub(super) fn instant(day: Date, hour: i8, minute: i8) -> Timestamp {
    let time = day.at(hour, minute, 0, 0);
    TimeZone::UTC.to_timestamp(time).unwrap_or_default()
}
