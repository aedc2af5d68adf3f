//! Listeners: where the gateway listens. Ours, so under short names (DESIGN 1.9).

use model::{Kind, ObjectState};

use super::objects::{self, name_of, save_changed, stored};
use crate::{Context, Effect, Input, OpError, Operation, Output, Resource, Right};

const fn right(letter: char) -> Right {
    Right { resource: Resource::Configuration, letter }
}

/// The family.
pub(super) static OPERATIONS: &[Operation] = &[
    Operation {
        name: "listener add",
        title: "Listen on an address and port",
        right: right('U'),
        effect: Effect::Change,
        params: || objects::positional_name(objects::create_params(Kind::Listener)),
        run: |context, input| Box::pin(objects::create(context, input, Kind::Listener)),
    },
    Operation {
        name: "listener update",
        title: "Change a listener; what is not given stays",
        right: right('U'),
        effect: Effect::Change,
        params: || objects::positional_name(objects::update_params(Kind::Listener)),
        run: |context, input| Box::pin(objects::update(context, input, Kind::Listener)),
    },
    Operation {
        name: "listener list",
        title: "List listeners",
        right: right('R'),
        effect: Effect::Read,
        params: || objects::criteria(Kind::Listener),
        run: |context, input| Box::pin(objects::status(context, input, Kind::Listener)),
    },
    Operation {
        name: "listener disable",
        title: "Stop listening; sessions go on",
        right: right('U'),
        effect: Effect::Change,
        params: || objects::name_params(Kind::Listener),
        run: |context, input| Box::pin(switch(context, input, ObjectState::Disabled)),
    },
    Operation {
        name: "listener enable",
        title: "Listen again",
        right: right('U'),
        effect: Effect::Change,
        params: || objects::name_params(Kind::Listener),
        run: |context, input| Box::pin(switch(context, input, ObjectState::Enabled)),
    },
    Operation {
        name: "listener delete",
        title: "Delete a listener",
        right: right('U'),
        effect: Effect::Change,
        params: || objects::delete_params(Kind::Listener),
        run: |context, input| Box::pin(objects::delete(context, input, Kind::Listener)),
    },
];

async fn switch(context: &Context, input: &Input, state: ObjectState) -> Result<Output, OpError> {
    let mut object = stored(context, Kind::Listener, &name_of(input, Kind::Listener)?).await?;
    object.state = state;
    save_changed(context, object, &Input::default()).await
}
