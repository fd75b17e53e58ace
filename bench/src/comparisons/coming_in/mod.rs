//! People who come in: sign-ups, invitations that are delivered, the list of those who were invited.

mod bodies;
pub(super) mod invitations;
pub(super) mod requests;
pub(super) mod sign_up;
