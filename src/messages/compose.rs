//! Composing: which templates a message is made of, and the message itself, ready to be committed with the act that
//! causes it.
//!
//! Templates of the organization are asked first, then those of its theme, then the built-in ones; each of them for the
//! wanted language and then for English, before the next one. A template that fails with the values of a message is
//! skipped: a message that says less than its customer wished is better than none. An e-mail has HTML and a plain text in
//! any case; where a customer stored one of them, the other is made from it. The support address is that of the template,
//! else that of the theme.

use super::channels::Channels;
use super::cleaning;
use super::templates::{self, Variables, render, render_subject};
use crate::journal::{JournalError, JournalResult};
use crate::node::Node;
use chrono::Utc;
use registrar_aggregates::message::delivery::{About, CONTENT_BYTES_MAX, Composition, Content};
use registrar_aggregates::message::template::{Owner, Template};
use registrar_aggregates::message::{Channel, Format, Kind};
use registrar_aggregates::processes::{Step, Streams, messages as rules};
use registrar_aggregates::user::Locale;
use registrar_aggregates::values::{EmailAddress, MessageId, OrganizationId, RecipientId, ThemeId};
use registrar_projections::message_templates::{
    BY_CREATION, CHANNEL, KIND, MessageTemplateDocument, ORGANIZATION_ID, THEME_ID,
};
use registrar_projections::themes::ThemeDocument;
use registrar_projections::{Direction, OrganizationDocument, Query};
use uuid::Uuid;

/// Templates of one owner and kind: two languages and two formats, and room for more of them.
const TEMPLATES_MAX: u64 = 32;

/// Contents of a message to be composed. There is no `Debug`, since a code is a secret.
#[derive(Clone)]
pub struct MessageOrder {
    /// Kind of the message.
    pub kind: Kind,
    /// Channel of the message.
    pub channel: Channel,
    /// Language that the recipient reads.
    pub locale: Locale,
    /// The organization in whose name the message is sent; `None` for the service itself.
    pub organization: Option<OrganizationId>,
    /// Holder of the key that seals the message: the user, or what holds the address while there is none.
    pub recipient: RecipientId,
    /// What the message belongs to.
    pub about: About,
    /// E-mail address or telephone number (E.164).
    pub to: String,
    /// Values of the templates. The name of the organization and the support address of its theme are filled in.
    pub variables: Variables,
}

/// A message ready to be committed.
#[derive(Clone)]
pub struct ComposedMessage {
    composition: Composition,
    captured: bool,
}

impl ComposedMessage {
    /// Identifier of the message.
    #[must_use]
    pub fn id(&self) -> MessageId {
        self.composition.id
    }

    /// Adds the message to the decisions of a process, with which it is committed or not at all.
    ///
    /// # Errors
    /// `Unfit`, for an address of another form than the channel needs.
    pub fn add_to(&self, streams: &mut Streams) -> Step<()> {
        rules::compose(streams, &self.composition, self.captured)
    }
}

/// Composes messages, by the settings of this server.
#[derive(Debug, Clone)]
pub struct Composer {
    app_url: String,
    has_mail: bool,
    has_texts: bool,
}

impl Default for Composer {
    /// A composer without servers, so that every message is captured.
    fn default() -> Self {
        Composer::new("http://127.0.0.1:8080", &Channels::default())
    }
}

impl Composer {
    /// A composer of messages whose links lead to `app_url`. Messages of a channel without a server are captured.
    #[must_use]
    pub fn new(app_url: impl Into<String>, channels: &Channels) -> Self {
        let app_url = app_url.into();
        Composer { app_url, has_mail: channels.have(Channel::Email), has_texts: channels.have(Channel::Sms) }
    }

    /// Address that links of messages lead to, without a slash at its end.
    #[must_use]
    pub fn app_url(&self) -> &str {
        &self.app_url
    }

    /// Link of an invitation. The code has only characters that a query may have.
    #[must_use]
    pub fn sign_up_link(&self, referral_code: &str) -> String {
        format!("{}/sign-up?referral-code={referral_code}", self.app_url)
    }

