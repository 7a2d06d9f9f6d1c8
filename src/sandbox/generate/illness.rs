//! Illnesses, how often they are, and what is prescribed for them.

/// Something that people have (SNOMED CT, ICD-10-CM).
#[derive(Debug)]
pub(super) struct Illness {
    pub(super) snomed: &'static str,
    pub(super) icd10: &'static str,
    pub(super) display: &'static str,
    /// How many of a hundred have it, from which age on.
    pub(super) percent: u64,
    pub(super) from_age: u64,
    pub(super) medicine: Option<Medicine>,
}

/// What helps (RxNorm).
#[derive(Debug)]
pub(super) struct Medicine {
    pub(super) rxnorm: &'static str,
    pub(super) display: &'static str,
    pub(super) dosage: &'static str,
}

pub(super) const HYPERTENSION: &str = "59621000";
pub(super) const DIABETES: &str = "44054006";
pub(super) const HYPERLIPIDEMIA: &str = "55822004";

/// Those that stay.
pub(super) const CHRONIC: [Illness; 9] = [
    illness(HYPERTENSION, "I10", "Essential hypertension", 42, 40).treated_with(
        "314076",
        "lisinopril 10 MG Oral Tablet",
        "Take 1 tablet once a day",
    ),
    illness(DIABETES, "E11.9", "Diabetes mellitus type 2", 20, 35).treated_with(
        "861007",
        "metformin hydrochloride 500 MG Oral Tablet",
        "Take 1 tablet twice a day with meals",
    ),
    illness(HYPERLIPIDEMIA, "E78.5", "Hyperlipidemia", 33, 35).treated_with(
        "312961",
        "simvastatin 20 MG Oral Tablet",
        "Take 1 tablet in the evening",
    ),
    illness("195967001", "J45.909", "Asthma", 9, 0).treated_with(
        "2123111",
        "NDA020503 200 ACTUAT albuterol 0.09 MG/ACTUAT Metered Dose Inhaler",
        "2 puffs every 4 to 6 hours as needed",
    ),
    illness("239873007", "M17.9", "Osteoarthritis of knee", 22, 50).treated_with(
        "313782",
        "acetaminophen 325 MG Oral Tablet",
        "Take 2 tablets every 6 hours as needed",
    ),
    illness("49436004", "I48.91", "Atrial fibrillation", 9, 65).treated_with(
        "855332",
        "warfarin sodium 5 MG Oral Tablet",
        "Take 1 tablet once a day",
    ),
    illness("64859006", "M81.0", "Osteoporosis", 12, 60).treated_with(
        "904419",
        "alendronic acid 10 MG Oral Tablet",
        "Take 1 tablet in the morning, half an hour before eating",
    ),
    illness("35489007", "F32.A", "Depressive disorder", 12, 0),
    illness("40055000", "J32.9", "Chronic sinusitis", 10, 0),
];

/// Those that pass; each a reason for a visit.
pub(super) const ACUTE: [Illness; 4] = [
    illness("195662009", "J02.9", "Acute viral pharyngitis", 30, 0),
    illness("10509002", "J20.9", "Acute bronchitis", 25, 0),
    illness("444814009", "J01.90", "Viral sinusitis", 25, 0),
    illness("44465007", "S93.409A", "Sprain of ankle", 20, 0).treated_with(
        "310965",
        "ibuprofen 200 MG Oral Tablet",
        "Take 1 to 2 tablets every 6 hours with food as needed",
    ),
];

const fn illness(
    snomed: &'static str,
    icd10: &'static str,
    display: &'static str,
    percent: u64,
    from_age: u64,
) -> Illness {
    Illness {
        snomed,
        icd10,
        display,
        percent,
        from_age,
        medicine: None,
    }
}

impl Illness {
    const fn treated_with(
        self,
        rxnorm: &'static str,
        display: &'static str,
        dosage: &'static str,
    ) -> Self {
        Self {
            medicine: Some(Medicine {
                rxnorm,
                display,
                dosage,
            }),
            ..self
        }
    }
}
