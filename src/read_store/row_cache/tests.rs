//! The cache against a model store that keeps all its past states: every answer must have been valid at the requested
//! moment, or later.

use super::total_cache::{LONG, TotalOf};
use super::*;
use proptest::prelude::*;
use registrar_projections::admins::{BY_NAME, POLICIES};
use registrar_projections::{AdminDocument, ChangeKind, Direction, Document, DocumentKey, Query};
use std::collections::{BTreeMap, HashMap};

const PERSON: &str = "person_id";
const DOCUMENTS: u8 = 3;
const VALUES: u8 = 3;
/// Number of latest moments that look-ups ask for.
const LAST_MOMENTS: usize = 3;

fn admins() -> CollectionId {
    CollectionId::Admins
}

fn by(key: &'static str) -> By {
    (admins(), key)
}

/// Documents by number: the value of their key, and the commit that wrote them.
type State = BTreeMap<u8, (u8, u64)>;

fn id(document: u8) -> String {
    format!("document-{document}")
}

fn value(value: u8) -> String {
    format!("value-{value}")
}

fn body(document: u8, (key, commit): (u8, u64)) -> Body {
    Body::new(id(document), format!("{key} by {commit}"), Some(format!("digest by {commit}")))
}

/// Result of a look-up in a state.
fn looked_up(state: &State, key: &str, sought: u8) -> Option<Body> {
    if key == sql::ID {
        return state.get(&sought).map(|found| body(sought, *found));
    }
    // Of several, the one with the smallest identifier.
    state.iter().find(|(_, (value, _))| *value == sought).map(|(document, found)| body(*document, *found))
}

/// A total count, long enough to be cached.
fn total(state: &State) -> u64 {
    LONG + state.len() as u64
}

fn query() -> Query<AdminDocument> {
    Query::sorted(&BY_NAME, Direction::Ascending).contains(&POLICIES, "p")
}

fn total_of() -> TotalOf {
    TotalOf::by(&query()).expect("its total is remembered")
}

/// A change in another collection.
fn elsewhere() -> DocumentStep {
    let key = DocumentKey { collection: CollectionId::Organizations, id: id(0) };
    DocumentStep::deleted(key)
}

fn step(document: u8, change: Option<u8>) -> DocumentStep {
    let key = DocumentKey { collection: admins(), id: id(document) };
    let Some(to) = change else {
        return DocumentStep::deleted(key);
    };
    let keys = AdminDocument::COLLECTION.keys.iter().map(|column| {
        let text = if column.name == PERSON { value(to) } else { String::new() };
        if column.kind == KeyKind::Texts { KeyValue::Texts(vec![]) } else { KeyValue::Text(text) }
    });
    DocumentStep { kind: ChangeKind::Update, keys: keys.collect(), ..DocumentStep::deleted(key) }
}

/// Steps of the simulation.
#[derive(Debug, Clone)]
enum Happening {
    /// A commit; if it is this node's own, its note is on its way.
    Commit { own: bool, document: u8, change: Option<u8> },
    /// A commit that changes documents of another collection.
    CommitElsewhere,
    /// The next note arrives. Notes arrive in order.
    Note,
    /// A note is lost.
    LoseNote,
    /// Another generation of documents is served.
    Swap,
    /// The store is queried; the answer is on its way.
    Ask { by_id: bool, sought: u8 },
    /// One of the answers on their way arrives.
    Answer(prop::sample::Index),
    /// The store is queried for a total count, as above.
    AskTotal,
    /// One of the total counts on their way arrives.
    AnswerTotal(prop::sample::Index),
    /// The current moment is fetched.
    Moment,
    /// The total count at one of the fetched moments.
    Total(prop::sample::Index),
    /// A look-up as of one of the fetched moments.
    LookUp { by_id: bool, sought: u8, moment: prop::sample::Index },
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        8 => (prop::bool::weighted(0.95), 0..DOCUMENTS, prop::option::weighted(0.8, 0..VALUES))
            .prop_map(|(own, document, change)| Happening::Commit { own, document, change }),
        3 => Just(Happening::CommitElsewhere),
        10 => Just(Happening::Note),
        1 => Just(Happening::LoseNote),
        1 => Just(Happening::Swap),
        10 => (any::<bool>(), 0..DOCUMENTS).prop_map(|(by_id, sought)| Happening::Ask { by_id, sought }),
        12 => any::<prop::sample::Index>().prop_map(Happening::Answer),
        4 => Just(Happening::AskTotal),
        4 => any::<prop::sample::Index>().prop_map(Happening::AnswerTotal),
        8 => Just(Happening::Moment),
        8 => any::<prop::sample::Index>().prop_map(Happening::Total),
        16 => (any::<bool>(), 0..DOCUMENTS, any::<prop::sample::Index>())
            .prop_map(|(by_id, sought, moment)| Happening::LookUp { by_id, sought, moment }),
    ]
}

