//! Texts of documents: read from files and sanitised before they are stored, so that every reader of the event may
//! show them. Elements of text, lists and tables are left, and links to other sites. Scripts, styles, images, forms and
//! frames are gone: a text that people agree to looks the same years later, and tells no other server who reads it.

use ammonia::{Builder, UrlRelative};
use registrar_aggregates::service_document::{TITLE_LENGTH_MAX, Translation};
use registrar_aggregates::user::Locale;
use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::LazyLock;

/// Largest file of a text, in bytes: as large as an event.
pub const FILE_BYTES_MAX: u64 = 256 * 1024;

static SANITISER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut sanitiser = Builder::default();
    sanitiser
        .rm_tags(["area", "img", "map"])
        .add_clean_content_tags(["iframe", "math", "object", "svg", "title"])
        .rm_generic_attributes(["title"])
        .url_schemes(HashSet::from(["http", "https", "mailto", "tel"]))
        .url_relative(UrlRelative::Deny);
    sanitiser
});

/// The text of a file.
///
/// # Errors
/// A text that describes the defect of the file.
pub fn read_file(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("it is larger than {} KiB", FILE_BYTES_MAX / 1024));
    }
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

/// The text of the document `name` in one language, from a page of HTML or a part of one. Its title is that of the
/// page, else the first heading, else the name.
#[must_use]
pub fn translation(locale: Locale, name: &str, page: &str) -> Translation {
    let html = SANITISER.clean(page).to_string().trim().to_owned();
    let title = text_of("title", page).or_else(|| text_of("h1", &html)).unwrap_or_else(|| name.trim().to_owned());
    Translation { locale, title: title.chars().take(TITLE_LENGTH_MAX).collect(), html }
}

