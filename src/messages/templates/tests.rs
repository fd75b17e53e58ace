//! The language, the bounds of rendering, and the built-in templates.

use super::*;
use proptest::prelude::*;
use registrar_aggregates::message::template::{Owner, Purpose, TEXT_BYTES_MAX, Template};
use registrar_aggregates::message::{Channel, Format, Kind};
use registrar_aggregates::user::Locale;
use registrar_aggregates::values::{Finding, Problem, ThemeId};

const LOCALES: [Locale; 2] = [Locale::EnUs, Locale::EsUs];

fn full(kind: Kind) -> Variables {
    let [full, _] = Variables::samples(kind);
    full
}

fn rendered(source: &str) -> Result<String, TemplateFault> {
    render(source, Format::Txt, &full(Kind::VerifyEmail))
}

fn html(source: &str, variables: &Variables) -> String {
    render(source, Format::Html, variables).expect("a template")
}

/// The line and the rule that a template breaks.
fn broken(source: &str) -> (usize, &'static str) {
    let fault = rendered(source).expect_err(&source.chars().take(200).collect::<String>());
    (fault.line, fault.rule)
}

fn template(kind: Kind, format: Format, subject: Option<&str>, text: &str) -> Template {
    Template {
        owner: Owner::Theme(ThemeId(uuid::Uuid::from_u128(1))),
        purpose: Purpose { kind, locale: Locale::EnUs, format },
        subject: subject.map(str::to_owned),
        text: text.to_owned(),
        support_email: None,
        support_email_title: None,
    }
}

#[test]
fn a_template_writes_values_and_chooses_texts() {
    for (source, expected) in [
        ("Hello {{ first_name }}", "Hello Ada"),
        ("{{first_name}}{{-code-}} .", "Ada123456."),
        ("{% if link %}a{% elif code == '123456' %}b{% else %}c{% endif %}", "b"),
        ("{%- if not link and expires_minutes <= 10 -%} a {%- endif +%}", "a"),
        ("{# a comment with {{ nonsense }} #}a", "a"),
        ("{{ 'a' if link is none else \"b\" }}", "a"),
        ("{{ expires_minutes * 60 + 1 }} {{ expires_minutes // 3 }}", "601 3"),
        ("{{ last_name|upper }} {{ 'ada lovelace'|title }} {{ ' aB '|trim|capitalize }}", "LOVELACE Ada Lovelace Ab"),
        ("{{ link|default('none') }}{{ link|d(\"\")|lower }}{{ first_name|default('x') }}", "noneAda"),
        ("{% set name = first_name or 'friend' %}{{ name }}", "Ada"),
        ("{ a } {a} }} %} #}", "{ a } {a} }} %} #}"),
        ("{{ link }}{{ 'a' if link }}", ""),
    ] {
        assert_eq!(rendered(source).as_deref(), Ok(expected), "{source}");
    }
}

#[test]
fn values_are_escaped_in_html_alone() {
    let variables = Variables { first_name: Some("<b>&'\"/</b>".into()), ..Variables::default() };
    assert_eq!(html("<i>{{ first_name }}</i>", &variables), "<i>&lt;b&gt;&amp;&#39;&quot;/&lt;/b&gt;</i>");
    assert_eq!(html("{{ first_name|e }}{{ '<' }}", &variables), "&lt;b&gt;&amp;&#39;&quot;/&lt;/b&gt;&lt;");
    assert_eq!(html("{{ first_name|upper }}", &variables), "&lt;B&gt;&amp;&#39;&quot;/&lt;/B&gt;");
    let text = render("{{ first_name }}", Format::Txt, &variables);
    assert_eq!(text.as_deref(), Ok("<b>&'\"/</b>"));
}

