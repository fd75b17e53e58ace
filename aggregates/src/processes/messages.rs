//! Messages to people: composed in the commit of the act that causes them.

use super::{Step, Streams};
use crate::message::delivery::{Composition, Message, MessageCommand};

/// Composes a message beside the other decisions of a process, so that it exists exactly if they do. Its texts are
/// rendered before. A message is `captured` at once where its channel has no server.
///
/// # Errors
/// `Unfit`.
pub fn compose(streams: &mut Streams, composition: &Composition, captured: bool) -> Step<()> {
    let command = MessageCommand::Compose { composition: Box::new(composition.clone()), captured };
    streams.execute::<Message>(composition.id, command).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::delivery::tests::email;
    use crate::message::delivery::{MessageError, MessageEvent};
    use crate::processes::testing::*;
    use crate::user::{User, UserCommand};
    use crate::values::Problem;

    fn join(streams: &mut Streams) -> Step<()> {
        streams.execute::<User>(ADA, UserCommand::Join(ACME)).map(drop)
    }

    #[test]
    fn a_message_is_composed_with_the_act_that_causes_it() {
        let message = email();
        let composed = MessageEvent::Composed(Box::new(message.clone()));
        let captured = MessageEvent::Captured { recipient: message.recipient };
        let (stream, joined) = user(ADA, [UserCommand::Join(ACME)]);
        given([user(ADA, [])])
            .when(|streams| join(streams).and_then(|()| compose(streams, &message, true)))
            .then([(stream, joined[1..].to_vec()), events::<Message>(message.id, [composed.clone(), captured])]);
        given([]).when(|streams| compose(streams, &message, false)).then([events::<Message>(message.id, [composed])]);
    }

    #[test]
    fn an_act_whose_message_is_unfit_does_not_happen() {
        let message = Composition { to: "ada".into(), ..email() };
        given([user(ADA, [])])
            .when(|streams| join(streams).and_then(|()| compose(streams, &message, true)))
            .then_refused(MessageError::Unfit(Problem::NotAnEmail.of("to")));
    }
}
