//! Templates of messages, previewed on the command line.

use crate::messages::choosing::{organization, store, theme};
use crate::on_both_stores;
use crate::process::{Server, registrar};
use crate::support::Database;
use registrar_aggregates::message::Format;
use registrar_aggregates::message::template::Owner;
use registrar_aggregates::user::Locale;
use serde_json::{Value, json};
use std::io::Write;
use std::process::Stdio;

/// Renders a template with further arguments; answers the output, or the error.
fn printed(database: &Database, arguments: &[&str], template: &[u8]) -> Result<String, String> {
    let arguments = [&["template", "render", "--locale", "en_US"], arguments].concat();
    let mut command = registrar(&database.settings, &arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that refuses its arguments reads nothing.
    let _ = child.stdin.take().unwrap().write_all(template);
    let output = child.wait_with_output().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    if output.status.success() {
        return Ok(stdout);
    }
    assert_eq!((output.status.code(), stdout.as_str()), (Some(1), ""), "{stderr}");
    Err(stderr)
}

fn rendered(database: &Database, arguments: &[&str], template: &str) -> Value {
    let printed = printed(database, arguments, template.as_bytes()).unwrap();
    serde_json::from_str(&printed).unwrap()
}

#[test]
fn a_template_is_rendered_with_samples_and_without_a_database() {
    let database = Database::sqlite();
    let html = "<p onclick=\"x()\">{{ first_name }} at {{ organization }}: {{ code }}</p><script>x()</script>";
    let arguments = ["--kind", "verify-email", "--subject", "{{ code }} for {{ first_name }}"];
    let message = rendered(&database, &arguments, html);
    let members = ["kind", "channel", "locale", "origin", "subject", "text"].map(|member| message[member].clone());
    let text = "Ada at Smith & Daughters Clinic: 123456";
    assert_eq!(json!(members), json!(["verify-email", "email", "en_US", "input", "123456 for Ada", text]));
    let html = message["html"].as_str().unwrap();
    assert!(html.contains("<p>Ada at Smith &amp; Daughters Clinic: 123456</p>"), "{html}");
    assert!(!html.contains("onclick") && !html.contains("script"), "{html}");

    let plain = ["--kind", "onboarding", "--format", "txt"];
    let message = rendered(&database, &plain, "Come in:\n\n{{ link }}\n");
    assert_eq!(message["subject"], "Your invitation to Smith & Daughters Clinic", "the built-in one");
    assert!(message["html"].as_str().unwrap().contains("<p>Come in:</p>"), "{message}");
    let message = rendered(&database, &["--kind", "verify"], "{{ code }}");
    assert_eq!(
        (&message["text"], &message["subject"], &message["html"]),
        (&json!("123456"), &Value::Null, &Value::Null)
    );
    for (part, expected) in [("text", "Ada\n"), ("subject", "Hello\n")] {
        let arguments = [&plain[..], &["--subject", "Hello", "--part", part]].concat();
        assert_eq!(printed(&database, &arguments, b"{{ first_name }}").as_deref(), Ok(expected));
    }
    let message = rendered(&database, &["--kind", "password-changed", "--stored"], "");
    assert_eq!((&message["origin"], &message["subject"]), (&json!("built-in"), &json!("Your password was changed")));
    assert!(std::fs::read_dir(&database.settings.data).unwrap().next().is_none(), "no database was made");
}

#[test]
fn a_template_that_would_not_be_stored_is_refused_with_the_line_and_the_rule() {
    let database = Database::sqlite();
    let large = "a".repeat(64 * 1024 + 1);
    let image = "<img src=\"https://example.com/a.png\">";
    for (arguments, template, told) in [
        (
            &[][..],
            "a\n{{ nonsense }}",
            "template breaks a rule in line 2: uses an unknown name; the variables are code",
        ),
        (&[], "{% for a in code %}a{% endfor %}", "template breaks a rule in line 1: has an unknown tag"),
        (&[], "{{ debug() }}", "template breaks a rule in line 1: uses an unknown name"),
        (&[], "{{ 'a' * 999999999 }}", "template breaks a rule in line 1: "),
        (&[], "{{ link }}", "template breaks a rule in line 1: becomes empty"),
        (&[], " ", "template should not be empty"),
        (&[], "a\u{7}", "template must not contain control characters"),
        (&[], large.as_str(), "template must not be larger than 65536 bytes"),
        (&[], image, "the message would be empty or too large"),
        (&["--subject", "{{ nonsense }}"], "a", "subject breaks a rule in line 1: uses an unknown name"),
        (&["--subject", "a\nBcc: b@example.com"], "a", "subject must not contain control characters"),
        (&["--channel", "sms"], "a", "no message verify-email is sent by sms"),
        (&["--channel", "sms", "--format", "txt"], "a", "--format txt is none of --channel sms"),
    ] {
        let arguments = [&["--kind", "verify-email"], arguments].concat();
        let error = printed(&database, &arguments, template.as_bytes()).unwrap_err();
        assert!(error.starts_with(&format!("registrar: {told}")), "{error}");
        assert!(error.lines().count() == 1, "{error}");
    }
    let error = printed(&database, &["--kind", "verify-email"], b"\xff").unwrap_err();
    assert!(error.starts_with("registrar: template must be UTF-8"), "{error}");
    let error = printed(&database, &["--kind", "new-sign-in"], b"a").unwrap_err();
    assert!(error.starts_with("registrar: new-sign-in has no templates of customers\n"), "{error}");
    let error = printed(&database, &["--kind", "verify", "--part", "html"], b"a").unwrap_err();
    assert!(error.starts_with("registrar: a text message has neither subject nor HTML"), "{error}");
}

on_both_stores! {
    async fn a_preview_for_an_organization_has_its_values_and_its_templates(database) {
        let _server = Server::start(&database.settings);
        let node = database.open_as_program().await;
        let theme = theme(&node, "care@example.com").await;
        let acme = organization(&node, Some(theme)).await;
        let id = acme.to_string();
        let arguments = ["--kind", "verify-email", "--organization", &id];
        let message = rendered(&database, &arguments, "{{ organization }} {{ support_email }} {{ code }}");
        assert_eq!(message["text"], "Acme care@example.com 123456");

        let stored = || {
            let message = rendered(&database, &[&arguments[..], &["--stored"]].concat(), "");
            let text = message["text"].as_str().unwrap().lines().next().unwrap_or_default().to_owned();
            (message["origin"].as_str().unwrap().to_owned(), text)
        };
        let is = |origin: &str, text: &str| (origin.to_owned(), text.to_owned());
        assert_eq!(stored(), is("built-in", "Hello Ada,"));
        store(&node, Owner::Theme(theme), Locale::EnUs, Format::Txt, "theme {{ code }}").await;
        assert_eq!(stored(), is("theme", "theme 123456"));
        store(&node, Owner::Organization(acme), Locale::EnUs, Format::Html, "<p>own {{ organization }}</p>").await;
        assert_eq!(stored(), is("organization", "own Acme"));

        let head = node.journal.head().await.unwrap().position;
        let unknown = uuid::Uuid::now_v7().to_string();
        let error = printed(&database, &["--kind", "verify-email", "--organization", &unknown], b"a").unwrap_err();
        assert_eq!(error, format!("registrar: there is no organization {unknown}\n"));
        assert_eq!(node.journal.head().await.unwrap().position, head);
    }
}
