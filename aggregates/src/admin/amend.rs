//! Amending an admin: changes are applied in order to a copy, which is then compared record by record with the state
//! before.

use super::AdminError;
use super::differences::differences;
use super::event::AdminEvent;
use super::granting::Granter;
use super::profile::{Address, AddressDetails, PhoneNumber, Profile, collapse};
use crate::values::{CountryCode, Problem, RegionCode, check_name, check_text};
use std::collections::BTreeMap;

/// One step of an amendment. Positions refer to the state after the steps before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminChange {
    /// Changes the granted policies.
    Policies(ListEdit),
    /// Changes the custom permissions.
    CustomPermissions(ListEdit),
    /// Sets or clears the salutation code.
    Salutation(Option<u32>),
    /// Sets a text of the person; `None` clears an optional one.
    PersonText(PersonText, Option<String>),
    /// Sets or clears the legacy identifier.
    LegacyIdentifier(Option<String>),
    /// Changes the addresses.
    Addresses(AddressEdit),
    /// Changes the telephone numbers.
    PhoneNumbers(PhoneNumberEdit),
}

/// A change of a list of texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListEdit {
    /// Sets the whole list.
    Set(Vec<String>),
    /// Inserts before `at`; `None` appends.
    Insert {
        /// Position, from 0 to the length of the list.
        at: Option<usize>,
        /// New entry.
        entry: String,
    },
    /// Replaces an entry.
    Replace {
        /// Position of the entry.
        at: usize,
        /// New entry.
        entry: String,
    },
    /// Removes an entry.
    Remove {
        /// Position of the entry.
        at: usize,
    },
}

/// A text of the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonText {
    /// Given name; cannot be cleared.
    FirstName,
    /// Family name; cannot be cleared.
    LastName,
    /// Name suffix.
    Suffix,
    /// Address for contact.
    EmailAddress,
}

/// A change of the addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressEdit {
    /// Inserts before `at`; `None` appends.
    Insert {
        /// Position, from 0 to the length of the list.
        at: Option<usize>,
        /// New address, with its own identifier.
        address: Box<Address>,
    },
    /// Replaces an address.
    Replace {
        /// Position of the former address.
        at: usize,
        /// New address, with its own identifier.
        address: Box<Address>,
    },
    /// Removes an address.
    Remove {
        /// Position of the address.
        at: usize,
    },
    /// Removes all addresses.
    Clear,
    /// Sets or clears a text of an address.
    Text {
        /// Position of the address.
        at: usize,
        /// The text to set.
        text: AddressText,
        /// New value.
        value: Option<String>,
    },
    /// Sets the kind of an address.
    Kind {
        /// Position of the address.
        at: usize,
        /// New code, from 1 up.
        address_type: u32,
    },
}

/// A text of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it, as in AddressDetails")]
pub enum AddressText {
    AddressLine1,
    AddressLine2,
    City,
    PostalCode,
    StateProvinceCode,
    CountryCode,
    RegionCode,
}

/// A change of the telephone numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PhoneNumberEdit {
    /// Inserts before `at`; `None` appends.
    Insert {
        /// Position, from 0 to the length of the list.
        at: Option<usize>,
        /// New number, with its own identifier.
        phone_number: PhoneNumber,
    },
    /// Replaces a number.
    Replace {
        /// Position of the former number.
        at: usize,
        /// New number, with its own identifier.
        phone_number: PhoneNumber,
    },
    /// Removes a number.
    Remove {
        /// Position of the number.
        at: usize,
    },
    /// Removes all numbers.
    Clear,
    /// Sets or clears a text of a number.
    Text {
        /// Position of the number.
        at: usize,
        /// The text to set.
        text: PhoneNumberText,
        /// New value.
        value: Option<String>,
    },
    /// Sets the kind of a number.
    Kind {
        /// Position of the number.
        at: usize,
        /// New code, from 1 up.
        phone_type: u32,
    },
}

/// A text of a telephone number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it, as in PhoneNumberDetails")]
pub enum PhoneNumberText {
    PhoneNumber,
    Extension,
}

/// The first step that cannot be applied, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("step {step}: {problem}")]
pub struct AmendmentRefused {
    /// Index of the step, from 0.
    pub step: usize,
    /// True for a wrong position; false for an invalid value.
    pub misplaced: bool,
    /// Problem with the position or value.
    pub problem: Problem,
}