#[test]
fn a_text_outside_of_the_language_is_refused_with_its_line() {
    for (source, line, rule) in [
        ("a\n{{ nonsense }}", 2, "uses an unknown name"),
        ("{% if false %}\n\n{{ nonsense }}{% endif %}", 3, "uses an unknown name"),
        ("{{ code|safe }}", 1, "uses an unknown filter"),
        ("{{ code|replace('1', '2') }}", 1, "uses an unknown filter"),
        ("{{ code is divisibleby 2 }}", 1, "uses an unknown test"),
        ("{{ debug() }}", 1, "uses an unknown name"),
        ("{{ code() }}", 1, "calls a function"),
        ("{{ 'a'.upper() }}", 1, "has an unknown sign"),
        ("{{ code.x }}", 1, "has an unknown sign"),
        ("{{ code ~ code }}", 1, "has an unknown sign"),
        ("{{ 2 ** 9 }}", 1, "has an unknown sign"),
        ("{{ {} }}", 1, "has an unknown sign"),
        ("{{ [code] }}", 1, "has a list"),
        ("{{ (code, code) }}", 1, "has a list"),
        ("{{ () }}", 1, "has a list"),
        ("{{ code[:3] }}", 1, "has a list"),
        ("{{ (code] }}", 1, "has a tag without its end"),
        ("{{ code) }}", 1, "has brackets"),
        ("{{ (code }}", 1, "has a tag without its end"),
        ("{{ code: code }}", 1, "has an unknown sign"),
        ("{{ code = 1 }}", 1, "has a = outside"),
        ("{{ 1234567890 }}", 1, "has a number"),
        ("{{ 'a\\n' }}", 1, "has a backslash"),
        ("{{ 'a }}", 1, "has a text without its end"),
        ("a\n\n{{ code", 3, "has a tag without its end"),
        ("{# a", 1, "has a comment without its end"),
        ("{% %}", 1, "has an empty tag"),
        ("{% for a in code %}{% endfor %}", 1, "has an unknown tag"),
        ("{% include 'a' %}", 1, "has an unknown tag"),
        ("{% extends 'a' %}", 1, "has an unknown tag"),
        ("{% import 'a' as b %}", 1, "has an unknown tag"),
        ("{% autoescape false %}{% endautoescape %}", 1, "has an unknown tag"),
        ("{% raw %}{% endraw %}", 1, "has an unknown tag"),
        ("{% macro a() %}{% endmacro %}", 1, "has an unknown tag"),
        ("{% set a %}b{% endset %}", 1, "has a set without"),
        ("{% set a, b = code %}", 1, "has a set without"),
        ("{% if code %}", 1, "has a syntax error"),
        ("{% endif %}", 1, "has a syntax error"),
        ("{{ code code }}", 1, "has a syntax error"),
        ("{{ }}", 1, "has a syntax error"),
        ("{{ code|upper(1) }}", 1, "gives a filter the wrong number"),
        ("{{ code|default }}", 1, "gives a filter the wrong number"),
        ("a\n{{ code - link }}", 2, "uses a value in a way"),
        ("{% if link %}{% set a = 1 %}{% endif %}{{ a }}", 1, "uses a value that is not set"),
    ] {
        let (found_line, found) = broken(source);
        assert!(found.starts_with(rule) && found_line == line, "{source}: {found_line} {found}");
    }
}

#[test]
fn a_hostile_template_is_refused_before_it_costs_much() {
    let many = |part: &str, bytes: usize| part.repeat(bytes / part.len());
    let most = TEXT_BYTES_MAX - 100;
    for source in [
        format!("{{{{ {} }}}}", many("(", most)),
        format!("{{{{ {}1 }}}}", many("-", most)),
        format!("{{{{ {}1 }}}}", many("not ", most)),
        format!("{{{{ code{} }}}}", many("|upper", most)),
        format!("{{{{ code{} }}}}", many("[0]", most)),
        format!("{{{{ 1{} }}}}", many("+1", most)),
        format!("{{{{ 1{} }}}}", many(" if 1 else 1", most)),
        many("{% if code %}", most),
        format!("{{% if link %}}{}{{% endif %}}", many("{% elif link %}", most)),
        "{{ 'x' * 999999999 }}".to_owned(),
        "{% if 'x' * 999999999 %}{% endif %}".to_owned(),
        format!("{{% set a = 'xxxxxxxx' %}}{}{{{{ a }}}}", many("{% set a = a + a %}", 2_000)),
        format!("{{% set a = 'xxxxxxxx' * 999 %}}{}", many("{{ a }}", most)),
        "x".repeat(TEXT_BYTES_MAX + 1),
    ] {
        let shown: String = source.chars().take(60).collect();
        assert!(rendered(&source).is_err(), "{shown}");
    }
}

#[test]
fn a_template_of_the_largest_size_is_rendered() {
    for part in ["a", "{{code}}", "{{ code|upper }}", "{% if code %}{{ code }}{% endif %}\n"] {
        let source = part.repeat(TEXT_BYTES_MAX / part.len());
        assert!(rendered(&source).is_ok(), "{part}");
    }
    let deep = format!("{}a{}", "{% if code %}".repeat(32), "{% endif %}".repeat(32));
    assert_eq!(rendered(&deep).as_deref(), Ok("a"));
    assert_eq!(rendered("{{ ((((((((code)))))))) }}").as_deref(), Ok("123456"));
}

#[test]
fn output_stops_at_its_largest_size() {
    let source = format!("{{% set a = 'x' * 1024 %}}{}", "{{ a }}".repeat(256));
    assert_eq!(rendered(&source).map(|text| text.len()), Ok(OUTPUT_BYTES_MAX));
    assert_eq!(broken(&format!("{source}x")).1, "becomes larger than 256 KiB");
}

