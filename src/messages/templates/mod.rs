//! Templates of messages: the language, the variables, the built-in texts, and their rendering.
//!
//! Customers write templates, so a template is taken for hostile. Four bounds keep it harmless:
//!
//! - The language is a small part of Jinja (`language.rs`), without loops, calls and lists. `minijinja` renders it, and
//!   never sees a text that is outside of it.
//! - Fuel is charged for instructions and for every byte that a template makes, so that memory is bounded as well.
//! - Writing stops at the largest output, not after it.
//! - A value is escaped in HTML; no filter takes that away.
//!
//! A template is rendered with sample values before it is stored. Errors name line and rule, never a value. A template
//! may still fail with the values of a message: its sender then falls back to the built-in one.
//!
//! HTML of customers is not cleaned here, but where a message is composed (`../cleaning.rs`).

mod built_in;
mod language;
mod rendering;
#[cfg(test)]
mod tests;
mod variables;

pub use built_in::{EmailTemplate, email, text_message};
pub(super) use rendering::escaped;
pub use rendering::{OUTPUT_BYTES_MAX, SMS_LENGTH_MAX, render, render_subject};
pub use variables::{VARIABLES, Variables, variables_of};

use registrar_aggregates::message::template::Template;
use registrar_aggregates::values::{Finding, Problem};

/// A broken rule of the language or of the rendering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {rule}")]
pub struct TemplateFault {
    /// Number of the line, from 1.
    pub line: usize,
    /// The rule; holds no value of the template or of a message.
    pub rule: &'static str,
}

impl TemplateFault {
    fn of(self, field: &str) -> Finding {
        Problem::BrokenTemplate { line: self.line, rule: self.rule }.of(field)
    }
}

/// Checks the texts of a template by rendering them with sample values: with all variables of the kind, and without
/// those that a message may lack.
///
/// # Errors
/// The first broken rule, with the member.
pub fn check(template: &Template) -> Result<(), Finding> {
    check_with(template, &Variables::samples(template.purpose.kind))
}

/// As [`check`], with these values.
///
/// # Errors
/// As [`check`].
pub fn check_with(template: &Template, samples: &[Variables]) -> Result<(), Finding> {
    for variables in samples {
        if let Some(subject) = &template.subject {
            rendering::subject_within_bounds(subject, variables).map_err(|fault| fault.of("subject"))?;
        }
        let format = template.purpose.format;
        let text = render(&template.text, format, variables).map_err(|fault| fault.of("template"))?;
        if text.trim().is_empty() && variables.is_complete() {
            return Err(TemplateFault { line: 1, rule: "becomes empty" }.of("template"));
        }
    }
    Ok(())
}