/// Part of a step that is wrong.
enum StepProblem {
    Place(Problem),
    Value(Problem),
}

type StepResult = Result<(), StepProblem>;

/// Applies `changes` to a copy of `profile` and returns the differences, record by record. Fails on grants that
/// `granter` may not give or take away.
pub(super) fn amend(
    profile: &Profile,
    changes: Vec<AdminChange>,
    granter: &Granter,
) -> Result<Vec<AdminEvent>, AdminError> {
    let amended = amended(profile, changes)?;
    granter.check_change(profile, &amended.policies, &amended.custom_permissions)?;
    Ok(differences(profile, amended))
}

fn amended(profile: &Profile, changes: Vec<AdminChange>) -> Result<Profile, AmendmentRefused> {
    let mut amended = profile.clone();
    // Country and state are set by separate steps, so an address is checked as a whole at the end. A problem is
    // reported for the step that set the text last.
    let mut answerable = BTreeMap::new();
    for (step, change) in changes.into_iter().enumerate() {
        if let AdminChange::Addresses(AddressEdit::Text { at, .. }) = change
            && let Some(address) = amended.addresses.get(at)
        {
            answerable.insert(address.id, step);
        }
        apply(&mut amended, change).map_err(|wrong| match wrong {
            StepProblem::Place(problem) => AmendmentRefused { step, misplaced: true, problem },
            StepProblem::Value(problem) => AmendmentRefused { step, misplaced: false, problem },
        })?;
    }
    for address in &amended.addresses {
        if let Some(&step) = answerable.get(&address.id)
            && let Some((_, problem)) = address.details.problems().into_iter().next()
        {
            return Err(AmendmentRefused { step, misplaced: false, problem });
        }
    }
    collapse(&mut amended.policies);
    collapse(&mut amended.custom_permissions);
    Ok(amended)
}

fn apply(profile: &mut Profile, change: AdminChange) -> StepResult {
    match change {
        AdminChange::Policies(edit) => apply_list(&mut profile.policies, edit),
        AdminChange::CustomPermissions(edit) => apply_list(&mut profile.custom_permissions, edit),
        AdminChange::Salutation(salutation) => {
            refuse_if(salutation == Some(0), Problem::NotACode)?;
            profile.person.salutation = salutation;
            Ok(())
        }
        AdminChange::PersonText(PersonText::FirstName, name) => set_name(&mut profile.person.first_name, name),
        AdminChange::PersonText(PersonText::LastName, name) => set_name(&mut profile.person.last_name, name),
        AdminChange::PersonText(PersonText::Suffix, text) => set_unless_empty(&mut profile.person.suffix, text),
        AdminChange::PersonText(PersonText::EmailAddress, text) => {
            set_unless_empty(&mut profile.person.email_address, text)
        }
        AdminChange::LegacyIdentifier(text) => set_unless_empty(&mut profile.legacy_identifier, text),
        AdminChange::Addresses(edit) => apply_addresses(&mut profile.addresses, edit),
        AdminChange::PhoneNumbers(edit) => apply_phone_numbers(&mut profile.phone_numbers, edit),
    }
}

fn apply_list(list: &mut Vec<String>, edit: ListEdit) -> StepResult {
    match edit {
        ListEdit::Set(entries) => {
            entries.iter().try_for_each(|entry| checked(entry))?;
            *list = entries;
        }
        ListEdit::Insert { at, entry } => {
            checked(&entry)?;
            insert(list, at, entry)?;
        }
        ListEdit::Replace { at, entry } => {
            checked(&entry)?;
            *existing(list, at)? = entry;
        }
        ListEdit::Remove { at } => remove(list, at)?,
    }
    Ok(())
}

fn apply_addresses(list: &mut Vec<Address>, edit: AddressEdit) -> StepResult {
    match edit {
        AddressEdit::Insert { at, address } => {
            first_of(address.details.problems())?;
            insert(list, at, *address)
        }
        AddressEdit::Replace { at, address } => {
            first_of(address.details.problems())?;
            existing(list, at).map(|place| *place = *address)
        }
        AddressEdit::Remove { at } => remove(list, at),
        AddressEdit::Clear => {
            list.clear();
            Ok(())
        }
        AddressEdit::Text { at, text, value } => set_address_text(&mut existing(list, at)?.details, text, value),
        AddressEdit::Kind { at, address_type } => {
            let place = existing(list, at)?;
            refuse_if(address_type == 0, Problem::NotACode)?;
            place.details.address_type = address_type;
            Ok(())
        }
    }
}

