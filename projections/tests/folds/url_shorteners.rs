//! Short links and their visits.

use crate::given::{Recorder, history, time};
use registrar_aggregates::url_shortener::target::Target;
use registrar_aggregates::url_shortener::visits::VisitsEvent;
use registrar_aggregates::url_shortener::{Link, ShortCode, UrlShortenerEvent};
use registrar_aggregates::values::{OrganizationId, UrlShortenerId};
use registrar_projections::url_shorteners::UrlShortenerDocument;
use uuid::Uuid;

#[test]
fn visits_of_all_nodes_add_up_and_leave_the_stamps_of_the_link() {
    let (id, mut recorder) = (Uuid::from_u128(12), Recorder::default());
    let target = |path: &str| Target { netloc: "links.example.org".to_owned(), full_path: path.to_owned() };
    let link = Link {
        organization_id: OrganizationId(Uuid::from_u128(10)),
        code: ShortCode::of(1),
        target: target("/a"),
        expires_at: None,
    };
    let created = UrlShortenerEvent::Created { id: UrlShortenerId(id), link };
    let counted = |visits| VisitsEvent::Counted { visits, since: time(0) };
    let stream = id.to_string();
    let events = [
        recorder.record(&stream, created),
        recorder.record(&stream, counted(2)),
        recorder.record(&stream, counted(3)),
        recorder.record(&stream, UrlShortenerEvent::Amended { target: target("/b"), expires_at: Some(time(9)) }),
        recorder.record(&stream, counted(u64::MAX)),
    ];
    let after = |number: usize| history(events[..number].to_vec()).get::<UrlShortenerDocument>(&stream).unwrap();
    let stamps = |found: &UrlShortenerDocument| (found.visits, found.version, found.created_at, found.updated_at);
    assert_eq!(stamps(&after(1)), (0, 1, time(1), time(1)));
    assert_eq!(stamps(&after(3)), (5, 1, time(1), time(1)));
    let amended = after(4);
    assert_eq!(stamps(&amended), (5, 2, time(1), time(4)));
    assert_eq!(
        (amended.link.target.url().as_str(), amended.link.expires_at),
        ("https://links.example.org/b", Some(time(9)))
    );
    assert_eq!(stamps(&after(5)), (u64::MAX, 2, time(1), time(4)));
}
