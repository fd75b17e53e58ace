//! The cache against a model store that keeps all its past states: every answer must have been valid at the requested
//! moment, or later.

use super::total_count::{LONG, TotalOf};
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

fn by(key: &'static str) -> LookupKind {
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

fn step(document: u8, change: Option<u8>, commit: u64) -> DocumentStep {
    let key = document_key(document);
    let Some(to) = change else {
        return DocumentStep::deleted(key);
    };
    let keys = AdminDocument::COLLECTION.keys.iter().map(|column| {
        let text = if column.name == PERSON { value(to) } else { String::new() };
        if column.kind == KeyKind::Texts { KeyValue::Texts(vec![]) } else { KeyValue::Text(text) }
    });
    let Body { text, digest, .. } = body(document, (to, commit));
    DocumentStep {
        kind: ChangeKind::Update,
        key,
        body: text.to_string(),
        digest: digest.unwrap_or_default().to_string(),
        keys: keys.collect(),
    }
}

fn document_key(document: u8) -> DocumentKey {
    DocumentKey { collection: admins(), id: id(document) }
}

/// Notes a commit of this node.
fn note(cache: &DocumentCache, from: u64, to: u64, generation: u64, changed: &[DocumentStep]) {
    cache.note(0, from, Moment { position: to, generation }, changed, &HashMap::new());
}

/// A commit that is on its way to the cache.
enum Notice {
    /// A commit of this node, in a generation.
    Own(u64, DocumentStep),
    /// A commit of another node, as the committer reads it: the existing document that it changed.
    Followed(Option<DocumentKey>),
}

/// Steps of the simulation.
#[derive(Debug, Clone)]
enum SimulationStep {
    /// A commit; its note is on its way.
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

fn happening() -> impl Strategy<Value = SimulationStep> {
    prop_oneof![
        8 => (prop::bool::weighted(0.8), 0..DOCUMENTS, prop::option::weighted(0.8, 0..VALUES))
            .prop_map(|(own, document, change)| SimulationStep::Commit { own, document, change }),
        3 => Just(SimulationStep::CommitElsewhere),
        10 => Just(SimulationStep::Note),
        1 => Just(SimulationStep::LoseNote),
        1 => Just(SimulationStep::Swap),
        10 => (any::<bool>(), 0..DOCUMENTS).prop_map(|(by_id, sought)| SimulationStep::Ask { by_id, sought }),
        12 => any::<prop::sample::Index>().prop_map(SimulationStep::Answer),
        4 => Just(SimulationStep::AskTotal),
        4 => any::<prop::sample::Index>().prop_map(SimulationStep::AnswerTotal),
        8 => Just(SimulationStep::Moment),
        8 => any::<prop::sample::Index>().prop_map(SimulationStep::Total),
        16 => (any::<bool>(), 0..DOCUMENTS, any::<prop::sample::Index>())
            .prop_map(|(by_id, sought, moment)| SimulationStep::LookUp { by_id, sought, moment }),
    ]
}

fn key(by_id: bool, sought: u8) -> (&'static str, String) {
    if by_id { (sql::ID, id(sought)) } else { (PERSON, value(sought)) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_cached_answer_was_valid_at_its_moment(happenings in prop::collection::vec(happening(), 1..150)) {
        let cache = DocumentCache::default();
        let mut states: Vec<State> = vec![State::new()];
        let mut generation = 1;
        let (mut notes, mut answers, mut totals) = (Vec::new(), Vec::new(), Vec::new());
        let mut moments = vec![Moment { position: 0, generation }];
        for happening in happenings {
            let position = states.len() as u64 - 1;
            match happening {
                SimulationStep::Commit { own, document, change } => {
                    let mut state = states[states.len() - 1].clone();
                    let existed = state.contains_key(&document);
                    match change {
                        Some(value) => state.insert(document, (value, position + 1)),
                        None => state.remove(&document),
                    };
                    states.push(state);
                    let notice = match own {
                        true => Notice::Own(generation, step(document, change, position + 1)),
                        false => Notice::Followed(existed.then(|| document_key(document))),
                    };
                    notes.push((position, position + 1, notice));
                }
                SimulationStep::Note => {
                    if !notes.is_empty() {
                        match notes.remove(0) {
                            (from, to, Notice::Own(generation, step)) => note(&cache, from, to, generation, &[step]),
                            (from, to, Notice::Followed(touched)) => cache.follow(0, from, to, &touched),
                        }
                    }
                }
                SimulationStep::LoseNote => {
                    if !notes.is_empty() {
                        notes.remove(0);
                    }
                }
                SimulationStep::Swap => generation += 1,
                SimulationStep::Ask { by_id, sought } => {
                    let (key, text) = key(by_id, sought);
                    let found = looked_up(&states[states.len() - 1], key, sought);
                    let found: HashMap<_, _> = found.map(|body| (text.clone(), body)).into_iter().collect();
                    answers.push((by(key), text, LookupSnapshot { moment: Moment { position, generation }, found }));
                }
                SimulationStep::Answer(which) => {
                    if !answers.is_empty() {
                        let (by, text, looked_up) = answers.swap_remove(which.index(answers.len()));
                        cache.keep(0, by, &[&text], &looked_up);
                    }
                }
                SimulationStep::CommitElsewhere => {
                    states.push(states[states.len() - 1].clone());
                    notes.push((position, position + 1, Notice::Own(generation, elsewhere())));
                }
                SimulationStep::AskTotal => {
                    totals.push((Moment { position, generation }, total(&states[states.len() - 1])));
                }
                SimulationStep::AnswerTotal(which) => {
                    if !totals.is_empty() {
                        let (at, total) = totals.swap_remove(which.index(totals.len()));
                        cache.keep_total(total_of(), at, total);
                    }
                }
                SimulationStep::Total(moment) => {
                    let from = moments.len().saturating_sub(LAST_MOMENTS);
                    let moment = moments[from + moment.index(moments.len() - from)];
                    if let Some(known) = cache.total(&total_of(), moment) {
                        let was = &states[usize::try_from(moment.position).unwrap()];
                        prop_assert_eq!(known, total(was), "at {:?}", moment);
                    }
                }
                SimulationStep::Moment => moments.push(Moment { position, generation }),
                SimulationStep::LookUp { by_id, sought, moment } => {
                    let from = moments.len().saturating_sub(LAST_MOMENTS);
                    let moment = moments[from + moment.index(moments.len() - from)];
                    let (key, text) = key(by_id, sought);
                    if let Some((at, found)) = cache.find(by(key), &text, moment) {
                        let found = found.map(|row| row.body.text.clone());
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

fn found(position: u64, value: &str, body: Option<Body>) -> LookupSnapshot {
    let moment = Moment { position, generation: 1 };
    LookupSnapshot { moment, found: body.map(|body| (value.to_owned(), body)).into_iter().collect() }
}

fn text(cache: &DocumentCache, key: &'static str, sought: &str, position: u64) -> Option<Option<String>> {
    let (_, found) = cache.find(by(key), sought, Moment { position, generation: 1 })?;
    Some(found.map(|row| row.body.text.to_string()))
}

#[test]
fn entries_are_valid_until_a_commit_changes_them() {
    let cache = DocumentCache::default();
    note(&cache, 0, 5, 1, &[]);
    cache.keep(0, by(sql::ID), &["document-1"], &found(5, "document-1", Some(body(1, (1, 5)))));
    cache.keep(0, by(PERSON), &["value-2"], &found(5, "value-2", Some(body(2, (2, 5)))));
    cache.keep(0, by(PERSON), &["value-0"], &found(5, "value-0", None));
    note(&cache, 5, 6, 1, &[step(0, Some(1), 6)]);
    assert_eq!(text(&cache, sql::ID, "document-1", 6), Some(Some("1 by 5".into())));
    assert_eq!(text(&cache, sql::ID, "document-2", 6), Some(Some("2 by 5".into())), "found by its key");
    assert_eq!(text(&cache, PERSON, "value-2", 6), Some(Some("2 by 5".into())));
    assert_eq!(text(&cache, PERSON, "value-0", 6), Some(None));
    // A later moment is unknown.
    assert_eq!(text(&cache, sql::ID, "document-1", 7), None);
    note(&cache, 6, 7, 1, &[step(1, Some(0), 7)]);
    assert_eq!(text(&cache, sql::ID, "document-1", 7), Some(Some("0 by 7".into())), "as the commit wrote it");
    assert_eq!(text(&cache, PERSON, "value-0", 7), None);
    assert_eq!(text(&cache, PERSON, "value-2", 7), Some(Some("2 by 5".into())));
}

#[test]
fn an_unknown_commit_invalidates_earlier_entries() {
    let cache = DocumentCache::default();
    note(&cache, 0, 5, 1, &[]);
    cache.keep(0, by(sql::ID), &["document-1"], &found(5, "document-1", Some(body(1, (1, 5)))));
    note(&cache, 6, 7, 1, &[]);
    assert_eq!(text(&cache, sql::ID, "document-1", 6), None);
    assert_eq!(text(&cache, sql::ID, "document-1", 7), None);
}

#[test]
fn collections_that_follow_the_journal_are_not_cached() {
    let cache = DocumentCache::default();
    let by = (CollectionId::EventStatistics, sql::ID);
    cache.keep(0, by, &["a"], &found(0, "a", None));
    assert!(cache.find(by, "a", Moment { position: 0, generation: 1 }).is_none());
}

#[test]
fn a_total_is_that_of_its_query_until_its_collection_changes() {
    let cache = DocumentCache::default();
    let at = |position| Moment { position, generation: 1 };
    note(&cache, 0, 5, 1, &[]);
    cache.keep_total(total_of(), at(5), LONG);
    assert_eq!(cache.total(&total_of(), at(5)), Some(LONG));
    assert!(cache.may_have_total(&total_of()));
    let other = TotalOf::by(&query().contains(&POLICIES, "q")).unwrap();
    assert_eq!(cache.total(&other, at(5)), None);
    // The total count is the same on every page.
    let page = TotalOf::by(&query().page(70, 7)).unwrap();
    note(&cache, 5, 6, 1, &[elsewhere()]);
    assert_eq!(cache.total(&page, at(6)), Some(LONG));
    assert_eq!(cache.total(&page, at(7)), None);
    note(&cache, 6, 7, 1, &[step(1, Some(0), 7)]);
    assert_eq!(cache.total(&page, at(7)), None);
    assert!(!cache.may_have_total(&page));
    cache.keep_total(page.clone(), at(7), LONG - 1);
    assert_eq!(cache.total(&page, at(7)), None, "not worth it");
}

#[test]
fn totals_that_depend_on_other_collections_are_not_cached() {
    let related = query().related(&registrar_projections::admins::PERSON_ID, query(), true);
    assert!(TotalOf::by(&related).is_none());
    let followed = Query::<registrar_projections::EventStatistic>::sorted(
        &registrar_projections::event_statistics::BY_EVENT_TYPE,
        Direction::Ascending,
    );
    assert!(TotalOf::by(&followed).is_none());
}

#[test]
fn another_nodes_commits_leave_the_documents_that_they_did_not_touch() {
    let cache = DocumentCache::default();
    note(&cache, 0, 5, 1, &[]);
    for document in [1, 2] {
        let id = id(document);
        cache.keep(0, by(sql::ID), &[&id], &found(5, &id, Some(body(document, (document, 5)))));
    }
    cache.keep(0, by(sql::ID), &["document-0"], &found(5, "document-0", None));
    cache.keep(0, by(PERSON), &["value-1"], &found(5, "value-1", Some(body(1, (1, 5)))));
    cache.follow(0, 5, 8, [&document_key(2)]);
    assert_eq!(text(&cache, sql::ID, "document-1", 8), Some(Some("1 by 5".into())));
    assert_eq!(text(&cache, sql::ID, "document-2", 8), None, "it was touched");
    assert_eq!(text(&cache, sql::ID, "document-0", 8), None, "it may have been created");
    assert_eq!(text(&cache, PERSON, "value-1", 8), None, "another document may have taken the value");
    let key = document_key(1);
    assert!(cache.document(0, &key, Moment { position: 8, generation: 1 }).is_some());
    assert!(cache.document(0, &key, Moment { position: 9, generation: 1 }).is_none());
    assert!(cache.document(0, &key, Moment { position: 8, generation: 2 }).is_none());
}

#[test]
fn a_document_of_a_later_moment_is_not_one_of_an_earlier() {
    let cache = DocumentCache::default();
    cache.keep(0, by(sql::ID), &["document-1"], &found(7, "document-1", Some(body(1, (1, 7)))));
    assert!(cache.document(0, &document_key(1), Moment { position: 6, generation: 1 }).is_none());
}

#[test]
fn answers_and_commits_of_a_former_history_are_not_cached() {
    let cache = DocumentCache::default();
    cache.clear(1);
    cache.keep(0, by(sql::ID), &["document-1"], &found(5, "document-1", Some(body(1, (1, 5)))));
    note(&cache, 5, 6, 1, &[step(1, Some(2), 6)]);
    assert_eq!(text(&cache, sql::ID, "document-1", 5), None);
    assert_eq!(text(&cache, sql::ID, "document-1", 6), None);
    cache.keep(1, by(sql::ID), &["document-1"], &found(5, "document-1", Some(body(1, (1, 5)))));
    assert_eq!(text(&cache, sql::ID, "document-1", 5), Some(Some("1 by 5".into())));
}

#[test]
fn a_document_of_a_former_history_is_not_one_of_the_present() {
    let cache = DocumentCache::default();
    cache.keep(0, by(sql::ID), &["document-1"], &found(5, "document-1", Some(body(1, (1, 5)))));
    note(&cache, 5, 9, 1, &[]);
    let at = Moment { position: 7, generation: 1 };
    assert!(cache.document(0, &document_key(1), at).is_some());
    assert!(
        cache.document(1, &document_key(1), at).is_none(),
        "another history has begun, and this one is not cleared"
    );
}

#[test]
fn a_row_that_is_read_again_keeps_its_decoded_forms() {
    let cache = DocumentCache::default();
    let read = |position| {
        let rows = cache.keep(0, by(sql::ID), &["document-1"], &found(position, "document-1", Some(body(1, (1, 5)))));
        Arc::clone(&rows["document-1"])
    };
    assert!(Arc::ptr_eq(&read(5), &read(9)));
}
