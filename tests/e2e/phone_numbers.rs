//! Telephone numbers are judged as by the Python port of libphonenumber.

use crate::python;
use registrar_aggregates::user::Phone;
use serde_json::Value;

/// A number of every length behind every beginning that could be a calling code.
fn numbers() -> Vec<String> {
    let of = |code: String| (8..=15).map(move |length| format!("+{code:2<length$}"));
    (1..1_000).flat_map(|code: u32| of(code.to_string())).collect()
}

/// Answers of the port about numbers.
fn told(numbers: &[String]) -> Value {
    serde_json::from_str(&python::run(python::script("phone_numbers/peer.py"), &numbers.join("\n"))).unwrap()
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

#[test]
fn calling_codes_and_lengths_are_those_of_libphonenumber() {
    let numbers = numbers();
    let told = told(&numbers);
    let accepted: Vec<_> = numbers.iter().map(String::as_str).filter(|number| Phone::parse(number).is_ok()).collect();
    assert_eq!(accepted, texts(&told["possible"]));
    assert!(accepted.len() > 2_000, "{}", accepted.len());
}

#[test]
fn an_example_of_every_region_is_accepted() {
    let told = told(&[]);
    // Three territories have numbers of seven digits, calling code included, which E.164 numbers here do not have.
    let examples: Vec<_> = texts(&told["examples"]).into_iter().filter(|number| number.len() > 8).collect();
    let refused: Vec<_> = examples.iter().filter(|number| Phone::parse(number).is_err()).collect();
    assert!(examples.len() > 400 && refused.is_empty(), "{refused:?} of {}", examples.len());
}