    /// Composes a message; nothing is stored. Every call makes another message, so a process that is attempted again
    /// takes the same one.
    ///
    /// # Errors
    /// `Unavailable`; `Corrupt`, also for a kind of message that the channel does not have.
    pub async fn compose(&self, node: &Node, order: MessageOrder) -> JournalResult<ComposedMessage> {
        let MessageOrder { kind, channel, locale, organization, recipient, about, to, mut variables } = order;
        let sender = match organization {
            Some(id) => Some(Sender::load(node, id).await?),
            None => None,
        };
        if let Some(sender) = &sender {
            sender.fill(&mut variables);
        }
        let chosen = choose(node, sender.as_ref(), kind, channel, locale, &variables).await?;
        let ChosenContent { locale, content, .. } = chosen;
        let composition = Composition {
            id: MessageId(Uuid::now_v7()),
            channel,
            kind,
            locale,
            organization_id: organization,
            recipient,
            about,
            to,
            content,
            composed_at: Utc::now(),
        };
        let has_server = if channel == Channel::Email { self.has_mail } else { self.has_texts };
        Ok(ComposedMessage { composition, captured: !has_server })
    }
}

/// The organization in whose name messages are sent.
pub struct Sender {
    id: OrganizationId,
    /// Display name; `None` for an organization that is gone.
    name: Option<String>,
    theme: Option<ThemeId>,
    /// Support address of the theme.
    support_email: Option<EmailAddress>,
}

impl Sender {
    /// Loads the organization and its theme.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn load(node: &Node, id: OrganizationId) -> JournalResult<Self> {
        let organization = node.documents.find::<OrganizationDocument>(&id.to_string()).await?.value;
        let theme = organization.as_ref().and_then(|organization| organization.tenancy.theme_id);
        let brand = match theme {
            Some(theme) => node.documents.find::<ThemeDocument>(&theme.to_string()).await?.value,
            None => None,
        };
        Ok(Sender {
            id,
            name: organization.map(|organization| organization.name.clone()),
            theme,
            support_email: brand.and_then(|theme| theme.brand.support_email.clone()),
        })
    }

    /// Whether the organization exists.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.name.is_some()
    }

    /// Fills in the name and the support address where a message has none of its own.
    pub(super) fn fill(&self, variables: &mut Variables) {
        if variables.organization.is_none() {
            variables.organization.clone_from(&self.name);
        }
        if variables.support_email.is_none() {
            variables.support_email = self.support_email.as_ref().map(ToString::to_string);
        }
    }
}

/// Texts of a message, with the origin of their templates.
pub struct ChosenContent {
    /// Owner of the templates; `None` for the built-in ones.
    pub owner: Option<Owner>,
    /// Language of the templates.
    pub locale: Locale,
    /// The texts.
    pub content: Content,
}

/// The texts by the first fitting templates.
///
/// # Errors
/// `Unavailable`; `Corrupt`, also for a kind of message that the channel does not have.
pub(super) async fn choose(
    node: &Node,
    sender: Option<&Sender>,
    kind: Kind,
    channel: Channel,
    wanted: Locale,
    variables: &Variables,
) -> JournalResult<ChosenContent> {
    // Of other kinds customers have no templates, so that notices need no look-up of any.
    if let Some(sender) = sender.filter(|_| kind.has_templates(channel)) {
        let owners = [Some(Owner::Organization(sender.id)), sender.theme.map(Owner::Theme)];
        let found = of_owners(node, owners.into_iter().flatten(), kind, channel, wanted, variables).await?;
        if let Some(found) = found {
            return Ok(found);
        }
    }
    built_in(kind, channel, wanted, variables)
}

/// The wanted language, then English.
fn fallbacks(wanted: Locale) -> impl Iterator<Item = Locale> {
    [wanted].into_iter().chain((wanted != Locale::EnUs).then_some(Locale::EnUs))
}

/// The texts by the first owner with a fitting template.
async fn of_owners(
    node: &Node,
    owners: impl Iterator<Item = Owner>,
    kind: Kind,
    channel: Channel,
    wanted: Locale,
    variables: &Variables,
) -> JournalResult<Option<ChosenContent>> {
    for owner in owners {
        let stored = templates_of(node, owner, kind, channel).await?;
        for locale in fallbacks(wanted) {
            let stored_as = |format: Format| {
                let purpose = |template: &&MessageTemplateDocument| {
                    let purpose = template.template.purpose;
                    purpose.locale == locale && purpose.format == format
                };
                stored.iter().find(purpose).map(|template| &template.template)
            };
            let content = match channel {
                Channel::Email => email(locale, stored_as(Format::Html), stored_as(Format::Txt), variables),
                Channel::Sms => stored_as(Format::Sms).and_then(|template| text_message(template, variables)),
            };
            if let Some(content) = content {
                return Ok(Some(ChosenContent { owner: Some(owner), locale, content }));
            }
        }
    }
    Ok(None)
}