#[test]
fn a_subject_is_one_line_of_bounded_length() {
    let with = |name: &str| Variables { first_name: Some(name.into()), ..Variables::default() };
    assert_eq!(render_subject("Hello {{ first_name }}\n", &with("A\r\nBcc: b")).as_deref(), Ok("Hello A  Bcc: b"));
    let long = render_subject("{{ first_name }}", &with(&"ä".repeat(300)));
    assert_eq!(long.map(|subject| subject.chars().count()), Ok(255));
    assert_eq!(render_subject("a\nb", &with("")).map_err(|fault| fault.rule), Err("becomes more than one line"));
    let checked = check(&template(Kind::Onboarding, Format::Txt, Some("{{ 'a' * 256 }}"), "a"));
    let problem = Problem::BrokenTemplate { line: 1, rule: "becomes longer than 255 characters" };
    assert_eq!(checked, Err(problem.of("subject")));
}

#[test]
fn a_text_message_is_as_long_as_gateways_take() {
    let of = |length: usize| render(&"ä".repeat(length), Format::Sms, &Variables::default());
    assert!(of(SMS_LENGTH_MAX).is_ok());
    assert_eq!(of(SMS_LENGTH_MAX + 1).map_err(|fault| fault.rule), Err("becomes longer than 1600 characters"));
}

#[test]
fn a_template_is_checked_with_and_without_optional_values() {
    let checked = |text: &str| check(&template(Kind::VerifyEmail, Format::Txt, Some("a"), text));
    let refused = |rule| Err::<(), Finding>(Problem::BrokenTemplate { line: 1, rule }.of("template"));
    assert_eq!(checked("{{ code }}"), Ok(()));
    assert_eq!(checked("{{ first_name + last_name }}"), refused("uses a value in a way that it does not fit"));
    assert_eq!(checked("{{ organization }}"), Ok(()));
    assert_eq!(checked("{{ link }}"), refused("becomes empty"));
    let subject = check(&template(Kind::VerifyEmail, Format::Html, Some("{{ nonsense }}"), "a"));
    assert!(subject.is_err_and(|finding| finding.field == "subject"));
}

#[test]
fn every_kind_has_built_in_templates_for_its_channels() {
    for kind in Kind::ALL {
        for locale in LOCALES {
            let email = email(*kind, locale);
            assert_eq!(email.is_some(), kind.channels().contains(&Channel::Email), "{kind:?}");
            let text_message = text_message(*kind, locale);
            assert_eq!(text_message.is_some(), kind.channels().contains(&Channel::Sms), "{kind:?}");
        }
    }
}

#[test]
fn built_in_templates_are_rendered_with_every_sample() {
    for kind in Kind::ALL {
        for locale in LOCALES {
            for variables in Variables::samples(*kind) {
                let shown = format!("{kind:?} {locale:?}");
                let fit = |text: Result<String, TemplateFault>| {
                    let text = text.unwrap_or_else(|fault| panic!("{shown}: {fault}"));
                    assert!(
                        !text.trim().is_empty() && !text.contains("{{") && !text.contains("None"),
                        "{shown}: {text}"
                    );
                    text
                };
                if let Some(email) = email(*kind, locale) {
                    fit(render_subject(email.subject, &variables));
                    let text = fit(render(email.text, Format::Txt, &variables));
                    let html = fit(render(email.html, Format::Html, &variables));
                    carries(&text, &variables, &shown);
                    let language = locale.name().get(..2).unwrap_or_default();
                    assert!(html.contains(&format!("<html lang=\"{language}\">")), "{shown}");
                    for value in [&variables.code, &variables.link].into_iter().flatten() {
                        assert!(html.contains(value.as_str()), "{shown}: {html}");
                    }
                }
                if let Some(template) = text_message(*kind, locale) {
                    carries(&fit(render(template, Format::Sms, &variables)), &variables, &shown);
                }
            }
        }
    }
}

/// A plain text has its code or its link on a line of its own, and no other number of six digits.
fn carries(text: &str, variables: &Variables, shown: &str) {
    for value in [&variables.code, &variables.link].into_iter().flatten() {
        assert!(text.lines().any(|line| line == value), "{shown}: {text}");
    }
    let is_code = |word: &&str| word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit());
    let codes = text.split(|letter: char| !letter.is_alphanumeric()).filter(is_code).count();
    assert_eq!(codes, usize::from(variables.code.is_some()), "{shown}: {text}");
}

