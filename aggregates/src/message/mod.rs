//! Messages to people, by e-mail and as text messages: their kinds, channels and formats. The templates that
//! organizations and themes store in place of the built-in ones are in [`template`], the messages themselves in
//! [`delivery`], and what comes back about them in [`report`].

pub mod delivery;
pub mod report;
pub mod template;
#[cfg(test)]
pub(crate) mod tests;

use serde::{Deserialize, Serialize};

/// Channel of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "MessageChannel"))]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// E-mail.
    Email,
    /// Text messages.
    Sms,
}

impl Channel {
    /// The channel as text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Channel::Email => "email",
            Channel::Sms => "sms",
        }
    }
}

/// Format of the text that a template makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// HTML part of an e-mail.
    Html,
    /// Plain part of an e-mail.
    Txt,
    /// Text message.
    Sms,
}

impl Format {
    /// The format as text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Format::Html => "html",
            Format::Txt => "txt",
            Format::Sms => "sms",
        }
    }

    /// Channel of messages in this format.
    #[must_use]
    pub const fn channel(self) -> Channel {
        match self {
            Format::Html | Format::Txt => Channel::Email,
            Format::Sms => Channel::Sms,
        }
    }
}

/// Declares the kinds, each with its name and channels. `template` names the channels whose templates may be replaced.
macro_rules! kinds {
    ($(
        $(#[$doc:meta])*
        $Kind:ident $name:tt by [$($channel:ident)+] template [$($replaced:ident)*];
    )*) => {
        /// Kind of a message.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        #[cfg_attr(test, schemars(rename = "MessageKind"))]
        pub enum Kind {
            $(
                $(#[$doc])*
                #[serde(rename = $name)]
                $Kind,
            )*
        }

        impl Kind {
            /// All kinds.
            pub const ALL: &'static [Kind] = &[$(Kind::$Kind),*];

            /// The kind as text.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Kind::$Kind => $name,)*
                }
            }

            /// Channels by which messages of this kind are sent.
            #[must_use]
            pub const fn channels(self) -> &'static [Channel] {
                match self {
                    $(Kind::$Kind => &[$(Channel::$channel),+],)*
                }
            }

            const fn replaced(self) -> &'static [Channel] {
                match self {
                    $(Kind::$Kind => &[$(Channel::$replaced),*],)*
                }
            }
        }
    };
}

kinds! {
    /// Code for a new password, by e-mail.
    ForgotPassword "forgot-password" by [Email] template [Email];
    /// Code for a new password, as a text message.
    ResetPassword "reset-password" by [Sms] template [Sms];
    /// Code that confirms the address of a new account.
    VerifyEmail "verify-email" by [Email] template [Email];
    /// Code that confirms a changed address.
    ReverifyEmail "reverify-email" by [Email] template [Email];
    /// Code that confirms a telephone number.
    Verify "verify" by [Sms] template [Sms];
    /// Invitation of a participant by an organization.
    Onboarding "onboarding" by [Email Sms] template [Email Sms];
    /// Invitation of a provider by an organization.
    OnboardingProvider "onboarding-provider" by [Email Sms] template [Email Sms];
    /// Notice of a waiting message to a participant.
    MessagingPatient "messaging-patient" by [Email] template [Email];
    /// Notice of a waiting message to a provider.
    MessagingProvider "messaging-provider" by [Email] template [Email];
    /// Invitation by a friend.
    RegistrationInvitation "registration-invitation" by [Email] template [];
    /// Notice to the former address of an account that it has another one.
    AddressChanged "address-changed" by [Email Sms] template [];
    /// Notice of a changed password.
    PasswordChanged "password-changed" by [Email] template [];
    /// Notice of a sign-in from an unknown network.
    NewSignIn "new-sign-in" by [Email] template [];
    /// Notice of a sign-in with a recovery code in place of the second factor, or of its removal by an admin.
    SecondFactorRecovery "second-factor-recovery" by [Email] template [];
    /// Notice of a new membership in an organization.
    OrganizationAdded "organization-added" by [Email] template [];
    /// Confirmation of a deletion of the account.
    DeletionConfirmed "deletion-confirmed" by [Email] template [];
}

impl Kind {
    /// Whether an organization or a theme may have a template of its own for this kind of message.
    #[must_use]
    pub fn has_templates(self, channel: Channel) -> bool {
        self.replaced().contains(&channel)
    }
}