fn key(by_id: bool, sought: u8) -> (&'static str, String) {
    if by_id { (sql::ID, id(sought)) } else { (PERSON, value(sought)) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_remembered_that_is_no_longer_so(happenings in prop::collection::vec(happening(), 1..150)) {
        let recent = Recent::default();
        let mut states: Vec<State> = vec![State::new()];
        let mut generation = 1;
        let (mut notes, mut answers, mut totals) = (Vec::new(), Vec::new(), Vec::new());
        let mut moments = vec![Moment { position: 0, generation }];
        for happening in happenings {
            let position = states.len() as u64 - 1;
            match happening {
                Happening::Commit { own, document, change } => {
                    let mut state = states[states.len() - 1].clone();
                    match change {
                        Some(value) => state.insert(document, (value, position + 1)),
                        None => state.remove(&document),
                    };
                    states.push(state);
                    if own {
                        notes.push((position, position + 1, step(document, change)));
                    }
                }
                Happening::Note => {
                    if !notes.is_empty() {
                        let (from, to, step) = notes.remove(0);
                        recent.note(from, to, &[step]);
                    }
                }
                Happening::LoseNote => {
                    if !notes.is_empty() {
                        notes.remove(0);
                    }
                }
                Happening::Swap => generation += 1,
                Happening::Ask { by_id, sought } => {
                    let (key, text) = key(by_id, sought);
                    let found = looked_up(&states[states.len() - 1], key, sought);
                    let found: HashMap<_, _> = found.map(|body| (text.clone(), body)).into_iter().collect();
                    answers.push((by(key), text, LookedUp { moment: Moment { position, generation }, found }));
                }
                Happening::Answer(which) => {
                    if !answers.is_empty() {
                        let (by, text, looked_up) = answers.swap_remove(which.index(answers.len()));
                        recent.keep(by, &[&text], &looked_up);
                    }
                }
                Happening::CommitElsewhere => {
                    states.push(states[states.len() - 1].clone());
                    notes.push((position, position + 1, elsewhere()));
                }
                Happening::AskTotal => totals.push((Moment { position, generation }, total(&states[states.len() - 1]))),
                Happening::AnswerTotal(which) => {
                    if !totals.is_empty() {
                        let (at, total) = totals.swap_remove(which.index(totals.len()));
                        recent.keep_total(total_of(), at, total);
                    }
                }
                Happening::Total(moment) => {
                    let from = moments.len().saturating_sub(LAST_MOMENTS);
                    let moment = moments[from + moment.index(moments.len() - from)];
                    if let Some(known) = recent.total(&total_of(), moment) {
                        let was = &states[usize::try_from(moment.position).unwrap()];
                        prop_assert_eq!(known, total(was), "at {:?}", moment);
                    }
                }
                Happening::Moment => moments.push(Moment { position, generation }),
                Happening::LookUp { by_id, sought, moment } => {
                    let from = moments.len().saturating_sub(LAST_MOMENTS);
                    let moment = moments[from + moment.index(moments.len() - from)];
                    let (key, text) = key(by_id, sought);
                    if let Some((at, found)) = recent.find(by(key), &text, moment) {
                        let found = found.map(|body| body.text);
                        prop_assert!(at.position >= moment.position && at.generation == moment.generation);
                        let state = &states[usize::try_from(at.position).unwrap()];
                        let was = looked_up(state, key, sought).map(|body| body.text);
                        prop_assert!(was == found, "{key} {text} at {at:?}: {found:?}, and it was {was:?}");
                    }
                }
            }
        }
    }
}

fn found(position: u64, value: &str, body: Option<Body>) -> LookedUp {
    let moment = Moment { position, generation: 1 };
    LookedUp { moment, found: body.map(|body| (value.to_owned(), body)).into_iter().collect() }
}

fn text(recent: &Recent, key: &'static str, sought: &str, position: u64) -> Option<Option<String>> {
    let (_, found) = recent.find(by(key), sought, Moment { position, generation: 1 })?;
    Some(found.map(|body| body.text.to_string()))
}

#[test]
fn what_no_commit_has_touched_is_remembered() {
    let recent = Recent::default();
    recent.note(0, 5, &[]);
    recent.keep(by(sql::ID), &["document-1"], &found(5, "document-1", Some(body(1, (1, 5)))));
    recent.keep(by(PERSON), &["value-2"], &found(5, "value-2", Some(body(2, (2, 5)))));
    recent.keep(by(PERSON), &["value-0"], &found(5, "value-0", None));
    recent.note(5, 6, &[step(0, Some(1))]);
    assert_eq!(text(&recent, sql::ID, "document-1", 6), Some(Some("1 by 5".into())));
    assert_eq!(text(&recent, sql::ID, "document-2", 6), Some(Some("2 by 5".into())), "found by its key");
    assert_eq!(text(&recent, PERSON, "value-2", 6), Some(Some("2 by 5".into())));
    assert_eq!(text(&recent, PERSON, "value-0", 6), Some(None));
    // A later moment is unknown.
    assert_eq!(text(&recent, sql::ID, "document-1", 7), None);
    recent.note(6, 7, &[step(1, Some(0))]);
    assert_eq!(text(&recent, sql::ID, "document-1", 7), None);
    assert_eq!(text(&recent, PERSON, "value-0", 7), None);
    assert_eq!(text(&recent, PERSON, "value-2", 7), Some(Some("2 by 5".into())));
}

#[test]
fn what_another_node_has_come_between_is_not() {
    let recent = Recent::default();
    recent.note(0, 5, &[]);
    recent.keep(by(sql::ID), &["document-1"], &found(5, "document-1", Some(body(1, (1, 5)))));
    recent.note(6, 7, &[]);
    assert_eq!(text(&recent, sql::ID, "document-1", 6), None);
    assert_eq!(text(&recent, sql::ID, "document-1", 7), None);
}

#[test]
fn what_follows_behind_the_commits_is_not_remembered() {
    let recent = Recent::default();
    let by = (CollectionId::EventStatistics, sql::ID);
    recent.keep(by, &["a"], &found(0, "a", None));
    assert!(recent.find(by, "a", Moment { position: 0, generation: 1 }).is_none());
}

#[test]
fn a_total_is_that_of_its_query_until_its_collection_changes() {
    let recent = Recent::default();
    let at = |position| Moment { position, generation: 1 };
    recent.note(0, 5, &[]);
    recent.keep_total(total_of(), at(5), LONG);
    assert_eq!(recent.total(&total_of(), at(5)), Some(LONG));
    assert!(recent.may_have_total(&total_of()));
    let other = TotalOf::by(&query().contains(&POLICIES, "q")).unwrap();
    assert_eq!(recent.total(&other, at(5)), None);
    // The total count is the same on every page.
    let page = TotalOf::by(&query().page(70, 7)).unwrap();
    recent.note(5, 6, &[elsewhere()]);
    assert_eq!(recent.total(&page, at(6)), Some(LONG));
    assert_eq!(recent.total(&page, at(7)), None);
    recent.note(6, 7, &[step(1, Some(0))]);
    assert_eq!(recent.total(&page, at(7)), None);
    assert!(!recent.may_have_total(&page));
    recent.keep_total(page.clone(), at(7), LONG - 1);
    assert_eq!(recent.total(&page, at(7)), None, "not worth it");
}

#[test]
fn totals_that_depend_on_other_collections_are_not_remembered() {
    let related = query().related(&registrar_projections::admins::PERSON_ID, query(), true);
    assert!(TotalOf::by(&related).is_none());
    let followed = Query::<registrar_projections::EventStatistic>::sorted(
        &registrar_projections::event_statistics::BY_EVENT_TYPE,
        Direction::Ascending,
    );
    assert!(TotalOf::by(&followed).is_none());
}
