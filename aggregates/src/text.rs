//! How text is compared: alike on every store and in every dialect.

use unicode_normalization::UnicodeNormalization;

/// The form in which text is sorted and searched: NFC, case-folded, NFC again (Unicode 3.13, D145).
///
/// ASCII, by far the most common, takes a short way that gives the same result.
#[must_use]
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    caseless::default_case_fold_str(&text.nfc().collect::<String>()).nfc().collect()
}

/// The form in which passwords are hashed: NFKC, so that one typed on another keyboard is the same (RFC 8265, NIST SP
/// 800-63B 3.1.1.2).
#[must_use]
pub fn compatible(text: &str) -> String {
    text.nfkc().collect()
}

#[cfg(test)]
mod tests {
    use super::{compatible, fold};

    #[test]
    fn passwords_that_look_alike_have_one_form() {
        assert_eq!(compatible("pa\u{308}ssword \u{fb01}"), compatible("p\u{e4}ssword fi"));
        assert_eq!(compatible("Plain"), "Plain");
    }

    #[test]
    fn case_and_composition_do_not_matter() {
        assert_eq!(fold("ÅNGSTRÖM"), fold("a\u{30a}ngstro\u{308}m"));
        assert_eq!(fold("Straße"), fold("STRASSE"));
        assert_eq!(fold("Plain"), "plain");
    }

    #[test]
    fn folded_text_is_folded_already() {
        for text in
            ["Plain", "STRASSE", "Straße", "ΌΔΟΣ", "ὈΔΎΣ", "ﬁ", "İstanbul", "ǰ", "ŉ", "ᾳ", "K", "A\u{30a}\u{323}"]
        {
            assert_eq!(fold(&fold(text)), fold(text), "{text}");
        }
    }

    #[test]
    fn capitals_fold_like_small_letters() {
        for text in ["straße", "όδος", "ὀδύς", "ﬁ", "ᾳ", "ÿ", "привет"] {
            assert_eq!(fold(&text.to_uppercase()), fold(text), "{text}");
        }
    }

    #[test]
    fn the_short_way_for_ascii_gives_what_the_long_one_would() {
        let ascii: String = (0..128_u8).map(char::from).collect();
        assert_eq!(fold(&ascii) + "ä", fold(&(ascii + "ä")));
    }
}
