//! What is measured at a visit: numbers that fit the person (LOINC, UCUM).

use serde_json::{Value, json};

use super::illness::{DIABETES, HYPERLIPIDEMIA, HYPERTENSION};
use super::person::Person;
use super::{Random, concept, decimal};

const LOINC: &str = "http://loinc.org";

/// The findings of one visit.
pub(super) struct Findings {
    /// Code, category and value of each; the rest of an Observation is the visit's.
    pub(super) observations: Vec<Value>,
    /// A line for the note.
    pub(super) summary: String,
}

pub(super) fn measure(person: &Person, is_first_visit: bool, random: &mut Random) -> Findings {
    // Hundredths all the way, and no floating point: the same on every machine.
    let square = person.height_mm * person.height_mm;
    let weight = person.mass_index * square / 100_000 + random.between(0, 300) - 150;
    let high = if person.has(HYPERTENSION) { 18 } else { 0 };
    let (systolic, diastolic) = (
        random.between(108, 128) + high,
        random.between(64, 82) + high / 2,
    );
    let mut observations = vec![
        vital("29463-7", "Body weight", weight, "kg", "kg"),
        vital(
            "39156-5",
            "Body mass index (BMI) [Ratio]",
            weight * 1_000_000 / square,
            "kg/m2",
            "kg/m2",
        ),
        vital(
            "8867-4",
            "Heart rate",
            random.between(56, 92) * 100,
            "beats/minute",
            "/min",
        ),
        vital(
            "8310-5",
            "Body temperature",
            random.between(3630, 3720),
            "Cel",
            "Cel",
        ),
        blood_pressure(systolic, diastolic),
        laboratory(
            "2160-0",
            "Creatinine [Mass/volume] in Serum or Plasma",
            random.between(60, 125),
            "mg/dL",
        ),
    ];
    observations.extend(of_illnesses(person, random));
    if is_first_visit {
        let height = person.height_mm * 10;
        observations.push(vital("8302-2", "Body height", height, "cm", "cm"));
        observations.push(smoking(person.smokes));
    }
    let summary = format!(
        "Blood pressure {systolic}/{diastolic} mmHg, weight {}.{:02} kg.",
        weight / 100,
        weight % 100
    );
    Findings {
        observations,
        summary,
    }
}

/// Sugar of everybody, and what long illnesses are watched by.
fn of_illnesses(person: &Person, random: &mut Random) -> Vec<Value> {
    let diabetic = person.has(DIABETES);
    let glucose = if diabetic { 11_800 } else { 7_600 } + random.between(0, 2_400);
    let mut findings = vec![laboratory(
        "2339-0",
        "Glucose [Mass/volume] in Blood",
        glucose,
        "mg/dL",
    )];
    if diabetic {
        let share = random.between(610, 920);
        findings.push(laboratory(
            "4548-4",
            "Hemoglobin A1c/Hemoglobin.total in Blood",
            share,
            "%",
        ));
    }
    if person.has(HYPERLIPIDEMIA) {
        let cholesterol = random.between(9_500, 17_000);
        findings.push(laboratory(
            "2089-1",
            "Cholesterol in LDL [Mass/volume] in Serum or Plasma",
            cholesterol,
            "mg/dL",
        ));
    }
    findings
}

fn vital(code: &str, display: &str, hundredths: u64, unit: &str, ucum: &str) -> Value {
    let mut observation = coded("vital-signs", "Vital Signs", code, display);
    observation["valueQuantity"] = quantity(&decimal(hundredths), unit, ucum);
    observation
}

fn laboratory(code: &str, display: &str, hundredths: u64, unit: &str) -> Value {
    let mut observation = coded("laboratory", "Laboratory", code, display);
    observation["valueQuantity"] = quantity(&decimal(hundredths), unit, unit);
    observation
}

fn blood_pressure(systolic: u64, diastolic: u64) -> Value {
    let part = |code: &str, display: &str, value: u64| {
        json!({
            "code": concept(LOINC, code, display),
            "valueQuantity": quantity(&value.into(), "mmHg", "mm[Hg]"),
        })
    };
    let display = "Blood pressure panel with all children optional";
    let mut observation = coded("vital-signs", "Vital Signs", "85354-9", display);
    observation["component"] = json!([
        part("8480-6", "Systolic blood pressure", systolic),
        part("8462-4", "Diastolic blood pressure", diastolic),
    ]);
    observation
}

fn smoking(smokes: bool) -> Value {
    let (code, display) = if smokes {
        ("77176002", "Smoker")
    } else {
        ("266919005", "Never smoked tobacco")
    };
    let mut observation = coded(
        "social-history",
        "Social History",
        "72166-2",
        "Tobacco smoking status",
    );
    observation["valueCodeableConcept"] = concept("http://snomed.info/sct", code, display);
    observation
}

fn coded(category: &str, category_name: &str, code: &str, display: &str) -> Value {
    let system = "http://terminology.hl7.org/CodeSystem/observation-category";
    json!({
        "category": [concept(system, category, category_name)],
        "code": concept(LOINC, code, display),
    })
}

fn quantity(value: &Value, unit: &str, ucum: &str) -> Value {
    json!({"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": ucum})
}
