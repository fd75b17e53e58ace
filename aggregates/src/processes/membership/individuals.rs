//! Individuals: their owners, and the organizations in which they count as participants.

use super::profile;
use crate::group::placement::{self, Placement, PlacementCommand};
use crate::individual::{Individual, IndividualCommand, Owner};
use crate::processes::organizations::{check_takes_additions, exists};
use crate::processes::{MissingStream, Need, Step, Streams};
use crate::user::{Profile, Role, User, UserCommand};
use crate::values::{IndividualId, OrganizationId, UserId};

/// Records an individual and its owner. One owned by a user is enrolled in every organization where the user is a
/// participant, retired ones too, where it adds no rights.
///
/// # Errors
/// `OtherOwner`; refusals of the user or the organization that is to own it.
pub fn record_individual(streams: &mut Streams, individual: IndividualId, owner: Owner) -> Step<()> {
    let command = IndividualCommand::Record { id: individual, owner };
    let new = streams.execute::<Individual>(individual, command)?;
    match owner {
        _ if !new => Ok(()),
        Owner::Organization(organization) => {
            check_takes_additions(streams, organization)?;
            enroll(streams, organization, individual)
        }
        Owner::User(user) => {
            streams.execute::<User>(user, UserCommand::AddIndividual(individual))?;
            let organizations = taking_part(profile(streams, user)?);
            organizations.into_iter().try_for_each(|organization| enroll(streams, organization, individual))
        }
    }
}

/// Enrols an individual in an organization, unless the organization was deleted.
pub(super) fn enroll(streams: &mut Streams, organization: OrganizationId, individual: IndividualId) -> Step<()> {
    if !exists(streams, organization)? {
        return Ok(());
    }
    let places = placement::stream(organization, individual);
    let command = PlacementCommand::Enroll { organization_id: organization, individual_id: individual };
    streams.execute::<Placement>(places, command)?;
    Ok(())
}

/// Whether an individual counts in an organization in which its person takes part: those of people do, and those that
/// the organization owns. Individuals of other organizations are these organizations' alone.
pub(super) fn counts_in(
    streams: &mut Streams,
    individual: IndividualId,
    organization: OrganizationId,
) -> Result<bool, Need> {
    let owner = streams.state::<Individual>(individual)?.owner();
    Ok(!matches!(owner, Some(Owner::Organization(owner)) if owner != organization))
}

/// Whether an organization owns an individual, which then counts there with or without a person.
pub(super) fn is_owned_by(
    streams: &mut Streams,
    individual: IndividualId,
    organization: OrganizationId,
) -> Result<bool, Need> {
    Ok(streams.state::<Individual>(individual)?.owner() == Some(Owner::Organization(organization)))
}

/// Takes back the individuals that organizations other than `but` assigned to a user.
///
/// # Errors
/// `NotFound`.
pub(in crate::processes) fn take_back(streams: &mut Streams, user: UserId, but: Option<OrganizationId>) -> Step<()> {
    let individuals = profile(streams, user)?.individuals.clone();
    streams.prefetch(individuals.iter().map(MissingStream::of::<Individual>))?;
    for individual in individuals {
        let owner = streams.state::<Individual>(individual)?.owner();
        if matches!(owner, Some(Owner::Organization(owner)) if Some(owner) != but) {
            streams.execute::<Individual>(individual, IndividualCommand::Unassign(user))?;
            streams.execute::<User>(user, UserCommand::RemoveIndividual(individual))?;
        }
    }
    Ok(())
}

/// The organizations in which a user is a participant.
fn taking_part(profile: &Profile) -> Vec<OrganizationId> {
    let taking = profile.memberships.iter().filter(|(_, membership)| membership.roles.contains(&Role::Member));
    taking.map(|(organization, _)| *organization).collect()
}
