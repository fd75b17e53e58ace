//! Random sequences of replacements, compared with a model that stores each target state directly.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

const MODES: [&str; 5] = ["Testing", "Production", "Training", "Study_Design", "Operational"];

/// Extra values as small numbers.
type Numbers = BTreeMap<u8, u8>;

/// A replacement in small numbers. Parts are named by their index among the present ones; an index past the end is a
/// new part.
#[derive(Debug, Clone)]
struct Step {
    name: u8,
    status: Option<usize>,
    number: Option<u8>,
    tax_id: Option<u8>,
    modes: Vec<(usize, usize)>,
    addresses: Vec<(usize, u8, Option<Numbers>)>,
    properties: Option<Numbers>,
}

type Values = BTreeMap<String, (String, DateTime<Utc>)>;

/// The expected organization, each part with the start of its version.
#[derive(Debug, Clone, PartialEq)]
struct Model {
    master: (String, Status, Option<String>, Option<String>, DateTime<Utc>),
    modes: Vec<(Uuid, &'static str, DateTime<Utc>)>,
    addresses: Vec<(Uuid, String, Values, DateTime<Utc>)>,
    properties: Values,
}

fn values() -> impl Strategy<Value = BTreeMap<u8, u8>> {
    prop::collection::btree_map(0..4_u8, 0..3_u8, 0..4)
}

fn step() -> impl Strategy<Value = Step> {
    let small = || prop::option::of(0..3_u8);
    let modes = prop::collection::vec((0..5_usize, 0..5_usize), 0..5);
    let addresses = prop::collection::vec((0..4_usize, 0..3_u8, prop::option::of(values())), 0..4);
    (0..3_u8, prop::option::of(0..3_usize), small(), small(), modes, addresses, prop::option::of(values())).prop_map(
        |(name, status, number, tax_id, modes, addresses, properties)| Step {
            name,
            status,
            number,
            tax_id,
            modes,
            addresses,
            properties,
        },
    )
}

fn set(former: &Values, values: &BTreeMap<u8, u8>, now: DateTime<Utc>) -> Values {
    let value = |(name, value): (&u8, &u8)| {
        let (name, value) = (format!("p{name}"), format!("v{value}"));
        let since = former.get(&name).filter(|(known, _)| *known == value).map_or(now, |(_, since)| *since);
        (name, (value, since))
    };
    values.iter().map(value).collect()
}

fn contents(values: &BTreeMap<u8, u8>) -> Vec<PropertyContent> {
    values.iter().map(|(name, value)| new_property(&format!("p{name}"), &format!("v{value}"))).collect()
}

impl Model {
    fn start() -> Self {
        Model {
            master: ("n0".into(), Status::Active, None, None, second(1)),
            modes: vec![],
            addresses: vec![],
            properties: Values::new(),
        }
    }

    /// Applies the step to the model, and returns the content for it.
    fn replace(&mut self, step: &Step, number: u128, now: DateTime<Utc>) -> Content {
        let mut content = Content::named(format!("n{}", step.name));
        content.status = step.status.map(|status| Status::ALL[status]);
        content.details.number = step.number.map(|number| format!("o{number}"));
        content.details.tax_id = step.tax_id.map(|tax_id| format!("t{tax_id}"));
        let former = self.master.clone();
        self.master = (
            content.name.clone(),
            content.status.unwrap_or(former.1),
            content.details.number.clone().or(former.2.clone()),
            content.details.tax_id.clone(),
            former.4,
        );
        if self.master != former {
            self.master.4 = now;
        }
        content.modes = self.replace_modes(step, number, now);
        content.addresses = self.replace_addresses(step, number, now);
        content.properties = step.properties.as_ref().map(contents);
        if let Some(values) = &step.properties {
            self.properties = set(&self.properties, values, now);
        }
        content
    }

