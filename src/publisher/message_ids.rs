//! Message ids for de-duplication by the broker.

/// Gives each position its `Nats-Msg-Id`: the position.
///
/// Within its de-duplication window the broker also remembers the ids of messages that were deleted from the stream,
/// even of a purged one, and drops their republication. Republished messages therefore have zeros before the position:
/// the same number to every reader, another id to the broker.
#[derive(Debug, Default)]
pub(super) struct MessageIds {
    leading_zeros: usize,
    refused: Option<u64>,
}

impl MessageIds {
    pub(super) fn of(&self, position: u64) -> String {
        format!("{}{position}", "0".repeat(self.leading_zeros))
    }

    /// Notes that the broker dropped the message as a duplicate.
    pub(super) fn refused(&mut self, position: u64) {
        self.refused = Some(position);
    }

    /// Notes that the stream ends at `position`: if that is before the refused message, it was no duplicate.
    pub(super) fn resume_after(&mut self, position: u64) {
        if self.refused.take().is_some_and(|refused| position < refused) {
            self.leading_zeros += 1;
        }
    }

    /// Notes that the stream holds all events. Ids of later ones are new to the broker.
    pub(super) fn caught_up(&mut self) {
        self.leading_zeros = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_the_position() {
        assert_eq!(MessageIds::default().of(42), "42");
    }

    #[test]
    fn an_event_that_the_stream_lost_is_published_again_under_another_id_of_its_position() {
        let mut ids = MessageIds::default();
        ids.refused(42);
        ids.resume_after(41);
        assert_eq!(ids.of(42), "042");
        ids.refused(42);
        ids.resume_after(41);
        assert_eq!(ids.of(42), "0042");
        ids.caught_up();
        assert_eq!(ids.of(43), "43");
    }

    #[test]
    fn a_real_repetition_keeps_its_id() {
        let mut ids = MessageIds::default();
        ids.refused(42);
        ids.resume_after(42);
        ids.resume_after(41);
        assert_eq!(ids.of(42), "42");
    }
}
