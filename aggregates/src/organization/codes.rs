//! Code lists: the values for bodies, modes, addresses and countries, each entry with an identifier that is the same in
//! every installation. Identifier and text come in pairs; the pair is stored, so that history keeps its words.

use crate::text::fold;
use crate::values::Problem;
use rust_iso3166::iso3166_2;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;
use uuid::Uuid;

/// Namespace of the identifiers of codes without a published one (UUID version 5).
const NAMESPACE: Uuid = Uuid::from_u128(0x2f0a_7c5e_9d34_4b1c_8e61_70c9_5a1b_d3f2);

/// One entry of a code list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "CodeListEntry"))]
pub struct Code {
    /// Identifier of the entry.
    pub id: Uuid,
    /// Display text.
    pub text: String,
}

/// The code lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CodeList {
    /// Status of an organization; see [`super::Status`].
    Status,
    /// Category of an organization.
    Category,
    /// Type of an organization.
    Kind,
    /// Sub-type of an organization.
    SubType,
    /// Study modes.
    Mode,
    /// Kinds of address.
    AddressKind,
    /// ISO 3166-1.
    Country,
    /// ISO 3166-2.
    Region,
}

/// Text of the default type of an organization.
pub(super) const KIND_DEFAULT: &str = "OTHER";

/// Spellings of each entry; the first is displayed. The upper-case words with underscores are the samples of the
/// published page, which have to be accepted.
const BODIES: &[&[&str]] = &[
    &["SITE"],
    &["INSTITUTION"],
    &["SPONSOR"],
    &["CRO"],
    &["VENDOR"],
    &["LABORATORY", "LAB"],
    &["DEPOT"],
    &["HOSPITAL"],
    &["CLINIC"],
    &["UNIVERSITY"],
    &["PHARMACY"],
    &["ETHICS_COMMITTEE", "IRB"],
    &["AUTHORITY"],
    &["PARTNER"],
    &[KIND_DEFAULT],
];
const CATEGORY_SAMPLE: &[&str] = &["CATEGORY_CODE"];
const KIND_SAMPLE: &[&str] = &["ORG_TYPE_CODE"];
const SUB_TYPE_SAMPLE: &[&str] = &["SUB_TYPE"];
const STATUSES: &[&[&str]] = &[&["Active"], &["Restricted"], &["Retired"]];
const MODES: &[&[&str]] =
    &[&["Testing", "test"], &["Production"], &["Training"], &["Study_Design", "Study Design"], &["Operational"]];
const ADDRESS_KINDS: &[&[&str]] =
    &[&["Primary"], &["Secondary"], &["Mailing"], &["Billing"], &["Shipping"], &["Business"], &["Other"]];

/// Identifiers on the published page.
const PUBLISHED: [(CodeList, &str, Uuid); 2] = [
    (CodeList::Status, "Active", Uuid::from_u128(0xB1B8_327A_FAA6_4122_8710_6192_AB59_84EF)),
    (CodeList::Kind, "SITE", Uuid::from_u128(0x2A5E_92F1_C2D5_4DDA_9F1C_0A9E_7B3C_2D1A)),
];

struct Lookup {
    by_id: HashMap<Uuid, (Code, Vec<String>)>,
    /// An ambiguous spelling, of several entries, names none.
    by_text: HashMap<String, Option<Uuid>>,
}

impl CodeList {
    /// The entry that `id` and `text` name together; `None` without both, or with a blank text alone. The identifier
    /// counts; the text alone is looked up, case-insensitive.
    ///
    /// # Errors
    /// `UnknownCode` for an entry that is not in the list, `CodeMismatch` for a text that differs from the
    /// identifier's.
    pub fn find(self, id: Option<Uuid>, text: Option<&str>) -> Result<Option<Code>, Problem> {
        let lookup = self.lookup();
        let text = text.map(|text| fold(text.trim())).filter(|text| !text.is_empty());
        let id = match (id, &text) {
            (Some(id), _) => id,
            (None, Some(text)) => lookup.by_text.get(text).copied().flatten().ok_or(Problem::UnknownCode)?,
            (None, None) => return Ok(None),
        };
        let (code, spellings) = lookup.by_id.get(&id).ok_or(Problem::UnknownCode)?;
        match text {
            Some(text) if !spellings.contains(&text) => Err(Problem::CodeMismatch),
            _ => Ok(Some(code.clone())),
        }
    }

