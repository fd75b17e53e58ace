//! Keys by which users are found and sorted.

use super::UserDocument;
use crate::query::{SearchKey, Sort, TextKey, TextsKey};
use std::marker::PhantomData;

/// Finds users by a number of identifiers.
pub const ID: TextKey<UserDocument> = TextKey("id", PhantomData);
/// Time of the last change.
pub const UPDATED_AT: TextKey<UserDocument> = TextKey("updated_at", PhantomData);
/// The e-mail address as [`email_key`](super::email_key) writes it; empty without one.
pub const EMAIL: TextKey<UserDocument> = TextKey("email", PhantomData);
/// The telephone number; empty without one.
pub const PHONE: TextKey<UserDocument> = TextKey("phone", PhantomData);
/// First name, folded.
pub const FIRST_NAME: TextKey<UserDocument> = TextKey("first_name", PhantomData);
/// Last name, folded.
pub const LAST_NAME: TextKey<UserDocument> = TextKey("last_name", PhantomData);
/// Date of birth; empty without one.
pub const BIRTH_DATE: TextKey<UserDocument> = TextKey("birth_date", PhantomData);
/// `true` for one that is neither disabled nor archived.
pub const ENABLED: TextKey<UserDocument> = TextKey("enabled", PhantomData);
/// `true` for one with a contact that is known to be its own; one that is kept beside a waiting one counts.
pub const VERIFIED: TextKey<UserDocument> = TextKey("verified", PhantomData);
/// The e-mail address that is known to be its own, as [`email_key`](super::email_key) writes it: the shown one, or the one that is kept while
/// another waits. Empty without one. People who are named by an address are looked up by this alone.
pub const VERIFIED_EMAIL: TextKey<UserDocument> = TextKey("verified_email", PhantomData);
/// Since when a contact waits for its confirmation while a verified one is kept, the longer of both; empty if none does.
pub const WAITING_SINCE: TextKey<UserDocument> = TextKey("waiting_since", PhantomData);
/// `true` if the e-mail address that is shown is known to be its own.
pub const EMAIL_VERIFIED: TextKey<UserDocument> = TextKey("email_verified", PhantomData);
/// `true` if the telephone number that is shown is known to be its own.
pub const PHONE_VERIFIED: TextKey<UserDocument> = TextKey("phone_verified", PhantomData);
/// `true` for one that has individuals and works for no organization.
pub const PARTICIPANT: TextKey<UserDocument> = TextKey("participant", PhantomData);
/// `true` for one that has set a password and confirmed it.
pub const REGISTERED: TextKey<UserDocument> = TextKey("registered", PhantomData);
/// The class that it counts as; empty as long as none was given.
pub const CLASSIFICATION: TextKey<UserDocument> = TextKey("classification", PhantomData);
/// Its primary individual; empty without one.
pub const PRIMARY_INDIVIDUAL: TextKey<UserDocument> = TextKey("primary_individual", PhantomData);
/// Where it belongs and what it is there, as [`member_of`](super::member_of), [`holding`](super::holding), [`leading`](super::leading) and
/// [`working_in`](super::working_in) write it.
pub const PLACES: TextsKey<UserDocument> = TextsKey("places", PhantomData);
/// Names, e-mail address and telephone number.
pub const SEARCH: SearchKey<UserDocument> = SearchKey("search", PhantomData);
/// Oldest first.
pub const BY_CREATION: Sort<UserDocument> = Sort(&["created_at"], PhantomData);
/// Longest waiting first.
pub const BY_WAITING: Sort<UserDocument> = Sort(&["waiting_since"], PhantomData);
/// By identifier.
pub const BY_ID: Sort<UserDocument> = Sort(&[], PhantomData);
/// By e-mail address.
pub const BY_EMAIL: Sort<UserDocument> = Sort(&["email"], PhantomData);
/// By first name.
pub const BY_FIRST_NAME: Sort<UserDocument> = Sort(&["first_name"], PhantomData);
/// By last name.
pub const BY_LAST_NAME: Sort<UserDocument> = Sort(&["last_name"], PhantomData);