/// The text of the first element with this tag, on one line; `None` if it has no text.
fn text_of(tag: &'static str, page: &str) -> Option<String> {
    let mut only = Builder::empty();
    only.add_tags([tag]).generic_attributes(HashSet::new());
    let kept = only.clean(page).to_string();
    let (_, rest) = kept.split_once(format!("<{tag}>").as_str())?;
    let (text, _) = rest.split_once(format!("</{tag}>").as_str())?;
    // These are all that the serialiser escapes in a text.
    let text = text.replace("&nbsp;", " ").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(page: &str) -> String {
        translation(Locale::EnUs, "terms", page).html
    }

    fn title(page: &str) -> String {
        translation(Locale::EnUs, " terms ", page).title
    }

    #[test]
    fn texts_lists_tables_and_links_to_other_sites_stay() {
        for page in [
            "<h1>Terms</h1><p lang=\"en\">Be <strong>kind</strong> &amp; brief.</p>",
            "<ol start=\"3\"><li>One</li></ol><table><tbody><tr><td colspan=\"2\">a</td></tr></tbody></table>",
        ] {
            assert_eq!(html(page), page);
        }
        let link = "<a href=\"https://example.org/a?b=c\">there</a><a href=\"mailto:a@example.org\">us</a>";
        let safe = link.replace("\">", "\" rel=\"noopener noreferrer\">");
        assert_eq!(html(link), safe);
    }

    #[test]
    fn a_whole_page_is_reduced_to_its_body() {
        let page = "<!doctype html><html><head><meta charset=\"utf-8\"><title>Terms</title>\
                    <link rel=\"stylesheet\" href=\"https://evil.example/x.css\"></head>\
                    <body onload=\"alert(1)\"><!-- draft --><p>Be kind.</p></body></html>";
        assert_eq!(html(page), "<p>Be kind.</p>");
    }

    #[test]
    fn nothing_of_a_hostile_page_is_run_loaded_or_sent() {
        for hostile in [
            "<script>alert(1)</script>",
            "<scr<script>ipt>alert(1)</script>",
            "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
            "<body onload=alert(1)>",
            "<p onclick=\"alert(1)\" onmouseover=alert(1)>",
            "<img src=x onerror=alert(1)>",
            "<img src=\"https://evil.example/pixel.gif\">",
            "<a href=\"javascript:alert(1)\">x</a>",
            "<a href=\" java\tscript:alert(1)\">x</a>",
            "<a href=\"JaVaScRiPt:alert(1)\">x</a>",
            "<a href=\"&#106;avascript:alert(1)\">x</a>",
            "<a href=\"data:text/html,<script>alert(1)</script>\">x</a>",
            "<a href=\"vbscript:alert(1)\">x</a>",
            "<svg onload=alert(1)><circle/></svg>",
            "<svg><script>alert(1)</script></svg>",
            "<svg><a xlink:href=\"javascript:alert(1)\"><text>x</text></a></svg>",
            "<svg><animate onbegin=alert(1) attributeName=x></svg>",
            "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></mglyph></table></mtext></math>",
            "<style>@import url(https://evil.example/x.css);</style>",
            "<p style=\"background:url(https://evil.example/x)\">",
            "<link rel=stylesheet href=https://evil.example/x.css>",
            "<base href=\"https://evil.example/\">",
            "<meta http-equiv=\"refresh\" content=\"0;url=https://evil.example/\">",
            "<iframe src=\"https://evil.example/\" srcdoc=\"<script>alert(1)</script>\"></iframe>",
            "<object data=\"https://evil.example/x.swf\"><embed src=\"https://evil.example/x\"></object>",
            "<form action=\"https://evil.example/\"><input name=password><button formaction=\"javascript:alert(1)\">",
            "<video src=\"https://evil.example/\" poster=\"javascript:alert(1)\"></video>",
            "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\"></noscript>",
            "<template><script>alert(1)</script></template>",
            "<textarea></textarea><script>alert(1)</script>",
            "<p title='\"><script>alert(1)</script>'>",
            "<p id=\"location\" name=\"cookie\" class=\"overlay\">",
            "<a href=\"/v1/logout/\">x</a><a href=\"//evil.example/\">x</a><a href=\"?a\">x</a>",
        ] {
            let html = html(hostile).to_lowercase();
            // A browser that reads the text finds elements and attributes of this list and no others.
            let again = SANITISER.clean(&html).to_string();
            assert_eq!(again, html, "{hostile}");
            for element in html.split('<').skip(1).map(|rest| rest.split('>').next().unwrap_or_default()) {
                let tag = element.trim_start_matches('/').split_whitespace().next().unwrap_or_default();
                assert!(["a", "p"].contains(&tag), "{hostile}: {html}");
                for banned in ["href", " on", "style", "id=", "name=", "class", "title"] {
                    assert!(!element.contains(banned), "{hostile}: {html}");
                }
            }
        }
    }

    #[test]
    fn deep_nesting_ends() {
        let deep = format!("{}x{}", "<div>".repeat(5_000), "</div>".repeat(5_000));
        assert!(html(&deep).contains('x'));
    }

    #[test]
    fn a_title_is_that_of_the_page_or_of_its_first_heading_or_the_name() {
        assert_eq!(title("<title> Terms\n of &lt;use&gt; &amp;c. </title><h1>Other</h1>"), "Terms of <use> &c.");
        assert_eq!(title("<p>a<h1 title=\"a>b\">Terms <em>of</em>&nbsp;use</h1><h1>Other</h1>"), "Terms of use");
        assert_eq!(title("<title> </title><p>Be kind."), "terms");
        assert_eq!(title("<h1><script>alert(1)</script></h1>"), "terms");
        assert_eq!(title(&format!("<h1>{}</h1>", "ä".repeat(300))), "ä".repeat(TITLE_LENGTH_MAX));
    }

    #[test]
    fn a_file_is_utf_8_of_256_kibibytes_at_most() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("terms.html");
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read_file(&path)
        };
        assert_eq!(read("\u{feff}<p>Sé amable.".as_bytes()).as_deref(), Ok("<p>Sé amable."));
        let largest = "x".repeat(256 * 1024);
        assert_eq!(read(largest.as_bytes()).as_deref(), Ok(largest.as_str()));
        assert_eq!(read(format!("{largest}x").as_bytes()), Err("it is larger than 256 KiB".to_owned()));
        assert_eq!(read(b"\xff"), Err("it is not UTF-8".to_owned()));
        assert!(read_file(&folder.path().join("missing")).is_err());
    }
}