    fn lookup(self) -> &'static Lookup {
        macro_rules! lists {
            ($($list:ident: $entries:expr),*) => {
                match self {
                    $(CodeList::$list => {
                        static LOOKUP: LazyLock<Lookup> = LazyLock::new(|| Lookup::of(CodeList::$list, $entries));
                        &LOOKUP
                    })*
                }
            };
        }
        lists!(
            Status: plain(STATUSES, None),
            Category: plain(BODIES, Some(CATEGORY_SAMPLE)),
            Kind: plain(BODIES, Some(KIND_SAMPLE)),
            SubType: plain(BODIES, Some(SUB_TYPE_SAMPLE)),
            Mode: plain(MODES, None),
            AddressKind: plain(ADDRESS_KINDS, None),
            Country: countries(),
            Region: regions()
        )
    }

    fn name(self) -> &'static str {
        match self {
            CodeList::Status => "status",
            CodeList::Category => "category",
            CodeList::Kind => "kind",
            CodeList::SubType => "sub-type",
            CodeList::Mode => "mode",
            CodeList::AddressKind => "address-kind",
            CodeList::Country => "country",
            CodeList::Region => "region",
        }
    }
}

/// Whether a region lies in a country.
#[must_use]
pub(super) fn lies_in(region: &Code, country: &Code) -> bool {
    static COUNTRIES: LazyLock<HashMap<Uuid, Uuid>> = LazyLock::new(|| {
        let country = |alpha2: &str| rust_iso3166::from_alpha2(alpha2).map(|country| country.alpha3);
        let pairs = iso3166_2::SUBDIVISION_MAP.values().filter_map(|region| {
            Some((id_of(CodeList::Region, region.code), id_of(CodeList::Country, country(region.country_code)?)))
        });
        pairs.collect()
    });
    COUNTRIES.get(&region.id) == Some(&country.id)
}

/// An entry before its look-up table is built: source of the identifier, displayed text, and all spellings.
type Entry = (String, String, Vec<String>);

fn plain(entries: &[&[&str]], sample: Option<&[&str]>) -> Vec<Entry> {
    let entry = |spellings: &[&str]| {
        let shown = spellings[0].to_owned();
        (shown.clone(), shown, spellings.iter().map(|text| fold(text)).collect())
    };
    entries.iter().copied().chain(sample).map(entry).collect()
}

fn countries() -> Vec<Entry> {
    let entry = |country: &rust_iso3166::CountryCode| {
        let spellings = [country.alpha3, country.alpha2, country.name].map(fold);
        (country.alpha3.to_owned(), country.alpha3.to_owned(), spellings.to_vec())
    };
    rust_iso3166::ALL.iter().map(entry).collect()
}

fn regions() -> Vec<Entry> {
    let entry = |region: &iso3166_2::Subdivision| {
        let spellings = [region.name, region.code, region.region_code].map(fold);
        (region.code.to_owned(), region.name.to_owned(), spellings.to_vec())
    };
    iso3166_2::SUBDIVISION_MAP.values().map(entry).collect()
}

fn id_of(list: CodeList, key: &str) -> Uuid {
    let published = PUBLISHED.iter().find(|(of, text, _)| *of == list && *text == key);
    published.map_or_else(|| Uuid::new_v5(&NAMESPACE, format!("{}/{key}", list.name()).as_bytes()), |(_, _, id)| *id)
}

impl Lookup {
    fn of(list: CodeList, entries: Vec<Entry>) -> Self {
        let mut lookup = Lookup { by_id: HashMap::new(), by_text: HashMap::new() };
        for (key, shown, spellings) in entries {
            let id = id_of(list, &key);
            for text in spellings.iter().collect::<BTreeSet<_>>() {
                lookup.by_text.entry(text.clone()).and_modify(|known| *known = None).or_insert(Some(id));
            }
            lookup.by_id.insert(id, (Code { id, text: shown }, spellings));
        }
        lookup
    }
}

/// The region that `id` and `text` name together, in `country` where that is known: names of regions repeat across
/// countries.
///
/// # Errors
/// As [`CodeList::find`]; `CodeMismatch` too for a region of another country.
pub fn find_region(id: Option<Uuid>, text: Option<&str>, country: Option<&Code>) -> Result<Option<Code>, Problem> {
    let Some(country) = country else { return CodeList::Region.find(id, text) };
    let folded = text.map(|text| fold(text.trim())).filter(|text| !text.is_empty());
    let found = match (id, folded) {
        (None, Some(text)) => {
            let regions = &CodeList::Region.lookup().by_id;
            let named = regions.values().filter(|(_, spellings)| spellings.contains(&text)).map(|(code, _)| code);
            // A name that occurs twice even within one country means the first of them by identifier, always the same
            // one.
            named.filter(|code| lies_in(code, country)).min_by_key(|code| code.id).cloned()
        }
        _ => {
            return match CodeList::Region.find(id, text)? {
                Some(region) if !lies_in(&region, country) => Err(Problem::CodeMismatch),
                found => Ok(found),
            };
        }
    };
    found.map(Some).ok_or(Problem::UnknownCode)
}