    fn replace_modes(&mut self, step: &Step, number: u128, now: DateTime<Utc>) -> Vec<ModeContent> {
        let (mut used, mut codes, mut contents) = (BTreeSet::new(), BTreeSet::new(), vec![]);
        let former = self.modes.clone();
        let (mut kept, mut new) = (former.clone(), vec![]);
        for (index, (place, which)) in step.modes.iter().enumerate() {
            let text = MODES[*which];
            if !codes.insert(text) {
                continue;
            }
            let code = Some(code(CodeList::Mode, text));
            let blank = known_mode(0, None);
            match kept.get_mut(*place).filter(|_| used.insert(*place)) {
                Some(mode) => {
                    if mode.1 != text {
                        (mode.1, mode.2) = (text, now);
                    }
                    contents.push(ModeContent { identity: Identity::Known(mode.0), code, ..blank });
                }
                None => {
                    let id = Uuid::from_u128(number * 1000 + index as u128);
                    new.push((id, text, now));
                    contents.push(ModeContent { identity: Identity::New(id), code, ..blank });
                }
            }
        }
        let mut place = 0..;
        kept.retain(|_| place.next().is_some_and(|place| used.contains(&place)));
        kept.extend(new);
        self.modes = kept;
        contents
    }

    fn replace_addresses(&mut self, step: &Step, number: u128, now: DateTime<Utc>) -> Vec<AddressContent> {
        let (mut used, mut contents_of_all) = (BTreeSet::new(), vec![]);
        let (mut kept, mut new) = (self.addresses.clone(), vec![]);
        for (index, (place, postal_code, properties)) in step.addresses.iter().enumerate() {
            let postal_code = format!("c{postal_code}");
            let mut content = known_address(0, &postal_code);
            content.properties = properties.as_ref().map(contents);
            match kept.get_mut(*place).filter(|_| used.insert(*place)) {
                Some(address) => {
                    let values = properties.as_ref().map_or(address.2.clone(), |to| set(&address.2, to, now));
                    if (&address.1, &address.2) != (&postal_code, &values) {
                        (address.1, address.2, address.3) = (postal_code, values, now);
                    }
                    content.identity = Identity::Known(address.0);
                }
                None => {
                    let id = Uuid::from_u128(number * 1000 + 500 + index as u128);
                    let none = BTreeMap::new();
                    let values = set(&Values::new(), properties.as_ref().unwrap_or(&none), now);
                    new.push((id, postal_code, values, now));
                    content.identity = Identity::New(id);
                }
            }
            contents_of_all.push(content);
        }
        let mut place = 0..;
        kept.retain(|_| place.next().is_some_and(|place| used.contains(&place)));
        kept.extend(new);
        self.addresses = kept;
        contents_of_all
    }
}

/// The organization in the words of the model.
fn modelled(profile: &Profile) -> Model {
    let values = |properties: &BTreeMap<String, Property>| {
        properties.iter().map(|(name, it)| (name.clone(), (it.value.clone(), it.edition.start))).collect::<Values>()
    };
    let text = |code: &Code| *MODES.iter().find(|text| **text == code.text).expect("one of the model's");
    Model {
        master: (
            profile.name.clone(),
            profile.status,
            profile.details.number.clone(),
            profile.details.tax_id.clone(),
            profile.edition.start,
        ),
        modes: profile.modes.iter().map(|mode| (mode.id.0, text(&mode.code), mode.edition.start)).collect(),
        addresses: profile
            .addresses
            .iter()
            .map(|it| (it.id.0, it.details.postal_code.clone(), values(&it.properties), it.edition.start))
            .collect(),
        properties: values(&profile.properties),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn replacements_agree_with_a_naive_model(steps in prop::collection::vec(step(), 1..12)) {
        let (_, mut organization) = after(Organization::Absent, register(Content::named("n0")));
        let mut model = Model::start();
        for (number, step) in (2..).zip(&steps) {
            let before = model.clone();
            let now = second(number);
            let content = model.replace(step, number as u128, now);
            let (events, left) = after(organization, replace(number, content.clone()));
            organization = left;
            prop_assert_eq!(&modelled(organization.profile().expect("there")), &model);
            // No event is recorded if and only if nothing differs; a repeat never differs.
            prop_assert_eq!(events.is_empty(), before == model);
            let again = Content {
                modes: model.modes.iter().zip(&content.modes).map(|(it, _)| ModeContent {
                    identity: Identity::Known(it.0), code: Some(code(CodeList::Mode, it.1)), ..known_mode(0, None)
                }).collect(),
                addresses: model.addresses.iter().map(|it| AddressContent {
                    identity: Identity::Known(it.0), ..known_address(0, &it.1)
                }).collect(),
                ..content
            };
            prop_assert_eq!(organization.decide(replace(number + 1, again)), Ok(vec![]));
            let snapshot = serde_json::to_value(&organization).expect("JSON");
            prop_assert_eq!(&serde_json::from_value::<Organization>(snapshot).expect("its own shape"), &organization);
        }
    }
}
