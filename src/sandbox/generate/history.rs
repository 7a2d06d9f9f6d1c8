//! What happened to a patient: conditions, visits, measurements, prescriptions, a note.

use jiff::Timestamp;
use jiff::civil::date;

use super::clinic::Clinic;
use super::illness::ACUTE;
use super::measurements::measure;
use super::person::{Person, days};
use super::visit::{Visit, instant};
use super::{Maker, Random, note};

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
        let newly_seen = person.illnesses.iter().filter(|_| is_first);
        chronic.extend(newly_seen.map(|(illness, began)| {
            let condition = visit.condition(maker, illness, *began, None, random);
            (*illness, condition)
        }));
        let acute = (!is_first && random.percent(45)).then(|| random.pick(&ACUTE));
        let problem = acute.map(|illness| {
            let began = day - days(random.between(1, 4));
            let over = Some(day + days(random.between(4, 12)));
            let condition = visit.condition(maker, illness, began, over, random);
            (illness, condition)
        });
        let organization = clinic.organization(person.number);
        let reason = problem.as_ref().or(chronic.first());
        visit.encounter(maker, organization, is_first, reason);
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
