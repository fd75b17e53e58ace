//! `registrar template`.

use super::{output, start};
use crate::config::{Secrets, StoreArgs};
use crate::messages::compose::{ChosenContent, Sender};
use crate::messages::{preview, templates};
use crate::node::Node;
use anyhow::{Context, ensure};
use clap::{Args, Subcommand, ValueEnum};
use registrar_aggregates::message::delivery::Content;
use registrar_aggregates::message::template::{Owner, Purpose, TEXT_BYTES_MAX, Template};
use registrar_aggregates::message::{Channel, Format, Kind};
use registrar_aggregates::user::Locale;
use registrar_aggregates::values::OrganizationId;
use serde_json::json;
use std::io::Read;
use uuid::Uuid;

#[derive(Debug, Subcommand)]
pub(super) enum TemplateCommand {
    /// Renders the template on standard input with sample values, by the rules for one that is stored, and prints
    /// {"kind","channel","locale","origin","subject","text","html"}
    Render(RenderArgs),
}

#[derive(Debug, Args)]
pub(super) struct RenderArgs {
    /// Kind of the message, such as onboarding
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Kind,
    /// Language of the message: en_US or es_US
    #[arg(long, value_name = "LOCALE", value_parser = locale)]
    locale: Locale,
    /// email or sms [default: that of the format, else email for a kind that has it]
    #[arg(long, value_name = "CHANNEL", value_parser = channel)]
    channel: Option<Channel>,
    /// Format of the template: html or txt for an e-mail, sms for a text message [default: html, or sms]
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    format: Option<Format>,
    /// Template of the subject of an e-mail [default: the built-in one]
    #[arg(long, value_name = "TEMPLATE", allow_hyphen_values = true)]
    subject: Option<String>,
    /// The organization whose name, and whose theme's support address, are among the values [default: samples; the
    /// database is not opened]
    #[arg(long, value_name = "ID", value_parser = organization)]
    organization: Option<OrganizationId>,
    /// Shows what is sent instead, and reads no template: that of the organization, of its theme, or the built-in one
    #[arg(long, conflicts_with_all = ["format", "subject"])]
    stored: bool,
    /// Prints this part of the message alone, as it is
    #[arg(long, value_name = "PART")]
    part: Option<Part>,
    #[command(flatten)]
    store: StoreArgs,
}

/// A part of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Subject,
    Text,
    Html,
}

/// The value with a name.
fn named<T: Copy>(all: &[T], name: fn(T) -> &'static str, text: &str) -> Result<T, String> {
    let found = all.iter().copied().find(|value| name(*value) == text);
    found.ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|value| name(*value)).collect();
        format!("must be one of {}", names.join(", "))
    })
}

fn kind(text: &str) -> Result<Kind, String> {
    named(Kind::ALL, Kind::name, text)
}

fn locale(text: &str) -> Result<Locale, String> {
    named(&Locale::ALL, Locale::name, text)
}

fn channel(text: &str) -> Result<Channel, String> {
    named(&[Channel::Email, Channel::Sms], Channel::name, text)
}

fn format(text: &str) -> Result<Format, String> {
    named(&[Format::Html, Format::Txt, Format::Sms], Format::name, text)
}

fn organization(text: &str) -> Result<OrganizationId, String> {
    Uuid::try_parse(text).map(OrganizationId).map_err(|_| "must be a UUID".into())
}

pub(super) async fn run(command: TemplateCommand) -> anyhow::Result<()> {
    let TemplateCommand::Render(args) = command;
    let (channel, format) = args.medium()?;
    let node = match args.organization {
        Some(_) => Some(start::look(&args.store.clone().resolve(), &Secrets::from_env()).await?),
        None => None,
    };
    let rendered = args.rendered(node.as_ref(), channel, format).await;
    if let Some(node) = node {
        node.close().await;
    }
    Ok(output::line(args.shown(channel, rendered?)?)?)
}

impl RenderArgs {
    /// Channel of the message, and format of the template.
    fn medium(&self) -> anyhow::Result<(Channel, Format)> {
        let of_kind = self.kind.channels();
        let preferred = if of_kind.contains(&Channel::Email) { Channel::Email } else { Channel::Sms };
        let channel = self.channel.or(self.format.map(Format::channel)).unwrap_or(preferred);
        let usual = if channel == Channel::Email { Format::Html } else { Format::Sms };
        let format = self.format.unwrap_or(usual);
        ensure!(format.channel() == channel, "--format {} is none of --channel {}", format.name(), channel.name());
        ensure!(of_kind.contains(&channel), "no message {} is sent by {}", self.kind.name(), channel.name());
        let fits = self.stored || self.kind.has_templates(channel);
        ensure!(fits, "{} has no templates of customers\nLook at the built-in one with --stored.", self.kind.name());
        Ok((channel, format))
    }

