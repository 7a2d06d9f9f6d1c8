//! What goes first: a rank for each resource type, so that what is pointed at is there before what points at it.

/// Ranks of resources that are written, lowest first. What is not named here goes into the rank of [`OTHERS`].
const RANKS: &[&[&str]] = &[
    &[
        "Binary",
        "CapabilityStatement",
        "CodeSystem",
        "CompartmentDefinition",
        "ConceptMap",
        "DeviceDefinition",
        "EventDefinition",
        "ExampleScenario",
        "GraphDefinition",
        "ImplementationGuide",
        "Library",
        "MessageDefinition",
        "NamingSystem",
        "OperationDefinition",
        "SearchParameter",
        "StructureDefinition",
        "StructureMap",
        "Substance",
        "SubstanceSpecification",
        "TerminologyCapabilities",
        "ValueSet",
    ],
    &[
        "Organization",
        "ObservationDefinition",
        "Questionnaire",
        "SpecimenDefinition",
    ],
    &[
        "ActivityDefinition",
        "Endpoint",
        "OrganizationAffiliation",
        "Medication",
        "MedicationKnowledge",
    ],
    &[
        "ChargeItemDefinition",
        "InsurancePlan",
        "Location",
        "Measure",
        "PlanDefinition",
    ],
    &["HealthcareService", "Practitioner"],
    &["PractitionerRole"],
    &["Patient"],
    &["Person", "RelatedPerson"],
    &["Device", "Group", "Schedule"],
    &["Coverage", "DeviceMetric", "ResearchStudy", "Slot"],
    &["Account", "Consent", "Contract", "ResearchSubject"],
    &["EpisodeOfCare"],
    &["Appointment"],
    &["AppointmentResponse", "Encounter"],
    &[
        "AllergyIntolerance",
        "BodyStructure",
        "Condition",
        "FamilyMemberHistory",
        "Flag",
    ],
    &["CareTeam", "Goal"],
    &["CarePlan", "NutritionOrder", "RequestGroup"],
    &[
        "DeviceRequest",
        "MedicationRequest",
        "ServiceRequest",
        "SupplyRequest",
        "VisionPrescription",
    ],
    &["ImmunizationRecommendation", "Specimen", "Task"],
    &["Procedure"],
    &[
        "Immunization",
        "ImagingStudy",
        "MedicationAdministration",
        "MedicationDispense",
        "MedicationStatement",
    ],
    &["Media", "QuestionnaireResponse"],
    &["Observation"],
    &[
        "DiagnosticReport",
        "ImmunizationEvaluation",
        "RiskAssessment",
    ],
    &[
        "ChargeItem",
        "ClinicalImpression",
        "DetectedIssue",
        "DocumentReference",
    ],
    &["Claim", "CoverageEligibilityRequest", "EnrollmentRequest"],
    &[
        "ClaimResponse",
        "CoverageEligibilityResponse",
        "EnrollmentResponse",
    ],
    &[
        "ExplanationOfBenefit",
        "Invoice",
        "PaymentNotice",
        "PaymentReconciliation",
    ],
    &[],
    &["Composition", "DocumentManifest", "List"],
    &[
        "AuditEvent",
        "Basic",
        "Bundle",
        "Linkage",
        "MessageHeader",
        "Provenance",
    ],
];
/// The rank of types that nobody named: after what they may point at, before what may point at them.
const OTHERS: u8 = 28;
/// The last rank there can be. Deletions come last, and the other way round.
pub const LAST: u8 = 63;

/// The rank of a resource type; a line without one goes first, so that it is told of first.
pub fn rank(resource_type: &str) -> u8 {
    let found = RANKS
        .iter()
        .position(|types| types.contains(&resource_type));
    match found {
        Some(rank) => u8::try_from(rank).unwrap_or(OTHERS),
        None if resource_type.is_empty() => 0,
        None => OTHERS,
    }
}

/// The rank of a deletion.
pub fn rank_of_deletion(resource_type: &str) -> u8 {
    LAST - rank(resource_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pointed_at_has_the_lower_rank() {
        let order = [
            "Organization",
            "Location",
            "Practitioner",
            "PractitionerRole",
            "Patient",
            "Encounter",
            "Condition",
            "CareTeam",
            "CarePlan",
            "MedicationRequest",
            "Procedure",
            "Observation",
            "DiagnosticReport",
            "Claim",
            "ExplanationOfBenefit",
            "Invented",
            "Provenance",
        ];
        let ranks: Vec<u8> = order.iter().map(|name| rank(name)).collect();
        assert!(ranks.is_sorted(), "{ranks:?}");
        assert_eq!(RANKS.len() - 1, usize::from(rank("Provenance")));
        assert!(RANKS[usize::from(OTHERS)].is_empty() && RANKS.len() < 32);
        assert!(rank_of_deletion("Observation") < rank_of_deletion("Patient"));
        assert!(rank_of_deletion("Provenance") > rank("Provenance"));
    }
}
