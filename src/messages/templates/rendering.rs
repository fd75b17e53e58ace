//! Rendering by `minijinja`, within bounds.

use super::{TemplateFault, Variables, language};
use minijinja::value::{Serde, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, UndefinedBehavior, Value};
use registrar_aggregates::message::Format;
use registrar_aggregates::message::template::{LINE_LENGTH_MAX, TEXT_BYTES_MAX};
use std::io::{self, Write};

/// Largest rendered text, in bytes.
pub const OUTPUT_BYTES_MAX: usize = 256 * 1024;
/// Longest rendered text message, in characters; gateways refuse longer ones.
pub const SMS_LENGTH_MAX: usize = 1_600;
/// Fuel of a rendering: one for an instruction, and one for every 64 bytes that the template makes. The largest text
/// with nothing but variables takes about a quarter of it.
const FUEL: u64 = 100_000;

/// Renders the text of a message.
///
/// # Errors
/// The broken rule.
pub fn render(source: &str, format: Format, variables: &Variables) -> Result<String, TemplateFault> {
    if source.len() > TEXT_BYTES_MAX {
        return Err(TemplateFault { line: 1, rule: "is larger than 64 KiB" });
    }
    language::check(source)?;
    let environment = environment(format);
    let template = environment.template_from_str(source).map_err(|error| fault(&error))?;
    let mut output = BoundedOutput::default();
    let rendered = template.render_captured_to(Value::from(Serde(variables)), &mut output).map(drop);
    rendered.map_err(|error| fault(&error))?;
    let text = String::from_utf8(output.0).map_err(|_| TemplateFault { line: 1, rule: "cannot be rendered" })?;
    if format == Format::Sms && text.chars().count() > SMS_LENGTH_MAX {
        return Err(TemplateFault { line: 1, rule: "becomes longer than 1600 characters" });
    }
    Ok(text)
}

/// Renders a subject: one line. One that becomes too long with the values of a message is cut.
///
/// # Errors
/// The broken rule.
pub fn render_subject(source: &str, variables: &Variables) -> Result<String, TemplateFault> {
    let subject = line(source, variables)?;
    Ok(subject.chars().take(LINE_LENGTH_MAX).collect())
}

/// Renders a subject that must not need a cut.
///
/// # Errors
/// The broken rule.
pub(super) fn subject_within_bounds(source: &str, variables: &Variables) -> Result<String, TemplateFault> {
    let subject = line(source, variables)?;
    if subject.chars().count() > LINE_LENGTH_MAX {
        return Err(TemplateFault { line: 1, rule: "becomes longer than 255 characters" });
    }
    Ok(subject)
}

fn line(source: &str, variables: &Variables) -> Result<String, TemplateFault> {
    let line = render(source, Format::Txt, &variables.in_one_line())?;
    if line.chars().any(ends_line) {
        return Err(TemplateFault { line: 1, rule: "becomes more than one line" });
    }
    Ok(line)
}

/// Whether a character ends a line, or is no part of one.
pub(super) fn ends_line(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}')
}

/// An engine with the filters and tests of the language and nothing else: no functions, no loader.
fn environment(format: Format) -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_formatter(move |output, _, value| write(output, format, value));
    add_text_filter(&mut environment, "upper", str::to_uppercase);
    add_text_filter(&mut environment, "lower", str::to_lowercase);
    add_text_filter(&mut environment, "capitalize", capitalized);
    add_text_filter(&mut environment, "title", titled);
    add_text_filter(&mut environment, "trim", |text| text.trim().to_owned());
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    // Every value is escaped when it is written, and a second time would be once too often.
    environment.add_filter("escape", unchanged);
    environment.add_filter("e", unchanged);
    environment.add_test("none", |value: Value| value.is_none());
    environment.add_test("defined", |value: Value| !value.is_undefined());
    environment.add_test("undefined", |value: Value| value.is_undefined());
    environment
}

fn add_text_filter(environment: &mut Environment<'static>, name: &'static str, apply: fn(&str) -> String) {
    environment.add_filter(name, move |value: Value| match value.as_str() {
        Some(text) => Value::from(apply(text)),
        None => value,
    });
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters.flat_map(char::to_lowercase)).collect())
        .unwrap_or_default()
}

fn titled(text: &str) -> String {
    text.split_inclusive(char::is_whitespace).map(capitalized).collect()
}

/// `other` in place of a value that is null or empty.
fn default(value: Value, other: Value) -> Value {
    let is_empty = value.is_none() || value.is_undefined() || value.as_str() == Some("");
    if is_empty { other } else { value }
}

fn unchanged(value: Value) -> Value {
    value
}

/// Writes a value; null is nothing. The engine's own formatter escapes `/` as well, so that a link in the source of a
/// mail could be neither found nor copied.
fn write(output: &mut Output<'_>, format: Format, value: &Value) -> Result<(), Error> {
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => Ok(()),
        ValueKind::Bool | ValueKind::Number | ValueKind::String => {
            let text = value.to_string();
            let text = if format == Format::Html { escaped(&text) } else { text };
            Ok(output.write_str(&text)?)
        }
        _ => Err(Error::from(ErrorKind::InvalidOperation)),
    }
}

pub(in crate::messages) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// Output that takes no more than the largest text.
#[derive(Default)]
struct BoundedOutput(Vec<u8>);

impl Write for BoundedOutput {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        if self.0.len() + part.len() > OUTPUT_BYTES_MAX {
            return Err(io::Error::other("the output is full"));
        }
        self.0.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The rule behind an error of the engine, whose own words may have values of the template.
fn fault(error: &Error) -> TemplateFault {
    let rule = match error.kind() {
        ErrorKind::SyntaxError | ErrorKind::BadEscape => "has a syntax error",
        ErrorKind::UndefinedError => "uses a value that is not set",
        ErrorKind::InvalidOperation => "uses a value in a way that it does not fit",
        ErrorKind::MissingArgument | ErrorKind::TooManyArguments => "gives a filter the wrong number of values",
        ErrorKind::OutOfFuel => "takes too long",
        ErrorKind::WriteFailure => "becomes larger than 256 KiB",
        _ => "cannot be rendered",
    };
    TemplateFault { line: error.line().unwrap_or(1), rule }
}
