//! HTML of customers, cleaned after it was rendered, and the conversion between HTML and plain text where a customer has
//! stored only one of them.
//!
//! A mail has styles and pictures, so more is left than in documents that people agree to. Nothing is left that runs,
//! frames, sends a form, or leads to another scheme than the web, mail and telephone.

use super::templates::escaped;
use ammonia::{Builder, UrlRelative};
use registrar_aggregates::user::Locale;
use std::collections::HashSet;
use std::sync::LazyLock;

/// Properties of styles that are left. None of them loads anything or takes a text out of its place.
const STYLES: [&str; 30] = [
    "background-color",
    "border",
    "border-bottom",
    "border-collapse",
    "border-color",
    "border-left",
    "border-radius",
    "border-right",
    "border-spacing",
    "border-style",
    "border-top",
    "border-width",
    "color",
    "font-family",
    "font-size",
    "font-style",
    "font-weight",
    "height",
    "letter-spacing",
    "line-height",
    "list-style-type",
    "margin",
    "max-width",
    "padding",
    "text-align",
    "text-decoration",
    "text-transform",
    "vertical-align",
    "white-space",
    "width",
];

static SANITISER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut sanitiser = Builder::default();
    sanitiser
        .rm_tags(["area", "map"])
        .add_clean_content_tags(["iframe", "math", "object", "svg", "title"])
        .rm_generic_attributes(["title"])
        .add_generic_attributes(["style"])
        .filter_style_properties(HashSet::from(STYLES))
        .url_schemes(HashSet::from(["http", "https", "mailto", "tel"]))
        .url_relative(UrlRelative::Deny);
    sanitiser
});

/// The body of a page, or a part of one, without anything that a mail must not have.
pub(super) fn clean(html: &str) -> String {
    SANITISER.clean(html).to_string().trim().to_owned()
}

/// A page with this body.
pub(super) fn page(locale: Locale, body: &str) -> String {
    let language = match locale {
        Locale::EnUs => "en",
        Locale::EsUs => "es",
    };
    format!(
        "<!doctype html>\n<html lang=\"{language}\">\n<head><meta charset=\"utf-8\"></head>\n<body>\n{body}\n</body>\n</html>\n"
    )
}

/// HTML of a plain text: its paragraphs and lines.
pub(super) fn html_of(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let paragraphs = text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty());
    let lines = |paragraph: &str| paragraph.lines().map(escaped).collect::<Vec<_>>().join("<br>\n");
    paragraphs.map(|paragraph| format!("<p>{}</p>\n", lines(paragraph))).collect()
}

/// The text of cleaned HTML, with the addresses of links behind their labels.
pub(super) fn text_of(html: &str) -> String {
    let (mut text, mut rest, mut links) = (String::new(), html, Vec::new());
    while let Some((before, tag_onward)) = rest.split_once('<') {
        push_words(&mut text, before);
        let (tag, after) = split_tag(tag_onward);
        rest = after;
        let name = tag.split([' ', '\n', '>']).next().unwrap_or_default();
        match name {
            "a" => links.push((text.len(), href(tag))),
            "/a" => {
                if let Some((start, Some(target))) = links.pop() {
                    let label = text.get(start..).unwrap_or_default();
                    let shown = target.strip_prefix("mailto:").or(target.strip_prefix("tel:")).unwrap_or(&target);
                    if !label.contains(shown) {
                        let space = if label.trim().is_empty() { "" } else { " " };
                        text.push_str(&format!("{space}{target}"));
                    }
                }
            }
            "br" | "/p" | "/div" | "/tr" | "/h1" | "/h2" | "/h3" | "/h4" | "/h5" | "/h6" | "/li" | "/table" | "hr" => {
                text.push('\n');
            }
            "p" | "ul" | "ol" | "/ul" | "/ol" => text.push('\n'),
            "li" => text.push_str("- "),
            "td" | "th" => push_words(&mut text, " "),
            _ => {}
        }
    }
    push_words(&mut text, rest);
    in_paragraphs(&text)
}

/// The tag that a text begins with, without its brackets, and the rest behind it. A bracket within quotes ends no tag.
fn split_tag(text: &str) -> (&str, &str) {
    let mut quoted = false;
    for (at, letter) in text.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '>' if !quoted => return (&text[..at], &text[at + 1..]),
            _ => {}
        }
    }
    (text, "")
}

/// The target of a link.
fn href(tag: &str) -> Option<String> {
    let (_, value) = tag.split_once("href=\"")?;
    let (value, _) = value.split_once('"')?;
    Some(decoded(value))
}

