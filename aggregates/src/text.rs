//! Comparison of text: alike on every store and in every dialect.

use unicode_normalization::UnicodeNormalization;

/// The form in which text is sorted and searched: NFC, case-folded, NFC again (Unicode 3.13, D145).
///
/// ASCII, by far the most common, takes a fast path with the same result.
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

/// The ASCII form of a domain name, in lower case (RFC 5891); `None` for a malformed one.
pub(crate) fn domain_in_ascii(domain: &str) -> Option<String> {
    let ascii = idna::domain_to_ascii_strict(domain).ok()?;
    (ascii.len() <= 253 && ascii.split('.').all(|label| !label.is_empty())).then_some(ascii)
}

/// Whether a character is a format character (general category Cf of Unicode 16), a line or paragraph separator, or a
/// filler: invisible, or changing the order of visible text. A name with one looks like the name without it. Names need
/// none of them; variation selectors, which choose between visible shapes, are excluded.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0001}'
            | '\u{e0020}'..='\u{e007f}'
    )
}

/// Whether a character embeds, overrides or isolates a direction of reading.
#[must_use]
pub fn is_override(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::{compatible, fold, is_invisible, is_override};

    #[test]
    fn passwords_that_look_alike_have_one_form() {
        assert_eq!(compatible("pa\u{308}ssword \u{fb01}"), compatible("p\u{e4}ssword fi"));
        assert_eq!(compatible("Plain"), "Plain");
    }

    #[test]
    fn format_characters_are_invisible_and_letters_marks_and_emoji_are_not() {
        for c in "\u{ad}\u{200b}\u{200d}\u{200f}\u{2028}\u{202a}\u{202e}\u{2060}\u{2065}\u{206f}\u{61c}\u{180e}\u{feff}"
            .chars()
        {
            assert!(is_invisible(c), "{}", c.escape_unicode());
        }
        for c in "aß李é\u{301}\u{fe0f}❤🏽\u{a0}\u{3000}\u{2019}-' \u{930}\u{94d}".chars() {
            assert!(!is_invisible(c), "{}", c.escape_unicode());
        }
        assert!((0..=0x0010_ffff).filter_map(char::from_u32).filter(|c| is_override(*c)).all(is_invisible));
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
    fn the_fast_path_for_ascii_folds_like_the_full_one() {
        let ascii: String = (0..128_u8).map(char::from).collect();
        assert_eq!(fold(&ascii) + "ä", fold(&(ascii + "ä")));
    }
}
