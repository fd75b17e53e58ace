//! Ids by which the broker tells a message from its repetition.

/// Gives each position its `Nats-Msg-Id`: the position.
///
/// Within its de-duplication window the broker remembers also the ids of messages that were deleted from the stream,
/// even of a purged one, and swallows whoever brings them back. Then they come back with zeros before the position:
/// the same number to everybody, another id to the broker.
#[derive(Debug, Default)]
pub(super) struct MessageIds {
    leading_zeros: usize,
    refused: Option<u64>,
}

impl MessageIds {
    pub(super) fn of(&self, position: u64) -> String {
        format!("{}{position}", "0".repeat(self.leading_zeros))
    }

    /// The broker took the message for a repetition.
    pub(super) fn refused(&mut self, position: u64) {
        self.refused = Some(position);
    }

    /// The stream was found to end at `position`: if that is before what was refused, it was no repetition.
    pub(super) fn resume_after(&mut self, position: u64) {
        if self.refused.take().is_some_and(|refused| position < refused) {
            self.leading_zeros += 1;
        }
    }

    /// The stream holds everything. What follows it has never seen.
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
    fn what_the_stream_lost_comes_back_under_another_id_of_the_same_number() {
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
