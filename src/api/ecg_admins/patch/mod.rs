//! JSON Patch steps (RFC 6902: `add`, `replace`, `remove`) on the display model, as changes of the domain.
//!
//! One step becomes one change, so that the domain's refusal of a change names the step. Errors that do not depend on
//! the admin are found here, all at once; positions in lists are checked by the domain.

use super::requests::{address, new_address, new_phone_number, phone_number};
use crate::api::common::findings::Findings;
use crate::api::common::json::FromJson;
use crate::api::common::members::{MemberReader, code, list, name, text};
use registrar_aggregates::admin::{
    AddressEdit, AddressText, AdminChange, ListEdit, PersonText, PhoneNumberEdit, PhoneNumberText,
};
use registrar_aggregates::values::{CountryCode, Problem, RegionCode};
use serde_json::Value;

/// The steps of a patch, in order.
pub struct PatchEcgAdmin(pub Vec<AdminChange>);

impl FromJson for PatchEcgAdmin {
    const CONTENT_TYPES: &'static [&'static str] = &["application/json", "application/json-patch+json"];
    const ROOT: &'static str = "operations";
    const BETWEEN: &'static str = ": ";

    fn from_json(json: Value, findings: &mut Findings) -> Option<Self> {
        let Value::Array(operations) = json else {
            findings.add("body", "must be an array");
            return None;
        };
        let changes: Vec<_> = operations
            .into_iter()
            .enumerate()
            .map(|(index, operation)| change(operation, &format!("operations[{index}]"), findings))
            .collect();
        changes.into_iter().collect::<Option<_>>().map(PatchEcgAdmin)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Add,
    Replace,
    Remove,
}

fn operation(json: Value, path: &str, findings: &mut Findings) -> Option<Operation> {
    match json.as_str() {
        Some("add") => Some(Operation::Add),
        Some("replace") => Some(Operation::Replace),
        Some("remove") => Some(Operation::Remove),
        _ => {
            findings.add(path, "must be one of the following values: add, replace, remove");
            None
        }
    }
}

/// The tokens of a JSON Pointer (RFC 6901).
fn pointer(json: Value, path: &str, findings: &mut Findings) -> Option<Vec<String>> {
    let pointer = text(json, path, findings)?;
    let token = |token: &str| {
        let escapes_hold = token.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        escapes_hold.then(|| token.replace("~1", "/").replace("~0", "~"))
    };
    let mut tokens = pointer.split('/');
    let tokens = match tokens.next() {
        Some("") => tokens.map(token).collect(),
        _ => None,
    };
    if tokens.is_none() {
        findings.add(path, "must be a JSON Pointer");
    }
    tokens
}

fn change(json: Value, at: &str, findings: &mut Findings) -> Option<AdminChange> {
    let mut members = MemberReader::of(json, at, findings)?;
    let operation = members.required("op", operation);
    let tokens = members.required("path", pointer);
    let value = members.optional("value", |json: Value, _: &str, _: &mut Findings| Some(json));
    // Members that RFC 6902 does not define are ignored, as its section 4 requires.
    let mut step = Step {
        operation: operation?,
        value,
        path: members.path_of("path"),
        value_path: members.path_of("value"),
        findings: members.findings,
    };
    let tokens = tokens?;
    step.change(&tokens.iter().map(String::as_str).collect::<Vec<_>>())
}

struct Step<'f> {
    operation: Operation,
    value: Option<Value>,
    path: String,
    value_path: String,
    findings: &'f mut Findings,
}

/// A change of one entry of a list.
enum EntryEdit<T> {
    Insert { at: Option<usize>, entry: T },
    Replace { at: usize, entry: T },
    Remove { at: usize },
}