/// The templates of an owner for a kind, compared with their digests: they say what is sent in its name.
async fn templates_of(
    node: &Node,
    owner: Owner,
    kind: Kind,
    channel: Channel,
) -> JournalResult<Vec<MessageTemplateDocument>> {
    let query = Query::<MessageTemplateDocument>::sorted(&BY_CREATION, Direction::Ascending);
    let query = query.equal(&CHANNEL, channel.name()).equal(&KIND, kind.name());
    let query = match owner {
        Owner::Organization(organization) => query.equal(&ORGANIZATION_ID, organization.to_string()),
        Owner::Theme(theme) => query.equal(&THEME_ID, theme.to_string()),
    };
    node.documents.verified(query.page(0, TEMPLATES_MAX)).await
}

/// An e-mail from the templates of a customer; `None` if there are none in this language, or if they fail.
pub(super) fn email(
    locale: Locale,
    html: Option<&Template>,
    txt: Option<&Template>,
    variables: &Variables,
) -> Option<Content> {
    let main = html.or(txt)?;
    let subject = render_subject(main.subject.as_deref()?, &supported(main, variables));
    let render_part =
        |template: &Template| render(&template.text, template.purpose.format, &supported(template, variables));
    let rendered = subject.and_then(|subject| {
        let html = html.map(render_part).transpose()?;
        Ok((subject, html, txt.map(render_part).transpose()?))
    });
    let (subject, html, txt) = noted(main, rendered)?;
    let html = html.map(|html| cleaning::clean(&html));
    let text = txt.or_else(|| html.as_deref().map(cleaning::text_of))?;
    let body = html.unwrap_or_else(|| cleaning::html_of(&text));
    fitting(content(variables, Some(subject), text, Some(cleaning::page(locale, &body))))
}

/// A text message from the template of a customer; `None` if it fails.
pub(super) fn text_message(template: &Template, variables: &Variables) -> Option<Content> {
    let text = noted(template, render(&template.text, Format::Sms, &supported(template, variables)))?;
    fitting(content(variables, None, text, None))
}

/// The texts of the built-in templates.
///
/// # Errors
/// `Corrupt` for a kind of message that the channel does not have.
pub(super) fn built_in(
    kind: Kind,
    channel: Channel,
    locale: Locale,
    variables: &Variables,
) -> JournalResult<ChosenContent> {
    let missing = || JournalError::corrupt(format!("no message {} is sent by {}", kind.name(), channel.name()));
    let content = match channel {
        Channel::Email => {
            let template = templates::email(kind, locale).ok_or_else(missing)?;
            let subject = render_subject(template.subject.trim_end(), variables).map_err(JournalError::corrupt)?;
            let text = render(template.text, Format::Txt, variables).map_err(JournalError::corrupt)?;
            let html = render(template.html, Format::Html, variables).map_err(JournalError::corrupt)?;
            content(variables, Some(subject), text, Some(html))
        }
        Channel::Sms => {
            let template = templates::text_message(kind, locale).ok_or_else(missing)?;
            let text = render(template, Format::Sms, variables).map_err(JournalError::corrupt)?;
            content(variables, None, text.trim_end().to_owned(), None)
        }
    };
    Ok(ChosenContent { owner: None, locale, content })
}

fn content(variables: &Variables, subject: Option<String>, text: String, html: Option<String>) -> Content {
    Content { subject, text, html, code: variables.code.clone(), link: variables.link.clone() }
}

/// The values with the support address of the template, if it has one.
fn supported(template: &Template, variables: &Variables) -> Variables {
    let mut variables = variables.clone();
    if let Some(address) = &template.support_email {
        variables.support_email = Some(address.to_string());
    }
    variables
}

/// Content that an event can hold and that says something.
fn fitting(content: Content) -> Option<Content> {
    let length = serde_json::to_string(&content).map_or(usize::MAX, |json| json.len());
    (length <= CONTENT_BYTES_MAX && !content.text.trim().is_empty()).then_some(content)
}

