//! The model: each step applied to whole lists, as simply as possible.

use super::*;
use crate::values::RegionCode;

/// The profile after the steps, or the number of the refused step.
pub(super) fn model(mut profile: Profile, changes: &[AdminChange]) -> Result<Profile, usize> {
    let mut last_set: Vec<(AddressId, usize)> = vec![];
    for (step, change) in changes.iter().enumerate() {
        if !model_step(&mut profile, change) {
            return Err(step);
        }
        if let AdminChange::Addresses(AddressEdit::Text { at, .. }) = change {
            last_set.push((profile.addresses[*at].id, step));
        }
    }
    for address in &profile.addresses {
        let step = last_set.iter().rev().find(|(id, _)| *id == address.id);
        if let (Some((_, step)), false) = (step, address_is_right(&address.details)) {
            return Err(*step);
        }
    }
    for list in [&mut profile.policies, &mut profile.custom_permissions] {
        let all = std::mem::take(list);
        for entry in all {
            if !list.contains(&entry) {
                list.push(entry);
            }
        }
    }
    Ok(profile)
}

fn model_step(profile: &mut Profile, change: &AdminChange) -> bool {
    match change.clone() {
        AdminChange::Policies(edit) => model_list(&mut profile.policies, edit),
        AdminChange::CustomPermissions(edit) => model_list(&mut profile.custom_permissions, edit),
        AdminChange::Salutation(code) => {
            profile.person.salutation = code;
            code != Some(0)
        }
        AdminChange::PersonText(text, value) => {
            let value = value.filter(|value| !value.is_empty());
            let person = &mut profile.person;
            match (text, value) {
                (PersonText::FirstName, Some(name)) => person.first_name = name,
                (PersonText::LastName, Some(name)) => person.last_name = name,
                (PersonText::FirstName | PersonText::LastName, None) => return false,
                (PersonText::Suffix, value) => person.suffix = value,
                (PersonText::EmailAddress, value) => person.email_address = value,
            }
            let texts = [
                Some(&person.first_name),
                Some(&person.last_name),
                person.suffix.as_ref(),
                person.email_address.as_ref(),
            ];
            texts.into_iter().flatten().all(|text| storable(text))
                && [&person.first_name, &person.last_name].iter().all(|name| !name.trim().is_empty())
        }
        AdminChange::LegacyIdentifier(value) => {
            profile.legacy_identifier = value.filter(|value| !value.is_empty());
            profile.legacy_identifier.as_deref().is_none_or(storable)
        }
        AdminChange::Addresses(edit) => model_addresses(&mut profile.addresses, edit),
        AdminChange::PhoneNumbers(edit) => model_phone_numbers(&mut profile.phone_numbers, edit),
    }
}

fn model_list(list: &mut Vec<String>, edit: ListEdit) -> bool {
    let fits = match edit {
        ListEdit::Set(entries) => {
            *list = entries;
            true
        }
        ListEdit::Insert { at, entry } => splice(list, at, 0, Some(entry)),
        ListEdit::Replace { at, entry } => splice(list, Some(at), 1, Some(entry)),
        ListEdit::Remove { at } => splice(list, Some(at), 1, None),
    };
    fits && list.iter().all(|entry| storable(entry))
}

fn model_addresses(list: &mut Vec<Address>, edit: AddressEdit) -> bool {
    match edit {
        AddressEdit::Insert { at, address } => {
            address_is_right(&address.details) && splice(list, at, 0, Some(*address))
        }
        AddressEdit::Replace { at, address } => {
            address_is_right(&address.details) && splice(list, Some(at), 1, Some(*address))
        }
        AddressEdit::Remove { at } => splice(list, Some(at), 1, None),
        AddressEdit::Clear => {
            list.clear();
            true
        }
        AddressEdit::Kind { at, address_type } => list.get_mut(at).is_some_and(|entry| {
            entry.details.address_type = address_type;
            address_type != 0
        }),
        AddressEdit::Text { at, text, value } => list.get_mut(at).is_some_and(|Address { details, .. }| {
            if !value.as_deref().is_none_or(storable) {
                return false;
            }
            match text {
                AddressText::AddressLine1 => details.address_line1 = value,
                AddressText::AddressLine2 => details.address_line2 = value,
                AddressText::City => details.city = value,
                AddressText::PostalCode => details.postal_code = value,
                AddressText::StateProvinceCode => details.state_province_code = value,
                AddressText::CountryCode => match value.as_deref() {
                    None => details.country_code = None,
                    Some(code @ ("US" | "DE")) => details.country_code = country(code),
                    Some(_) => return false,
                },
                AddressText::RegionCode => match value.as_deref() {
                    None => details.region_code = None,
                    Some("US") => details.region_code = Some(RegionCode::Us),
                    Some("EU") => details.region_code = Some(RegionCode::Eu),
                    Some(_) => return false,
                },
            }
            true
        }),
    }
}

fn model_phone_numbers(list: &mut Vec<PhoneNumber>, edit: PhoneNumberEdit) -> bool {
    let fits = match edit {
        PhoneNumberEdit::Insert { at, phone_number } => splice(list, at, 0, Some(phone_number)),
        PhoneNumberEdit::Replace { at, phone_number } => splice(list, Some(at), 1, Some(phone_number)),
        PhoneNumberEdit::Remove { at } => splice(list, Some(at), 1, None),
        PhoneNumberEdit::Clear => {
            list.clear();
            true
        }
        PhoneNumberEdit::Kind { at, phone_type } => {
            list.get_mut(at).map(|entry| entry.details.phone_type = phone_type).is_some()
        }
        PhoneNumberEdit::Text { at, text, value } => list
            .get_mut(at)
            .map(|entry| match text {
                PhoneNumberText::PhoneNumber => entry.details.phone_number = value,
                PhoneNumberText::Extension => entry.details.extension = value,
            })
            .is_some(),
    };
    for PhoneNumber { details, .. } in list.iter_mut() {
        for text in [&mut details.phone_number, &mut details.extension] {
            *text = text.take().filter(|text| !text.is_empty());
        }
    }
    fits && list.iter().all(|PhoneNumber { details, .. }| {
        details.phone_type != 0
            && [&details.phone_number, &details.extension].into_iter().flatten().all(|text| storable(text))
    })
}

/// Replaces `count` entries from `at` on by `entry`; `None` appends.
fn splice<T>(list: &mut Vec<T>, at: Option<usize>, count: usize, entry: Option<T>) -> bool {
    let at = at.unwrap_or(list.len());
    let fits = at + count <= list.len();
    if fits {
        list.splice(at..at + count, entry);
    }
    fits
}

fn storable(text: &str) -> bool {
    !text.contains('\0')
}

fn address_is_right(details: &AddressDetails) -> bool {
    let in_us = details.country_code.as_ref().is_some_and(|code| code.as_str() == "US");
    let state_fits = matches!(details.state_province_code.as_deref(), None | Some("" | "CA" | "NY"));
    details.address_type != 0
        && address_texts(details.clone()).iter().all(|(_, value)| value.as_deref().is_none_or(storable))
        && (!in_us || state_fits)
}