/// Adds a text in which white space of any length is one space.
fn push_words(text: &mut String, further: &str) {
    let further = decoded(further);
    let starts_with_space = further.starts_with(char::is_whitespace);
    let words = further.split_whitespace().collect::<Vec<_>>().join(" ");
    let at_start = text.is_empty() || text.ends_with([' ', '\n']);
    if starts_with_space && !at_start {
        text.push(' ');
    }
    text.push_str(&words);
    if !words.is_empty() && further.ends_with(char::is_whitespace) {
        text.push(' ');
    }
}

/// A text of the serialiser, which escapes nothing else.
fn decoded(text: &str) -> String {
    let text = text.replace("&nbsp;", " ").replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    text.replace("&amp;", "&")
}

/// A text whose lines have no space at their ends, with one blank line between paragraphs.
fn in_paragraphs(text: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim) {
        if !line.is_empty() || lines.last().is_some_and(|last| !last.is_empty()) {
            lines.push(line);
        }
    }
    let text = lines.join("\n");
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_pictures_tables_and_links_of_a_mail_stay() {
        let html = clean(
            "<table><tbody><tr><td align=\"center\" style=\"color: #333; font-size: 16px; position: fixed\">a</td></tr></tbody>\
             </table><p><img src=\"https://cdn.example.org/logo.png\" alt=\"Acme\" width=\"64\"> \
             <a href=\"https://example.org/a?b=c&amp;d=e\">there</a></p>",
        );
        for kept in [
            "<td align=\"center\"",
            "color:",
            "font-size:",
            "src=\"https://cdn.example.org/logo.png\"",
            "href=\"https://example.org/a?b=c&amp;d=e\"",
        ] {
            assert!(html.contains(kept), "{kept}: {html}");
        }
        assert!(!html.contains("position"), "{html}");
    }

    #[test]
    fn nothing_of_a_hostile_mail_runs_frames_or_sends() {
        for hostile in [
            "<script>alert(1)</script>",
            "<p onclick=\"alert(1)\">x</p>",
            "<img src=x onerror=alert(1)>",
            "<img src=\"data:image/svg+xml,<svg onload=alert(1)>\">",
            "<a href=\"javascript:alert(1)\">x</a>",
            "<a href=\"&#106;avascript:alert(1)\">x</a>",
            "<a href=\"/v1/logout/\">x</a>",
            "<style>@import url(https://evil.example/x.css);</style>",
            "<p style=\"background:url(https://evil.example/x)\">x</p>",
            "<p style=\"position:fixed;top:0;behavior:url(x)\">x</p>",
            "<iframe src=\"https://evil.example/\"></iframe>",
            "<form action=\"https://evil.example/\"><input name=password></form>",
            "<svg><script>alert(1)</script></svg>",
            "<meta http-equiv=\"refresh\" content=\"0;url=https://evil.example/\">",
            "<base href=\"https://evil.example/\">",
            "<link rel=stylesheet href=https://evil.example/x.css>",
        ] {
            let html = clean(hostile).to_lowercase();
            for banned in
                ["script", " on", "evil", "url(", "position", "<form", "<input", "<iframe", "<svg", "href", "src="]
            {
                assert!(!html.contains(banned), "{hostile}: {html}");
            }
        }
    }

    #[test]
    fn html_is_told_in_plain_text_with_the_addresses_of_its_links() {
        let html = clean(
            "<h1>Welcome,  Ada</h1><p>Open <a href=\"https://app.example.com/sign-up?a=1&amp;b=2\">your\n invitation</a>\
             .</p><ul><li>One</li><li>Two &lt;3</li></ul><table><tr><td>a</td><td>b</td></tr></table>\
             <p><a href=\"mailto:help@example.com\">help@example.com</a><br>\
             <a href=\"https://example.com/\">https://example.com/</a></p>",
        );
        let expected = "Welcome, Ada\n\nOpen your invitation https://app.example.com/sign-up?a=1&b=2.\n\n- One\n- Two <3\n\na b\n\n\
                        help@example.com\nhttps://example.com/";
        assert_eq!(text_of(&html), expected);
        assert_eq!(text_of("a > b <b title=\"x>y\">c</b>"), "a > b c");
        assert_eq!(
            text_of("<a href=\"https://example.com/\"><img src=\"https://example.com/x.png\"></a>"),
            "https://example.com/"
        );
    }

    #[test]
    fn a_plain_text_becomes_paragraphs_and_lines() {
        assert_eq!(html_of("Hello <Ada>,\r\n\r\nOne\nTwo\n\n\n"), "<p>Hello &lt;Ada&gt;,</p>\n<p>One<br>\nTwo</p>\n");
        assert!(page(Locale::EsUs, "<p>a</p>").contains("<html lang=\"es\">"));
    }
}
