//! The built-in templates: every kind in every locale, an HTML and a plain part for each e-mail. They are files in
//! `built_in/<locale>/<kind>/`. The pages of all HTML parts are alike: `opening.html` of the locale, the subject as the
//! title, `middle.html`, the body and `closing.html`. Files of subjects and openings end without a line break.

use registrar_aggregates::message::Kind;
use registrar_aggregates::user::Locale;

/// The templates of an e-mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmailTemplate {
    /// Template of the subject.
    pub subject: &'static str,
    /// Template of the plain part.
    pub text: &'static str,
    /// Template of the HTML part.
    pub html: &'static str,
}

/// Embeds the files of each kind, by its folder and its channels: `email`, `sms` or `both`.
macro_rules! built_in {
    ($($Kind:ident $folder:literal $channels:ident;)*) => {
        /// The built-in templates of an e-mail; `None` for a kind that is not sent by e-mail.
        #[must_use]
        pub const fn email(kind: Kind, locale: Locale) -> Option<EmailTemplate> {
            match kind {
                $(Kind::$Kind => built_in!(@email $channels $folder locale),)*
            }
        }

        /// The built-in template of a text message; `None` for a kind that is not sent as one.
        #[must_use]
        pub const fn text_message(kind: Kind, locale: Locale) -> Option<&'static str> {
            match kind {
                $(Kind::$Kind => built_in!(@sms $channels $folder locale),)*
            }
        }
    };
    (@email sms $folder:literal $locale:ident) => { None };
    (@email $channels:ident $folder:literal $locale:ident) => {
        Some(match $locale {
            Locale::EnUs => built_in!(@parts "en_US" $folder),
            Locale::EsUs => built_in!(@parts "es_US" $folder),
        })
    };
    (@sms email $folder:literal $locale:ident) => { None };
    (@sms $channels:ident $folder:literal $locale:ident) => {
        Some(match $locale {
            Locale::EnUs => built_in!(@file "en_US" $folder "sms.txt"),
            Locale::EsUs => built_in!(@file "es_US" $folder "sms.txt"),
        })
    };
    (@parts $locale:literal $folder:literal) => {
        EmailTemplate {
            subject: built_in!(@file $locale $folder "subject.txt"),
            text: built_in!(@file $locale $folder "text.txt"),
            html: concat!(
                include_str!(concat!("built_in/", $locale, "/opening.html")),
                built_in!(@file $locale $folder "subject.txt"),
                include_str!("built_in/middle.html"),
                built_in!(@file $locale $folder "body.html"),
                include_str!("built_in/closing.html")
            ),
        }
    };
    (@file $locale:literal $folder:literal $file:literal) => {
        include_str!(concat!("built_in/", $locale, "/", $folder, "/", $file))
    };
}

built_in! {
    ForgotPassword "forgot-password" email;
    ResetPassword "reset-password" sms;
    VerifyEmail "verify-email" email;
    ReverifyEmail "reverify-email" email;
    Verify "verify" sms;
    Onboarding "onboarding" both;
    OnboardingProvider "onboarding-provider" both;
    MessagingPatient "messaging-patient" email;
    MessagingProvider "messaging-provider" email;
    RegistrationInvitation "registration-invitation" email;
    AddressChanged "address-changed" both;
    PasswordChanged "password-changed" email;
    NewSignIn "new-sign-in" email;
    SecondFactorRecovery "second-factor-recovery" email;
    OrganizationAdded "organization-added" email;
    DeletionConfirmed "deletion-confirmed" email;
}