impl Step<'_> {
    fn change(&mut self, tokens: &[&str]) -> Option<AdminChange> {
        match tokens {
            ["policies"] => self.list().map(AdminChange::Policies),
            ["policies", at] => self.list_entry(at).map(AdminChange::Policies),
            ["customPermissions"] => self.list().map(AdminChange::CustomPermissions),
            ["customPermissions", at] => self.list_entry(at).map(AdminChange::CustomPermissions),
            ["person", "party", "legacyIdentifier"] => self.clearable(text).map(AdminChange::LegacyIdentifier),
            ["person", "party", "addresses", rest @ ..] => self.addresses(rest).map(AdminChange::Addresses),
            ["person", "party", "phoneNumbers", rest @ ..] => self.phone_numbers(rest).map(AdminChange::PhoneNumbers),
            ["person", "salutation"] => self.clearable(code).map(AdminChange::Salutation),
            ["person", "firstName"] => self.name(PersonText::FirstName),
            ["person", "lastName"] => self.name(PersonText::LastName),
            ["person", "suffix"] => self.person_text(PersonText::Suffix),
            ["person", "emailAddress" | "contactEmailAddress"] => self.person_text(PersonText::EmailAddress),
            [] | ["id"] | ["activeInfo", ..] | ["person"] | ["person", "id"] => self.read_only(),
            ["person", "party"] | ["person", "party", "id"] => self.read_only(),
            ["person", "party", "activeInfo" | "archiveInfo" | "auditInfo", ..] => self.read_only(),
            _ => self.unknown(),
        }
    }

    fn list(&mut self) -> Option<ListEdit> {
        match self.operation {
            Operation::Add | Operation::Replace => self.value(list(text)).map(ListEdit::Set),
            Operation::Remove => Some(ListEdit::Set(Vec::new())),
        }
    }

    fn list_entry(&mut self, at: &str) -> Option<ListEdit> {
        self.entry(at, text).map(|edit| match edit {
            EntryEdit::Insert { at, entry } => ListEdit::Insert { at, entry },
            EntryEdit::Replace { at, entry } => ListEdit::Replace { at, entry },
            EntryEdit::Remove { at } => ListEdit::Remove { at },
        })
    }

    fn name(&mut self, which: PersonText) -> Option<AdminChange> {
        self.required(name).map(|name| AdminChange::PersonText(which, Some(name)))
    }

    fn person_text(&mut self, which: PersonText) -> Option<AdminChange> {
        self.clearable(text).map(|text| AdminChange::PersonText(which, text))
    }

    fn addresses(&mut self, tokens: &[&str]) -> Option<AddressEdit> {
        let (at, member) = match tokens {
            [] => return self.clear().map(|()| AddressEdit::Clear),
            [at] => {
                return self.entry(at, address).map(|edit| match edit {
                    EntryEdit::Insert { at, entry } => {
                        AddressEdit::Insert { at, address: Box::new(new_address(entry)) }
                    }
                    EntryEdit::Replace { at, entry } => {
                        AddressEdit::Replace { at, address: Box::new(new_address(entry)) }
                    }
                    EntryEdit::Remove { at } => AddressEdit::Remove { at },
                });
            }
            [at, "id" | "countryName" | "stateProvinceName" | "regionName"] | [at, "auditInfo", ..] => {
                return self.existing(at).and_then(|_| self.read_only());
            }
            [at, member] => (self.existing(at)?, *member),
            _ => return self.unknown(),
        };
        let text_of = match member {
            "addressType" => return self.required(code).map(|address_type| AddressEdit::Kind { at, address_type }),
            "addressLine1" => AddressText::AddressLine1,
            "addressLine2" => AddressText::AddressLine2,
            "city" => AddressText::City,
            "postalCode" => AddressText::PostalCode,
            "stateProvinceCode" => AddressText::StateProvinceCode,
            "countryCode" => AddressText::CountryCode,
            "regionCode" => AddressText::RegionCode,
            _ => return self.unknown(),
        };
        let value = self.clearable(text)?;
        if let Some(code) = &value {
            match text_of {
                AddressText::CountryCode => drop(self.findings.check(&self.value_path, CountryCode::parse(code))),
                AddressText::RegionCode => drop(self.findings.check(&self.value_path, RegionCode::parse(code))),
                _ => {}
            }
        }
        Some(AddressEdit::Text { at, text: text_of, value })
    }

    fn phone_numbers(&mut self, tokens: &[&str]) -> Option<PhoneNumberEdit> {
        let (at, member) = match tokens {
            [] => return self.clear().map(|()| PhoneNumberEdit::Clear),
            [at] => {
                return self.entry(at, phone_number).map(|edit| match edit {
                    EntryEdit::Insert { at, entry } => {
                        PhoneNumberEdit::Insert { at, phone_number: new_phone_number(entry) }
                    }
                    EntryEdit::Replace { at, entry } => {
                        PhoneNumberEdit::Replace { at, phone_number: new_phone_number(entry) }
                    }
                    EntryEdit::Remove { at } => PhoneNumberEdit::Remove { at },
                });
            }
            [at, "id"] => return self.existing(at).and_then(|_| self.read_only()),
            [at, member] => (self.existing(at)?, *member),
            _ => return self.unknown(),
        };
        let text_of = match member {
            "phoneType" => return self.required(code).map(|phone_type| PhoneNumberEdit::Kind { at, phone_type }),
            "phoneNumber" => PhoneNumberText::PhoneNumber,
            "extension" => PhoneNumberText::Extension,
            _ => return self.unknown(),
        };
        self.clearable(text).map(|value| PhoneNumberEdit::Text { at, text: text_of, value })
    }

    /// Edit of the entry at `token`.
    fn entry<T>(&mut self, token: &str, read: fn(Value, &str, &mut Findings) -> Option<T>) -> Option<EntryEdit<T>> {
        match self.operation {
            Operation::Add => {
                let at = if token == "-" { None } else { Some(self.existing(token)?) };
                self.value(read).map(|entry| EntryEdit::Insert { at, entry })
            }
            Operation::Replace => {
                let at = self.existing(token)?;
                self.value(read).map(|entry| EntryEdit::Replace { at, entry })
            }
            Operation::Remove => self.existing(token).map(|at| EntryEdit::Remove { at }),
        }
    }

    /// A position in a list, in plain digits. Digits beyond the number range are a position beyond all lists.
    fn existing(&mut self, token: &str) -> Option<usize> {
        let digits = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_digit());
        if digits && (token == "0" || !token.starts_with('0')) {
            Some(token.parse().unwrap_or(usize::MAX))
        } else if token == "-" {
            self.refuse("may end in - only for add")
        } else {
            self.refuse("must name a position in the list")
        }
    }

    fn value<T>(&mut self, read: impl FnOnce(Value, &str, &mut Findings) -> Option<T>) -> Option<T> {
        match self.value.take() {
            Some(value) => read(value, &self.value_path, self.findings),
            None => {
                self.findings.add(&self.value_path, "must be given");
                None
            }
        }
    }

    /// The new value of a removable element; null removes it too.
    fn clearable<T>(&mut self, read: fn(Value, &str, &mut Findings) -> Option<T>) -> Option<Option<T>> {
        match (self.operation, &self.value) {
            (Operation::Remove, _) | (_, Some(Value::Null)) => Some(None),
            _ => self.value(read).map(Some),
        }
    }

    /// The new value of a required element.
    fn required<T>(&mut self, read: fn(Value, &str, &mut Findings) -> Option<T>) -> Option<T> {
        match self.operation {
            Operation::Remove => self.refuse(Problem::Required.to_string()),
            Operation::Add | Operation::Replace => self.value(read),
        }
    }

    /// Empties a list of objects; it cannot be set, since no value may be a list of objects.
    fn clear(&mut self) -> Option<()> {
        match self.operation {
            Operation::Remove => Some(()),
            Operation::Add | Operation::Replace => self.refuse("can only be changed entry by entry"),
        }
    }

    fn read_only<T>(&mut self) -> Option<T> {
        self.refuse("is read only")
    }

    fn unknown<T>(&mut self) -> Option<T> {
        self.refuse("names nothing that an ECG Admin has")
    }

    fn refuse<T>(&mut self, problem: impl Into<String>) -> Option<T> {
        self.findings.add(&self.path, problem);
        None
    }
}

#[cfg(test)]
mod tests;
