//! Templates of messages: their organization takes additions, and their texts are in the language of templates.

use super::organizations::check_takes_additions;
use super::{Step, Streams, check_version};
use crate::message::template::{Amendment, MessageTemplate, Owner, Template, TemplateCommand};
use crate::values::{Finding, MessageTemplateId};

/// The check of the texts of a template. It is a pure function, and given from outside, since the language is not part
/// of the domain.
pub type LanguageCheck = fn(&Template) -> Result<(), Finding>;

/// Creates a template.
///
/// # Errors
/// `NotFound` and `Retired` for its organization; `Unfit`; those of `language`.
pub fn create(streams: &mut Streams, id: MessageTemplateId, template: &Template, language: LanguageCheck) -> Step<()> {
    if let Owner::Organization(organization) = template.owner {
        check_takes_additions(streams, organization)?;
    }
    execute(streams, id, TemplateCommand::Create { id, template: template.clone() }, language)
}

/// Changes a template.
///
/// # Errors
/// `NotFound`, `Unfit`; those of `language`; `OtherVersion` if the template is not at the `expected` version.
pub fn amend(
    streams: &mut Streams,
    id: MessageTemplateId,
    amendment: &Amendment,
    expected: Option<u64>,
    language: LanguageCheck,
) -> Step<()> {
    check_version::<MessageTemplate>(streams, id, expected)?;
    execute(streams, id, TemplateCommand::Amend(amendment.clone()), language)
}

/// The language is checked after the bounds of the texts, and on the whole content: a change of the kind or the format
/// alone may break a text.
fn execute(
    streams: &mut Streams,
    id: MessageTemplateId,
    command: TemplateCommand,
    language: LanguageCheck,
) -> Step<()> {
    let changed = streams.execute::<MessageTemplate>(id, command)?;
    match streams.state::<MessageTemplate>(id)? {
        MessageTemplate::Present(template) if changed => Ok(language(template)?),
        MessageTemplate::Present(_) | MessageTemplate::Absent => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::template::TemplateEvent;
    use crate::message::tests::{created, template};
    use crate::organization::OrganizationError;
    use crate::processes::testing::*;
    use crate::values::Problem;
    use uuid::Uuid;

    const ID: MessageTemplateId = MessageTemplateId(Uuid::from_u128(12));

    /// A language without the letter x.
    fn language(template: &Template) -> Result<(), Finding> {
        if template.text.contains('x') { Err(broken()) } else { Ok(()) }
    }

    fn broken() -> Finding {
        Problem::BrokenTemplate { line: 1, rule: "has an x" }.of("template")
    }

    fn of_acme(text: &str) -> Template {
        Template { owner: Owner::Organization(ACME), text: text.into(), ..template() }
    }

    fn stored(text: &str) -> History {
        events::<MessageTemplate>(ID, [TemplateEvent::Created { id: ID, template: of_acme(text) }])
    }

    fn text(text: &str) -> Amendment {
        Amendment { text: Some(text.into()), ..Amendment::default() }
    }

    #[test]
    fn an_organization_gets_a_template() {
        given([organization(ACME)])
            .when(|streams| create(streams, ID, &of_acme("Hello"), language))
            .then([stored("Hello")]);
    }

    #[test]
    fn a_retired_or_deleted_organization_gets_no_template() {
        for (history, refusal) in
            [(retired(ACME), OrganizationError::Retired), (deleted(ACME), OrganizationError::NotFound)]
        {
            given([history]).when(|streams| create(streams, ID, &of_acme("Hello"), language)).then_refused(refusal);
        }
    }

    #[test]
    fn a_theme_needs_no_organization() {
        let of_theme = created();
        let TemplateEvent::Created { template, .. } = &of_theme else { panic!("a creation") };
        given([])
            .when(|streams| create(streams, ID, template, language))
            .then([events::<MessageTemplate>(ID, [of_theme.clone()])]);
    }

    #[test]
    fn a_text_in_another_language_is_refused() {
        given([organization(ACME)]).when(|streams| create(streams, ID, &of_acme("x"), language)).then_refused(broken());
        given([stored("Hello")]).when(|streams| amend(streams, ID, &text("x"), None, language)).then_refused(broken());
        let unfit = Problem::Blank.of("template");
        given([stored("Hello")])
            .when(|streams| amend(streams, ID, &text(" "), None, |_| Err(broken())))
            .then_refused(crate::message::template::TemplateError::Unfit(unfit));
    }

    #[test]
    fn a_change_of_nothing_is_not_checked_again() {
        given([stored("x")]).when(|streams| amend(streams, ID, &text("x"), None, language)).then_nothing();
    }

    #[test]
    fn a_template_at_another_version_is_not_changed() {
        given([stored("Hello")])
            .when(|streams| amend(streams, ID, &text("Bye"), Some(2), language))
            .then_other_version();
    }
}
