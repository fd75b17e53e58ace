//! Keys for finding and sorting users.

use super::{MEMBER_OF, UserDocument, email_key, name_key};
use crate::collection::SEPARATOR;
use crate::query::TextKey;
use crate::stamped::time_key;
use registrar_aggregates::text::fold as fold_text;
use registrar_aggregates::user::{Classification, Phone};
use registrar_aggregates::values::EmailAddress;

/// Finds users by their identifiers.
pub const ID: TextKey<UserDocument> = TextKey::ID;

crate::collection! {
    "users" of UserDocument, hot: true, id: |user| user.profile.id.to_string();
    keys {
        CREATED_AT: Text = |user| time_key(user.created_at);
        /// Time of the last change.
        pub UPDATED_AT: Text = |user| time_key(user.updated_at);
        /// The e-mail address as [`email_key`] writes it; empty if absent.
        pub EMAIL: Text = |user| user.contacts.email.as_ref().map(email_key).unwrap_or_default();
        /// The telephone number; empty if absent.
        pub PHONE: Text = |user| user.contacts.phone.as_ref().map_or("", Phone::as_str).to_owned();
        /// First name, folded.
        pub FIRST_NAME: Text = |user| name_key(&user.names.first_name);
        /// Last name, folded.
        pub LAST_NAME: Text = |user| name_key(&user.names.last_name);
        /// Date of birth; empty if absent.
        pub BIRTH_DATE: Text = |user| user.birth_date.as_ref().map_or("", |date| date.as_str()).to_owned();
        /// `true` for a user who is neither disabled nor archived.
        pub ENABLED: Text = |user| user.state.is_enabled().to_string();
        /// State of the account, by name.
        pub STATE: Text = |user| user.state.name().to_owned();
        /// The code by which the user signed up; empty if absent.
        pub SIGN_UP_CODE: Text = |user| user.sign_up_code.as_ref().map(ToString::to_string).unwrap_or_default();
        /// `true` for a user with a verified contact; one kept beside a pending one counts.
        pub VERIFIED: Text = |user| user.is_verified().to_string();
        /// The verified e-mail address, as [`email_key`] writes it: the shown one, or the one kept while another is
        /// pending. Empty if absent. Look-ups of people by address use only this key.
        pub VERIFIED_EMAIL: Text = |user| user.contacts.proven_email().map(email_key).unwrap_or_default();
        /// Start of the longer wait of a contact that is pending while a verified one is kept; empty without a pending
        /// contact.
        pub WAITING_SINCE: Text = |user| user.waiting_since().map(time_key).unwrap_or_default();
        /// `true` if the shown e-mail address is verified.
        pub EMAIL_VERIFIED: Text = |user| user.contacts.email_verified.to_string();
        /// `true` if the shown telephone number is verified.
        pub PHONE_VERIFIED: Text = |user| user.contacts.phone_verified.to_string();
        /// `true` for a user who has individuals and works for no organization.
        pub PARTICIPANT: Text = |user| user.is_participant().to_string();
        /// `true` for a user who has set a password and confirmed the account.
        pub REGISTERED: Text = |user| user.is_registered().to_string();
        /// State of the person's invitation by an organization.
        pub INVITATION: Text = |user| user.invitation.name().to_owned();
        /// Class of the user in reports; empty if not set.
        pub CLASSIFICATION: Text = |user| user.classification.map_or("", Classification::name).to_owned();
        /// Primary individual; empty if absent.
        pub PRIMARY_INDIVIDUAL: Text = |user| user.individuals.first().map(ToString::to_string).unwrap_or_default();
        /// Memberships, roles and posts, as [`member_of`](super::member_of), [`holding`](super::holding),
        /// [`leading`](super::leading) and [`working_in`](super::working_in) write them.
        pub PLACES: Texts = |user| user.places();
        /// Names and e-mail address. Not the telephone number, which is hidden from some callers who see the user.
        pub SEARCH: Search = |user| {
            let [first, last] = [&user.names.first_name, &user.names.last_name].map(|name| fold_text(name));
            let email = fold_text(user.contacts.email.as_ref().map_or("", EmailAddress::as_str));
            format!("{first} {last}{SEPARATOR}{email}")
        };
    }
    indexes {
        [CREATED_AT],
        [UPDATED_AT],
        [EMAIL],
        [PHONE],
        [VERIFIED_EMAIL],
        [WAITING_SINCE],
        [FIRST_NAME],
        [LAST_NAME],
        [PRIMARY_INDIVIDUAL],
        [SIGN_UP_CODE, CREATED_AT],
        [PLACES],
    }
    counts {
        [],
        [ENABLED, VERIFIED],
        [ENABLED, VERIFIED, PARTICIPANT],
        [ENABLED, VERIFIED] each PLACES from MEMBER_OF,
        [ENABLED, VERIFIED, PARTICIPANT] each PLACES from MEMBER_OF,
    }
    sorts {
        /// Oldest first.
        pub BY_CREATION = [CREATED_AT];
        /// Longest waiting first.
        pub BY_WAITING = [WAITING_SINCE];
        /// By identifier.
        pub BY_ID = [];
        /// By e-mail address.
        pub BY_EMAIL = [EMAIL];
        /// By first name.
        pub BY_FIRST_NAME = [FIRST_NAME];
        /// By last name.
        pub BY_LAST_NAME = [LAST_NAME];
    }
}
