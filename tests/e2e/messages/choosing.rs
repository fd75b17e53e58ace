//! The templates that a message is made of: those of the organization, of its theme, built in; each in the wanted
//! language, then in English.

use super::{CODE, code_to, compose, message, texts};
use crate::on_both_stores;
use crate::support::*;
use chrono::Utc;
use registrar::messages::channels::Channels;
use registrar::messages::compose::MessageOrder;
use registrar::node::Node;
use registrar_aggregates::message::template::{MessageTemplate, Owner, Purpose, Template, TemplateCommand};
use registrar_aggregates::message::{Format, Kind};
use registrar_aggregates::organization::{Content, Organization, OrganizationCommand, Stamp, Tenancy};
use registrar_aggregates::theme::{Brand, DomainName, Theme, ThemeCommand};
use registrar_aggregates::user::Locale;
use registrar_aggregates::values::{EmailAddress, MessageTemplateId, OrganizationId, ThemeId};
use uuid::Uuid;

pub async fn organization(node: &Node, theme_id: Option<ThemeId>) -> OrganizationId {
    let id = OrganizationId(Uuid::now_v7());
    let tenancy = Some(Tenancy { theme_id, ..Tenancy::default() });
    let content = Box::new(Content { tenancy, ..Content::named("Acme") });
    let register = OrganizationCommand::Register { id, content, stamp: Stamp::at(Utc::now()) };
    node.executor.execute::<Organization>(&context(), &id.to_string(), register, None).await.unwrap();
    id
}

/// Creates a theme with this support address.
pub async fn theme(node: &Node, support: &str) -> ThemeId {
    let id = ThemeId(Uuid::now_v7());
    let domain = DomainName::parse(&format!("{id}.example.com")).unwrap();
    let brand = Brand { domain, support_email: EmailAddress::parse(support).ok(), support_email_name: None };
    let create = ThemeCommand::Create { id, brand };
    node.executor.execute::<Theme>(&context(), &id.to_string(), create, None).await.unwrap();
    id
}

/// Stores a template of a code, as text or HTML of an e-mail, or as a text message.
pub async fn store(node: &Node, owner: Owner, locale: Locale, format: Format, text: &str) {
    let kind = if format == Format::Sms { Kind::Verify } else { Kind::VerifyEmail };
    let template = Template {
        owner,
        purpose: Purpose { kind, locale, format },
        subject: (format != Format::Sms).then(|| "{{ organization }}".to_owned()),
        text: text.to_owned(),
        support_email: EmailAddress::parse("help@example.com").ok(),
        support_email_title: None,
    };
    let id = MessageTemplateId(Uuid::now_v7());
    let create = TemplateCommand::Create { id, template };
    node.executor.execute::<MessageTemplate>(&context(), &id.to_string(), create, None).await.unwrap();
}

/// Composes a code in Spanish; its language, and its first line.
async fn composed(node: &Node, organization: OrganizationId, address: &str) -> (Locale, String) {
    let order = MessageOrder { organization: Some(organization), locale: Locale::EsUs, ..code_to(address) };
    let id = compose(node, &Channels::default(), order).await;
    let content = texts(node, id).await.unwrap().content.clone();
    if let Some(html) = &content.html {
        assert!(html.contains(CODE) && !html.contains("<script"), "{html}");
    }
    assert!(content.text.contains(CODE));
    let first = content.text.lines().next().unwrap_or_default().to_owned();
    (message(node, id).await.locale, first)
}

on_both_stores! {
    async fn the_nearest_template_is_used_and_each_owner_is_asked_in_both_languages(database) {
        use Locale::{EnUs, EsUs};
        let (node, theme) = (database.open().await, ThemeId(Uuid::now_v7()));
        let (acme, other) = (organization(&node, Some(theme)).await, organization(&node, None).await);
        let mail = async |organization| composed(&node, organization, "ada@example.com").await;
        let built_in = mail(acme).await;
        assert_eq!((built_in.0, built_in.1.contains("Ada")), (EsUs, true));
        store(&node, Owner::Theme(theme), EnUs, Format::Html, "<p>theme, English {{ code }}</p><script>x()</script>").await;
        assert_eq!(mail(acme).await, (EnUs, format!("theme, English {CODE}")));
        store(&node, Owner::Theme(theme), EsUs, Format::Txt, "theme, Spanish {{ code }} {{ support_email }}").await;
        assert_eq!(mail(acme).await, (EsUs, format!("theme, Spanish {CODE} help@example.com")));
        store(&node, Owner::Organization(acme), EnUs, Format::Txt, "{{ organization }}, English {{ code }}").await;
        assert_eq!(mail(acme).await, (EnUs, format!("Acme, English {CODE}")));
        // Its values do not fit: it is skipped.
        store(&node, Owner::Organization(acme), EsUs, Format::Txt, "{{ code + 1 }}").await;
        assert_eq!(mail(acme).await, (EnUs, format!("Acme, English {CODE}")));
        assert_eq!(mail(other).await, built_in);
    }

    async fn the_support_address_is_that_of_the_template_or_else_of_the_theme(database) {
        let node = database.open().await;
        let theme = theme(&node, "care@example.com").await;
        let acme = organization(&node, Some(theme)).await;
        let text = async || {
            let order = MessageOrder { organization: Some(acme), ..code_to("ada@example.com") };
            let id = compose(&node, &Channels::default(), order).await;
            texts(&node, id).await.unwrap().content.text.clone()
        };
        let built_in = text().await;
        assert!(built_in.contains("Questions? Write to care@example.com."), "{built_in}");
        store(&node, Owner::Organization(acme), Locale::EnUs, Format::Txt, "{{ support_email }}: {{ code }}").await;
        assert_eq!(text().await, format!("help@example.com: {CODE}"));
    }

    async fn text_messages_have_templates_of_their_own(database) {
        use Locale::{EnUs, EsUs};
        let node = database.open().await;
        let acme = organization(&node, None).await;
        store(&node, Owner::Organization(acme), EsUs, Format::Txt, "mail {{ code }}").await;
        let text_message = async || composed(&node, acme, "+12025550123").await;
        assert_eq!(text_message().await.0, EsUs);
        store(&node, Owner::Organization(acme), EnUs, Format::Sms, "{{ code }} in English").await;
        assert_eq!(text_message().await, (EnUs, format!("{CODE} in English")));
    }
}