    async fn rendered(
        &self,
        node: Option<&Node>,
        channel: Channel,
        format: Format,
    ) -> anyhow::Result<(&'static str, ChosenContent)> {
        let (kind, locale) = (self.kind, self.locale);
        let sender = match (node, self.organization) {
            (Some(node), Some(organization)) => {
                let sender = Sender::load(node, organization).await?;
                ensure!(sender.exists(), "there is no organization {organization}");
                Some(sender)
            }
            _ => None,
        };
        if self.stored {
            let chosen = match (node, &sender) {
                (Some(node), Some(sender)) => preview::of_organization(node, sender, kind, channel, locale).await?,
                _ => preview::of_built_in(kind, channel, locale)?,
            };
            let origin = match chosen.owner {
                Some(Owner::Organization(_)) => "organization",
                Some(Owner::Theme(_)) => "theme",
                None => "built-in",
            };
            return Ok((origin, chosen));
        }
        let owner = Owner::Organization(self.organization.unwrap_or(OrganizationId(Uuid::nil())));
        let template = Template {
            owner,
            purpose: Purpose { kind, locale, format },
            subject: self.subject.clone().or_else(|| built_in_subject(kind, channel, locale)),
            text: read_template()?,
            support_email: None,
            support_email_title: None,
        };
        let content = preview::of_template(&template, sender.as_ref())?;
        Ok(("input", ChosenContent { owner: Some(owner), locale, content }))
    }

    /// The message as it is printed.
    fn shown(&self, channel: Channel, (origin, chosen): (&str, ChosenContent)) -> anyhow::Result<String> {
        let ChosenContent { locale, content: Content { subject, text, html, .. }, .. } = chosen;
        let missing = "a text message has neither subject nor HTML";
        match self.part {
            Some(Part::Subject) => subject.context(missing),
            Some(Part::Text) => Ok(text),
            Some(Part::Html) => html.context(missing),
            None => {
                let (kind, channel, locale) = (self.kind.name(), channel.name(), locale.name());
                let shown = json!({
                    "kind": kind,
                    "channel": channel,
                    "locale": locale,
                    "origin": origin,
                    "subject": subject,
                    "text": text,
                    "html": html,
                });
                Ok(shown.to_string())
            }
        }
    }
}

fn built_in_subject(kind: Kind, channel: Channel, locale: Locale) -> Option<String> {
    let email = templates::email(kind, locale).filter(|_| channel == Channel::Email);
    email.map(|email| email.subject.trim_end().to_owned())
}

/// The template on standard input.
fn read_template() -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(TEXT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    ensure!(bytes.len() <= TEXT_BYTES_MAX, "template must not be larger than {TEXT_BYTES_MAX} bytes");
    String::from_utf8(bytes).context("template must be UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: RenderArgs,
    }

    fn medium(line: &str) -> Result<(&'static str, &'static str), String> {
        let args = Line::try_parse_from(format!("render --locale en_US --kind {line}").split_whitespace());
        let medium = args.map_err(|error| error.to_string())?.args.medium();
        medium.map(|(channel, format)| (channel.name(), format.name())).map_err(|error| error.to_string())
    }

    #[test]
    fn channel_and_format_follow_from_each_other_and_from_the_kind() {
        for (line, expected) in [
            ("onboarding", ("email", "html")),
            ("onboarding --format txt", ("email", "txt")),
            ("onboarding --format sms", ("sms", "sms")),
            ("onboarding --channel sms", ("sms", "sms")),
            ("onboarding --channel email --format txt", ("email", "txt")),
            ("verify", ("sms", "sms")),
            ("new-sign-in --stored", ("email", "html")),
        ] {
            assert_eq!(medium(line), Ok(expected), "{line}");
        }
        for (line, told) in [
            ("onboarding --channel sms --format txt", "--format txt is none of --channel sms"),
            ("verify --channel email", "no message verify is sent by email"),
            ("verify-email --format sms", "no message verify-email is sent by sms"),
            ("new-sign-in", "new-sign-in has no templates of customers"),
            ("welcome", "must be one of forgot-password, reset-password, verify-email"),
            ("onboarding --channel fax", "must be one of email, sms"),
            ("onboarding --format pdf", "must be one of html, txt, sms"),
            ("onboarding --organization acme", "must be a UUID"),
            ("onboarding --stored --format txt", "cannot be used with"),
        ] {
            let error = medium(line).unwrap_err();
            assert!(error.contains(told), "{line}: {error}");
        }
        assert_eq!(locale("de_AT"), Err("must be one of en_US, es_US".to_owned()));
    }
}