fn set_address_text(details: &mut AddressDetails, text: AddressText, value: Option<String>) -> StepResult {
    let place = match text {
        AddressText::AddressLine1 => &mut details.address_line1,
        AddressText::AddressLine2 => &mut details.address_line2,
        AddressText::City => &mut details.city,
        AddressText::PostalCode => &mut details.postal_code,
        AddressText::StateProvinceCode => &mut details.state_province_code,
        AddressText::CountryCode => {
            details.country_code = value.as_deref().map(CountryCode::parse).transpose().map_err(StepProblem::Value)?;
            return Ok(());
        }
        AddressText::RegionCode => {
            details.region_code = value.as_deref().map(RegionCode::parse).transpose().map_err(StepProblem::Value)?;
            return Ok(());
        }
    };
    value.as_deref().map_or(Ok(()), checked)?;
    *place = value;
    Ok(())
}

fn apply_phone_numbers(list: &mut Vec<PhoneNumber>, edit: PhoneNumberEdit) -> StepResult {
    match edit {
        PhoneNumberEdit::Insert { at, mut phone_number } => {
            first_of(phone_number.details.problems())?;
            phone_number.details.drop_empty_texts();
            insert(list, at, phone_number)
        }
        PhoneNumberEdit::Replace { at, mut phone_number } => {
            first_of(phone_number.details.problems())?;
            phone_number.details.drop_empty_texts();
            existing(list, at).map(|place| *place = phone_number)
        }
        PhoneNumberEdit::Remove { at } => remove(list, at),
        PhoneNumberEdit::Clear => {
            list.clear();
            Ok(())
        }
        PhoneNumberEdit::Text { at, text, value } => {
            let details = &mut existing(list, at)?.details;
            let place = match text {
                PhoneNumberText::PhoneNumber => &mut details.phone_number,
                PhoneNumberText::Extension => &mut details.extension,
            };
            set_unless_empty(place, value)
        }
        PhoneNumberEdit::Kind { at, phone_type } => {
            let place = existing(list, at)?;
            refuse_if(phone_type == 0, Problem::NotACode)?;
            place.details.phone_type = phone_type;
            Ok(())
        }
    }
}

fn insert<T>(list: &mut Vec<T>, at: Option<usize>, entry: T) -> StepResult {
    let at = at.unwrap_or(list.len());
    if at > list.len() {
        return Err(StepProblem::Place(Problem::NoSuchElement { length: list.len() }));
    }
    list.insert(at, entry);
    Ok(())
}

fn existing<T>(list: &mut [T], at: usize) -> Result<&mut T, StepProblem> {
    let length = list.len();
    list.get_mut(at).ok_or(StepProblem::Place(Problem::NoSuchElement { length }))
}

fn remove<T>(list: &mut Vec<T>, at: usize) -> StepResult {
    existing(list, at)?;
    list.remove(at);
    Ok(())
}

fn set_name(place: &mut String, name: Option<String>) -> StepResult {
    let name = name.ok_or(StepProblem::Place(Problem::Required))?;
    check_name(&name).map_err(StepProblem::Value)?;
    *place = name;
    Ok(())
}

fn set_unless_empty(place: &mut Option<String>, text: Option<String>) -> StepResult {
    let text = text.filter(|text| !text.is_empty());
    text.as_deref().map_or(Ok(()), checked)?;
    *place = text;
    Ok(())
}

fn checked(text: &str) -> StepResult {
    check_text(text).map_err(StepProblem::Value)
}

fn first_of(problems: Vec<(&'static str, Problem)>) -> StepResult {
    problems.into_iter().next().map_or(Ok(()), |(_, problem)| Err(StepProblem::Value(problem)))
}

fn refuse_if(condition: bool, problem: Problem) -> StepResult {
    if condition { Err(StepProblem::Value(problem)) } else { Ok(()) }
}
