//! Hostile names and templates, from the composition to the mail server.

use super::choosing::{organization, store};
use super::mail_server::{Mail, MailServer};
use super::{CODE, Deliveries, code_to, compose, mail_by, texts, until};
use crate::on_both_stores;
use registrar::messages::channels::Channels;
use registrar::messages::compose::MessageOrder;
use registrar::messages::templates::Variables;
use registrar_aggregates::message::template::Owner;
use registrar_aggregates::message::{Format, Kind};
use registrar_aggregates::user::Locale;
use registrar_projections::messages::State;
use std::time::{Duration, Instant};

/// The headers of a mail, in the order of their names.
pub(super) const HEADERS: [&str; 8] =
    ["Auto-Submitted", "Content-Type", "Date", "From", "MIME-Version", "Message-ID", "Subject", "To"];
/// Longest line of a mail (RFC 5322, 2.1.1).
const LINE_BYTES_MAX: usize = 998;

/// Names that try to be another header, other content, or a command to the server.
fn names() -> Vec<String> {
    let names = [
        "Ada\r\nBcc: eve@example.com",
        "Ada\nX-Mark: 1\n\n<script>alert(1)</script>",
        "Ada\rSubject: other",
        "Ada\u{85}Bcc: eve@example.com",
        "Ada\u{2028}Bcc: eve@example.com\u{2029}",
        "Ada\r\n.\r\nMAIL FROM:<eve@example.com>",
        "Ada\n.\nRSET",
        "Ada\r.\rQUIT",
        ".",
        "\r\n\r\n",
        "Ada\t\u{7}\u{1b}[31m",
        "=?utf-8?q?=0D=0ABcc:_eve@example.com?=",
        "\"Ada\" <eve@example.com>, (eve);",
        "{{ code }}{% include 'x' %}",
        "\u{202e}moc.elpmaxe\u{202c}",
        "עדה ليلى 愛達 🦀",
    ];
    let long = ["W", "ä", "🦀", "a "].map(|part| part.repeat(255 / part.chars().count()));
    names.map(str::to_owned).into_iter().chain(long).collect()
}

/// Values in which every name is this one.
fn named(name: &str, code: Option<&str>) -> Variables {
    let name = Some(name.to_owned());
    Variables {
        code: code.map(str::to_owned),
        link: code.is_none().then(|| "https://app.example.com".to_owned()),
        first_name: name.clone(),
        last_name: name.clone(),
        organization: name,
        expires_minutes: code.map(|_| 10),
        ..Variables::default()
    }
}

/// Fails unless a mail has each header once and nothing in them that belongs elsewhere.
#[track_caller]
fn assert_sound(mail: &Mail) {
    assert_eq!((mail.from.as_str(), mail.to.as_str()), ("no-reply@registrar.example", "ada@example.com"));
    let (head, _) = mail.content.split_once("\n\n").unwrap();
    assert!(head.is_ascii(), "{head}");
    let begins = head.lines().filter(|line| !line.starts_with([' ', '\t']));
    let mut names: Vec<_> = begins.map(|line| line.split(':').next().unwrap_or_default()).collect();
    names.sort_unstable();
    assert_eq!(names, HEADERS, "{head}");
    let longest = mail.content.lines().map(str::len).max();
    assert!(longest.is_some_and(|longest| longest <= LINE_BYTES_MAX), "{longest:?}: {}", mail.content);
    assert!(!mail.content.contains('\r'), "{:?}", mail.content);
}

on_both_stores! {
    async fn a_mail_has_each_header_once_also_with_hostile_names(database) {
        let (node, server) = (database.open().await, MailServer::start([]).await);
        let channels = mail_by(&server.url(), None);
        let acme = organization(&node, None).await;
        // Its subject is the name of the organization.
        store(&node, Owner::Organization(acme), Locale::EnUs, Format::Txt, "{{ first_name }}\r{{ code }}").await;
        let mut ids = Vec::new();
        for name in names() {
            let built_in = MessageOrder {
                kind: Kind::OrganizationAdded,
                variables: named(&name, None),
                ..code_to("ada@example.com")
            };
            let own = MessageOrder {
                organization: Some(acme),
                variables: named(&name, Some(CODE)),
                ..code_to("ada@example.com")
            };
            for order in [built_in, own] {
                let id = compose(&node, &channels, order).await;
                let content = texts(&node, id).await.unwrap().content.clone();
                let (subject, html) = (content.subject.unwrap(), content.html.unwrap());
                assert!(subject.chars().count() <= 255 && !subject.chars().any(char::is_control), "{subject:?}");
                assert!(!html.contains("<script"), "{html}");
                ids.push(id);
            }
        }
        let _deliveries = Deliveries::start(&node, &channels);
        for id in &ids {
            until(&node, *id, State::Sent).await;
        }
        let mails = server.mails();
        assert_eq!((mails.len(), server.transactions()), (ids.len(), ids.len()));
        mails.iter().for_each(assert_sound);
    }

    async fn a_hostile_template_past_the_check_gives_way_to_the_built_in_one(database) {
        let node = database.open().await;
        let composed = async |organization| {
            let order = MessageOrder { organization: Some(organization), ..code_to("ada@example.com") };
            let id = compose(&node, &Channels::default(), order).await;
            texts(&node, id).await.unwrap().content.clone()
        };
        let built_in = composed(organization(&node, None).await).await;
        assert!(built_in.text.contains("Acme") && built_in.text.contains(CODE), "{}", built_in.text);
        let begun = Instant::now();
        for hostile in [
            "{% for a in range(999999999) %}{{ a }}{% endfor %}",
            "{% set a = 'xxxxxxxx' * 999999999 %}{{ a }}",
            &format!("{{% set a = 'xxxxxxxx' %}}{}{{{{ a }}}}", "{% set a = a + a %}".repeat(60)),
            &format!("{{% set a = 'xxxxxxxx' * 999 %}}{}", "{{ a }}".repeat(9_000)),
            &format!("{{{{ {}code }}}}", "(".repeat(60_000)),
            &format!("{{{{ {}1 }}}}", "not ".repeat(15_000)),
            &"{% if code %}".repeat(4_000),
            "{{ debug() }}",
            "{{ self }}{{ code }}",
            "{{ code.__class__ }}",
            "{{ code|safe }}",
            "{% include '/etc/passwd' %}{{ code }}",
            "{% extends 'x' %}",
            "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
            "{{ code }",
        ] {
            let acme = organization(&node, None).await;
            let format = if hostile.ends_with("}}") { Format::Txt } else { Format::Html };
            store(&node, Owner::Organization(acme), Locale::EnUs, format, hostile).await;
            assert!(composed(acme).await == built_in, "{}", hostile.chars().take(80).collect::<String>());
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    }
}