/// The row of a kind in the docs: name, channels, whether templates may be stored, variables.
fn row(kind: Kind) -> String {
    let channels: Vec<_> = kind.channels().iter().map(|channel| channel.name()).collect();
    let stored: Vec<_> = kind.channels().iter().filter(|channel| kind.has_templates(**channel)).collect();
    let stored = if stored.is_empty() { "no" } else { "yes" };
    let variables: Vec<_> = variables_of(kind).iter().map(|name| format!("`{name}`")).collect();
    let variables = if variables.is_empty() { "none".to_owned() } else { variables.join(", ") };
    format!("| `{}` | {} | {stored} | {variables} |", kind.name(), channels.join(", "))
}

#[test]
fn the_docs_have_a_row_for_every_kind_and_name_every_variable() {
    let docs = include_str!("../../../docs/messages.md");
    for kind in Kind::ALL {
        assert!(docs.lines().any(|line| line == row(*kind)), "{}", row(*kind));
    }
    for name in VARIABLES {
        assert!(docs.contains(&format!("| `{name}` |")), "{name}");
    }
}

/// Parts of templates, in an order that is mostly wrong.
fn parts() -> impl Strategy<Value = String> {
    let part = proptest::sample::select(
        &[
            "{{",
            "}}",
            "{%",
            "%}",
            "{#",
            "#}",
            "{{-",
            "-%}",
            "{{ ",
            " }}",
            "{% if ",
            " %}",
            "{% elif ",
            "{% else %}",
            "{% endif %}",
            "{% set a = ",
            "{% for a in ",
            "{% raw %}",
            "{% endraw %}",
            "a",
            " code ",
            "first_name",
            "link",
            "|upper",
            "|default(",
            "|title",
            "|trim",
            "(",
            ")",
            "[",
            "]",
            ":",
            ",",
            "=",
            "==",
            "<",
            "1",
            "0",
            "999999999",
            "*",
            "+",
            "-",
            "/",
            "//",
            "**",
            "~",
            ".",
            "'x'",
            "\"",
            "'",
            "\\",
            " not ",
            " and ",
            " in ",
            " is none ",
            " if ",
            " else ",
            "\n",
            " ",
            "{",
            "}",
            "é",
            "\u{202e}",
            "<b>",
            "&",
        ][..],
    );
    proptest::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
}

/// Expressions, most of which are in the language.
fn expressions() -> impl Strategy<Value = String> {
    let leaf =
        proptest::sample::select(&["code", "link", "first_name", "expires_minutes", "1", "999999999", "'x'"][..]);
    let leaf = leaf.prop_map(str::to_owned);
    leaf.prop_recursive(4, 24, 3, |inner| {
        let sign = proptest::sample::select(&["+", "-", "*", "/", "//", "==", "<", " and ", " or ", " in "][..]);
        prop_oneof![
            (inner.clone(), sign, inner.clone()).prop_map(|(one, sign, other)| format!("({one}{sign}{other})")),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("{one}|default({other})")),
            inner.clone().prop_map(|inner| format!("-{inner}")),
            inner.prop_map(|inner| format!("{inner}|title")),
        ]
    })
}

fn assert_bounded(source: &str) {
    for format in [Format::Html, Format::Txt, Format::Sms] {
        for variables in Variables::samples(Kind::Onboarding) {
            if let Ok(text) = render(source, format, &variables) {
                assert!(text.len() <= OUTPUT_BYTES_MAX);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_parts_makes_the_engine_panic_or_grow(source in parts()) {
        assert_bounded(&source);
    }

    #[test]
    fn no_expression_makes_the_engine_panic_or_grow(expression in expressions(), other in expressions()) {
        let set = format!("{{% set a = {expression} %}}{{% if a < {other} %}}{{{{ a }}}}{{% endif %}}");
        assert_bounded(&format!("{set}{{{{ {other} }}}}"));
    }

    #[test]
    fn no_name_adds_a_line_to_a_subject_or_a_tag_to_a_page(
        name in proptest::collection::vec(any::<char>(), 1..300),
        kind in proptest::sample::select(Kind::ALL.to_vec()),
        locale in proptest::sample::select(LOCALES.to_vec()),
    ) {
        let name: String = name.into_iter().collect();
        let Some(email) = email(kind, locale) else { return Ok(()) };
        let with = |name: &str| {
            let name = Some(name.to_owned());
            Variables { first_name: name.clone(), last_name: name.clone(), organization: name, ..full(kind) }
        };
        let subject = render_subject(email.subject, &with(&name));
        let is_line = |subject: &str| subject.chars().count() <= 255 && !subject.chars().any(rendering::ends_line);
        prop_assert!(subject.as_deref().is_ok_and(is_line), "{:?}", subject);
        let tags = |name: &str| html(email.html, &with(name)).matches('<').count();
        prop_assert_eq!(tags(&name), tags("Ada"));
    }

    #[test]
    fn text_without_tags_is_written_as_it_is(text in "[^{]{0,200}[^{\r\n]") {
        prop_assert_eq!(rendered(&text), Ok(text));
    }
}
