//! The refusals of all aggregates as one type, generated from the list of all aggregates.

use crate::every_aggregate;
use crate::granting::GrantError;
use crate::refusal::{RefusalKind, Refuse};
use crate::values::Finding;

macro_rules! any_refusal {
    ($(
        $(#[$doc:meta])* $variant:ident: $aggregate:ty, $event:ty, $source:ident $entity:literal
        $(, refuses $error:ty)?;
    )*) => {
        any_refusal!(@ $($($variant($error),)?)*);
    };
    (@ $($variant:ident($error:ty),)*) => {
        /// A refusal of any aggregate, or of a granter.
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        pub enum Refusal {
            $(
                #[doc = concat!("See [`", stringify!($error), "`].")]
                #[error(transparent)]
                $variant(#[from] $error),
            )*
            /// A field of an aggregate without refusals of its own.
            #[error(transparent)]
            Unfit(#[from] Finding),
            /// A granter.
            #[error(transparent)]
            Granting(#[from] GrantError),
        }

        impl Refuse for Refusal {
            fn kind(&self) -> RefusalKind {
                match self {
                    $(Refusal::$variant(refused) => refused.kind(),)*
                    Refusal::Unfit(refused) => refused.kind(),
                    Refusal::Granting(refused) => refused.kind(),
                }
            }
        }
    };
}

every_aggregate!(any_refusal);
