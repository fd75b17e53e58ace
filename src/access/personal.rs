//! Visibility of personal details: birth date, telephone number, last sign-in, individuals, preferences.

use super::{Access, Holder};
use crate::journal::JournalResult;
use futures::future::try_join_all;
use registrar_aggregates::user::SystemRole;
use registrar_aggregates::values::UserId;
use registrar_projections::{IndividualDocument, UserDocument};
use std::collections::BTreeSet;

impl Access {
    /// Whether the holder may see a user's personal details: the person, holders of a role in the whole system, admins
    /// of the home organization, and people whose membership grants them access to the primary individual.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn sees_personal(&self, holder: &Holder, user: &UserDocument) -> JournalResult<bool> {
        Ok(!self.only_personal(holder, std::iter::once(user)).await?.is_empty())
    }

    /// The users, of several, whose [personal](Access::sees_personal) details the holder may see. The individuals
    /// needed to decide are looked up together.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub async fn only_personal<'u>(
        &self,
        holder: &Holder,
        users: impl IntoIterator<Item = &'u UserDocument>,
    ) -> JournalResult<BTreeSet<UserId>> {
        let (at_once, others): (Vec<_>, Vec<_>) =
            users.into_iter().partition(|user| holder.sees_personal_at_once(user));
        let mut seen: BTreeSet<_> = at_once.iter().map(|user| user.profile.id).collect();
        let works = holder.organizations().any(|organization| holder.is_provider(organization));
        if !works {
            return Ok(seen);
        }
        let primary = others.iter().filter_map(|user| user.individuals.first()).map(ToString::to_string);
        let individuals = self.documents.find_all::<IndividualDocument>(primary).await?;
        let granted = individuals.iter().map(|individual| async move {
            let granted = self.individual_as(holder, individual).await?;
            JournalResult::Ok(granted.then_some(individual.id))
        });
        let granted: BTreeSet<_> = try_join_all(granted).await?.into_iter().flatten().collect();
        let by_grant = others.iter().filter(|user| user.individuals.first().is_some_and(|one| granted.contains(one)));
        seen.extend(by_grant.map(|user| user.profile.id));
        Ok(seen)
    }
}

impl Holder {
    fn sees_personal_at_once(&self, user: &UserDocument) -> bool {
        self.holds_everything()
            || self.user_id() == Some(user.profile.id)
            || self.has_system_role(SystemRole::Support)
            || self.has_system_role(SystemRole::Service)
            || self.administers_home(user)
    }
}
