//! Country calling codes, and the lengths that national numbers have behind them.
//!
//! The table says what libphonenumber 9.0.43 says of the main country of each code, as far as the whole number has 8 to
//! 15 digits; `tests/e2e/phone_numbers.rs` compares all of it with the Python port. Prefixes of areas and networks are
//! not judged: they change by the month, and numbers that are set aside for examples (+1 555...) are to be accepted.
//!
//! The crate `phonenumber` would bring the table, but is not for numbers that strangers send. It matches patterns that
//! it compiles at their use and keeps in a cache of 100 behind one lock for the whole program, so that some numbers of
//! many countries make every caller wait for the compiler; a panic there ends all later calls. It checks the syntax of
//! 3,400 patterns at its first use, offers no check of lengths, and brings 19 further crates, one of them unmaintained.

/// Longest calling code, in digits.
const CODE_LENGTH_MAX: usize = 3;

/// Lengths of national numbers in digits, with the calling codes behind which they are possible.
const LENGTHS: &[(&[usize], &[u16])] = &[
    (&[5], &[290, 500, 682]),
    (&[6], &[298, 299, 672, 687]),
    (&[7], &[238, 239, 246, 248, 269, 291, 297, 592, 673, 674, 680, 683, 691, 692]),
    (
        &[8],
        &[
            45, 47, 216, 222, 223, 226, 227, 228, 232, 235, 236, 253, 257, 266, 350, 356, 357, 370, 371, 373, 374, 389,
            505, 509, 800, 808, 973, 993,
        ],
    ),
    (
        &[9],
        &[
            33, 34, 93, 94, 211, 212, 218, 221, 240, 242, 244, 249, 251, 255, 256, 260, 261, 262, 351, 590, 594, 596,
            979, 992, 994, 995, 998,
        ],
    ),
    (&[10], &[1, 52, 58, 225, 229]),
    (&[11], &[888]),
    (&[12], &[878]),
    (&[5, 6], &[247]),
    (&[5, 7], &[676, 677, 678]),
    (&[5, 8], &[686]),
    (&[6, 7], &[597]),
    (&[6, 9], &[40, 508, 681]),
    (&[7, 8], &[241, 599, 670, 675, 853, 961, 965, 975]),
    (&[7, 9], &[220, 245, 265, 354, 423]),
    (&[7, 10], &[960]),
    (&[7, 11], &[501, 679]),
    (&[8, 9], &[32, 36, 51, 213, 224, 233, 237, 250, 258, 264, 268, 377, 382, 387, 591, 962, 963]),
    (&[8, 10], &[378, 506, 850]),
    (&[8, 11], &[502, 504]),
    (&[9, 10], &[380, 881, 966, 996]),
    (&[9, 12], &[41, 870]),
    (&[10, 11], &[54]),
    (&[10, 14], &[7]),
    (&[5, 6, 7], &[688, 690]),
    (&[6, 7, 9], &[421]),
    (&[6, 7, 10], &[98]),
    (&[6, 8, 9], &[376, 689]),
    (&[7, 8, 9], &[231, 385, 967, 968]),
    (&[7, 8, 10], &[230, 267, 372]),
    (&[7, 8, 11], &[503]),
    (&[7, 9, 10], &[44, 263]),
    (&[8, 9, 10], &[20, 60, 855, 856, 964, 970, 976]),
    (&[8, 10, 11], &[57, 65, 977]),
    (&[9, 10, 11], &[56]),
    (&[10, 11, 12], &[30, 234]),
    (&[5, 6, 7, 8], &[386]),
    (&[5, 6, 7, 10], &[685]),
    (&[6, 7, 8, 9], &[252, 355]),
    (&[6, 7, 8, 10], &[53]),
    (&[7, 8, 9, 10], &[84, 243, 254, 353]),
    (&[7, 8, 9, 11], &[974]),
    (&[7, 8, 10, 11], &[507]),
    (&[7, 10, 12, 13], &[90]),
    (&[8, 9, 10, 11], &[55, 593]),
    (&[8, 9, 10, 13], &[66]),
    (&[9, 10, 11, 12], &[420]),
    (&[6, 7, 8, 9, 10], &[27, 48, 64, 95, 880]),
    (&[6, 7, 8, 9, 12], &[359]),
    (&[7, 8, 9, 10, 11], &[886]),
    (&[8, 9, 10, 11, 12], &[92, 383, 883]),
    (&[5, 6, 7, 8, 9, 11], &[852]),
    (&[6, 7, 8, 9, 10, 11], &[31, 375, 595]),
    (&[6, 7, 8, 9, 10, 12], &[46, 61]),
    (&[7, 8, 9, 10, 11, 12], &[86, 882, 972]),
    (&[8, 9, 10, 11, 12, 13], &[81, 91]),
    (&[5, 6, 7, 8, 9, 10, 11], &[352]),
    (&[6, 7, 8, 9, 10, 11, 12], &[39, 381]),
    (&[6, 8, 9, 10, 11, 12, 13], &[63, 82]),
    (&[7, 8, 9, 10, 11, 12, 13], &[62]),
    (&[5, 6, 7, 8, 9, 10, 11, 12], &[358, 598, 971]),
    (&[6, 7, 8, 9, 10, 11, 12, 13], &[43, 49]),
];

/// Whether the digits of an international number begin with a calling code, and are as many as a number there has. No
/// code begins with another one.
pub(super) fn is_possible(digits: &str) -> bool {
    (1..=CODE_LENGTH_MAX).filter_map(|length| digits.split_at_checked(length)).any(|(code, national)| {
        let Ok(code) = code.parse::<u16>() else { return false };
        LENGTHS.iter().any(|(lengths, codes)| codes.contains(&code) && lengths.contains(&national.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn codes() -> Vec<String> {
        LENGTHS.iter().flat_map(|(_, codes)| codes.iter().map(ToString::to_string)).collect()
    }

    #[test]
    fn no_calling_code_stands_twice_or_begins_with_another_one() {
        let codes = codes();
        assert_eq!(codes.len(), 215);
        assert_eq!(BTreeSet::from_iter(&codes).len(), codes.len());
        for code in &codes {
            assert!(code.len() <= CODE_LENGTH_MAX);
            assert!(!codes.iter().any(|other| other != code && other.starts_with(code.as_str())), "{code}");
        }
    }

    #[test]
    fn every_length_is_that_of_an_international_number() {
        for (lengths, codes) in LENGTHS {
            assert!(lengths.is_sorted_by(|one, next| one < next), "{lengths:?}");
            for (length, code) in lengths.iter().flat_map(|length| codes.iter().map(move |code| (length, code))) {
                assert!((8..=15).contains(&(code.to_string().len() + length)), "{code} {length}");
            }
        }
    }
}
