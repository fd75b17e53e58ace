//! The pending configuration of a user's second factor, of which a user has one at a time.

use super::{Step, Streams, refused};
use crate::totp::{Totp, TotpCommand, TotpError};
use crate::values::{TotpId, UserId};

/// Creates a pending configuration in place of the `former` ones that were pending or disabled.
///
/// # Errors
/// `Enabled` if one of them is enabled.
pub fn replace(streams: &mut Streams, user: UserId, id: TotpId, secret: &str, former: &[TotpId]) -> Step<()> {
    for former in former {
        match streams.state::<Totp>(former)? {
            Totp::Present(configuration) if configuration.enabled => return refused(TotpError::Enabled),
            Totp::Present(_) => {
                streams.execute::<Totp>(former, TotpCommand::Delete)?;
            }
            // Another request deleted it.
            Totp::Absent | Totp::Deleted => {}
        }
    }
    streams.execute::<Totp>(id, TotpCommand::Create { id, user_id: user, secret: secret.to_owned() })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processes::testing::*;
    use crate::totp::TotpEvent;
    use uuid::Uuid;

    const FORMER: TotpId = TotpId(Uuid::from_u128(0x31));
    const GONE: TotpId = TotpId(Uuid::from_u128(0x32));
    const NEW: TotpId = TotpId(Uuid::from_u128(0x33));

    fn created(id: TotpId) -> TotpEvent {
        TotpEvent::Created { id, user_id: ADA, secret: "secret".into() }
    }

    fn enabled() -> TotpEvent {
        TotpEvent::Enabled { user_id: ADA, step: 1, recovery_digests: vec![] }
    }

    fn history(id: TotpId, happened: impl IntoIterator<Item = TotpEvent>) -> History {
        events::<Totp>(id, happened)
    }

    fn deleted(user_id: Option<UserId>) -> TotpEvent {
        TotpEvent::Deleted { user_id }
    }

    #[test]
    fn a_configuration_takes_the_place_of_the_one_in_the_making() {
        given([history(FORMER, [created(FORMER)]), history(GONE, [created(GONE), deleted(Some(ADA))])])
            .when(|streams| replace(streams, ADA, NEW, "secret", &[FORMER, GONE]))
            .then([history(FORMER, [deleted(Some(ADA))]), history(NEW, [created(NEW)])]);
    }

    #[test]
    fn a_configuration_out_of_force_is_replaced() {
        let disabled = TotpEvent::Disabled { user_id: ADA };
        given([history(FORMER, [created(FORMER), enabled(), disabled])])
            .when(|streams| replace(streams, ADA, NEW, "secret", &[FORMER]))
            .then([history(FORMER, [deleted(None)]), history(NEW, [created(NEW)])]);
    }

    #[test]
    fn a_configuration_in_force_stays() {
        given([history(FORMER, [created(FORMER), enabled()])])
            .when(|streams| replace(streams, ADA, NEW, "secret", &[FORMER]))
            .then_refused(TotpError::Enabled);
    }
}