/// What was rendered; a fault is logged, for the customer to be told.
fn noted<T>(template: &Template, rendered: Result<T, templates::TemplateFault>) -> Option<T> {
    rendered
        .inspect_err(|fault| {
            let (owner, purpose) = (template.owner.text(), template.purpose.text());
            tracing::warn!(owner, purpose, %fault, "a template failed with the values of a message and was skipped");
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use registrar_aggregates::message::template::Purpose;

    fn template(format: Format, subject: Option<&str>, text: &str) -> Template {
        Template {
            owner: Owner::Theme(ThemeId(Uuid::from_u128(1))),
            purpose: Purpose { kind: Kind::VerifyEmail, locale: Locale::EnUs, format },
            subject: subject.map(str::to_owned),
            text: text.to_owned(),
            support_email: EmailAddress::parse("help@example.com").ok(),
            support_email_title: None,
        }
    }

    fn variables() -> Variables {
        let (code, name) = (Some("123456".to_owned()), Some("<Ada>".to_owned()));
        Variables { code, first_name: name, expires_minutes: Some(10), ..Variables::default() }
    }

    #[test]
    fn html_of_a_customer_is_cleaned_and_has_its_text_beside_it() {
        let html = template(
            Format::Html,
            Some("Code {{ code }}"),
            "<script>alert(1)</script><p onclick=\"x()\">{{ first_name }}: {{ code }}</p><p>{{ support_email }}</p>",
        );
        let content = email(Locale::EnUs, Some(&html), None, &variables()).expect("a content");
        assert_eq!(content.subject.as_deref(), Some("Code 123456"));
        assert_eq!(content.text, "<Ada>: 123456\n\nhelp@example.com");
        let html = content.html.expect("HTML");
        assert!(html.contains("<p>&lt;Ada&gt;: 123456</p>") && !html.contains("script") && !html.contains("onclick"));
        assert_eq!((content.code.as_deref(), content.link), (Some("123456"), None));
    }

    #[test]
    fn a_plain_text_of_a_customer_has_html_beside_it() {
        let txt = template(Format::Txt, Some("Hi"), "{{ first_name }}\n\n{{ code }}");
        let content = email(Locale::EnUs, None, Some(&txt), &variables()).expect("a content");
        assert_eq!(content.text, "<Ada>\n\n123456");
        assert!(content.html.expect("HTML").contains("<p>&lt;Ada&gt;</p>\n<p>123456</p>"));
    }

    #[test]
    fn a_template_that_fails_with_the_values_of_a_message_is_skipped() {
        let html = template(Format::Html, Some("Hi"), "{{ code + 1 }}");
        assert!(email(Locale::EnUs, Some(&html), None, &variables()).is_none());
        let empty = template(Format::Txt, Some("Hi"), "{{ last_name }}");
        assert!(email(Locale::EnUs, None, Some(&empty), &variables()).is_none());
        assert!(email(Locale::EnUs, None, None, &variables()).is_none());
        let large = template(Format::Sms, None, &"x".repeat(2_000));
        assert!(text_message(&large, &variables()).is_none());
    }

    #[test]
    fn every_kind_has_a_built_in_message_in_every_language() {
        for kind in Kind::ALL.iter().copied() {
            let [full, least] = Variables::samples(kind);
            for (locale, variables) in Locale::ALL.into_iter().flat_map(|locale| [(locale, &full), (locale, &least)]) {
                for channel in kind.channels().iter().copied() {
                    let content = built_in(kind, channel, locale, variables).map(|chosen| chosen.content);
                    let content = content.unwrap_or_else(|error| panic!("{}: {error}", kind.name()));
                    let is_email = channel == Channel::Email;
                    assert_eq!((content.subject.is_some(), content.html.is_some()), (is_email, is_email));
                    for value in [&content.code, &content.link].into_iter().flatten() {
                        assert!(content.text.contains(value.as_str()), "{}", kind.name());
                    }
                    assert!(fitting(content).is_some());
                }
            }
        }
    }

    #[test]
    fn links_lead_to_the_application() {
        let composer = Composer::new("https://app.example.com", &Channels::default());
        let link = composer.sign_up_link("Zm9vYmFyYmF6cXV4MTIz");
        assert_eq!(link, "https://app.example.com/sign-up?referral-code=Zm9vYmFyYmF6cXV4MTIz");
    }
}
