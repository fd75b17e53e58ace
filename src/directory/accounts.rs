//! Accounts: changes of what somebody is called, how they are reached, and what they agree to.

use super::Done;
use crate::executor::RequestContext;
use crate::node::Node;
use registrar_aggregates::user::{Amendment, Phone, User, UserCommand};
use registrar_aggregates::values::UserId;

/// Changes an account.
///
/// # Errors
/// Refusals of the user; `ClaimTaken` for a contact that another account has; `VersionConflict` where the account is not at
/// the `expected` version.
pub async fn amend(
    node: &Node,
    context: &RequestContext,
    user: UserId,
    amendment: Amendment,
    expected: Option<u64>,
) -> Done {
    let command = UserCommand::Amend(Box::new(amendment));
    Ok(node.executor.execute::<User>(context, &user.to_string(), command, expected).await?)
}

/// Notes that the telephone number was found to be the user's.
///
/// # Errors
/// `OtherPhone`, `Archived`.
pub async fn confirm_phone(node: &Node, context: &RequestContext, user: UserId, phone: Phone) -> Done {
    let command = UserCommand::ConfirmPhone(phone);
    Ok(node.executor.execute::<User>(context, &user.to_string(), command, None).await?)
}

/// Forgets every agreement, so that the user is asked again.
///
/// # Errors
/// `Archived`.
pub async fn forget_agreements(node: &Node, context: &RequestContext, user: UserId) -> Done {
    Ok(node.executor.execute::<User>(context, &user.to_string(), UserCommand::ForgetAgreements, None).await?)
}
