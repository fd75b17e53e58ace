//! The head of the journal as known to a node, to read and to wait for.
//!
//! No borrow leaves this module. A [`watch::Receiver`] lends a read lock, and a second one requested while the first is
//! held waits for ever once a writer has come in between.

use tokio::sync::watch;

/// Sets the known end of the journal. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HeadSender(watch::Sender<u64>);

/// Reads the known end of the journal. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Heads(watch::Receiver<u64>);

/// All senders are gone, so no further head will be known.
#[derive(Debug, thiserror::Error)]
#[error("the journal is no longer followed")]
pub struct Closed;

/// A sender and its reader, starting at this position.
#[must_use]
pub fn channel(position: u64) -> (HeadSender, Heads) {
    let (sender, receiver) = watch::channel(position);
    (HeadSender(sender), Heads(receiver))
}

impl HeadSender {
    /// Notes a head, if it is later than the known one.
    pub fn advance(&self, position: u64) {
        self.0.send_if_modified(|known| {
            let later = position > *known;
            *known = position.max(*known);
            later
        });
    }
}

impl HeadSender {
    /// Sets the head to an earlier position: the database has another history.
    pub(crate) fn go_back(&self, position: u64) {
        self.0.send_replace(position);
    }

    /// Position of the last event known to be on disk.
    pub(crate) fn position(&self) -> u64 {
        *self.0.borrow()
    }
}

impl Heads {
    /// Position of the last event known to be on disk.
    #[must_use]
    pub fn position(&self) -> u64 {
        *self.0.borrow()
    }

    /// Waits until the head is known to have reached `position` and returns the head.
    ///
    /// # Errors
    /// `Closed`.
    pub async fn reach(&self, position: u64) -> Result<u64, Closed> {
        let mut receiver = self.0.clone();
        receiver.wait_for(|head| *head >= position).await.map(|head| *head).map_err(|_| Closed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_head_never_goes_back_and_wakes_waiting_callers() {
        let (sender, heads) = channel(3);
        sender.advance(2);
        assert_eq!(heads.position(), 3);
        let waiting = tokio::spawn({
            let heads = heads.clone();
            async move { heads.reach(5).await }
        });
        sender.advance(4);
        sender.advance(7);
        assert_eq!(waiting.await.unwrap().unwrap(), 7);
        assert_eq!(heads.reach(1).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_reached_position_holds_no_lock() {
        let (sender, heads) = channel(1);
        let reached = heads.reach(1).await;
        // In a thread: waiting for a lock would block the test's only one.
        let advanced = std::thread::spawn(move || sender.advance(2));
        advanced.join().unwrap();
        assert_eq!((reached.unwrap(), heads.position()), (1, 2));
    }

    #[tokio::test]
    async fn waiting_for_a_position_fails_once_the_sender_is_gone() {
        let (sender, heads) = channel(1);
        drop(sender);
        assert!(heads.reach(2).await.is_err());
    }
}
