//! Things of a request, looked up together with the right to do something with them: not found where the caller does not
//! see them, forbidden where the act is not allowed. No handler decides either by itself.

use super::Call;
use crate::access::resource::{Guarded, Right};
use crate::api::common::ApiError;
use crate::api::common::error::{Source, Wrong};
use crate::api::common::guard::denied;
use crate::journal::JournalResult;
use crate::security::{Event, Line};
use std::sync::Arc;

impl Call {
    /// The thing that the path names.
    ///
    /// # Errors
    /// 404 for one that is unknown or not seen; 403 where `act` is not allowed; 409 where the body names another one;
    /// `Unavailable`.
    pub(in crate::api::identity) async fn load<R: Guarded>(&self, act: R::Act) -> Result<Arc<R>, ApiError> {
        let found = self.load_by::<R>(self.path_text(), act).await?;
        match &self.contradiction {
            Some(wrong) => Err(ApiError::Wrong(vec![wrong.clone()])),
            None => Ok(found),
        }
    }

    /// The same for a text that stands elsewhere and names what the operation is about.
    ///
    /// # Errors
    /// As [`Call::load`].
    pub(in crate::api::identity) async fn load_by<R: Guarded>(
        &self,
        text: &str,
        act: R::Act,
    ) -> Result<Arc<R>, ApiError> {
        self.rightful(text, act).await?.ok_or(ApiError::NotFound(R::NOT_FOUND))
    }

    /// The thing that a member of the body or a parameter names.
    ///
    /// # Errors
    /// 400 at `source` for one that is unknown or not seen; 403 where `act` is not allowed; `Unavailable`.
    pub(in crate::api::identity) async fn named<R: Guarded>(
        &self,
        source: Source,
        id: impl ToString + Send,
        act: R::Act,
    ) -> Result<Arc<R>, ApiError> {
        let found = self.rightful(&id.to_string(), act).await?;
        found.ok_or_else(|| ApiError::Wrong(vec![Wrong::at(source, R::NAMES_NONE)]))
    }

    /// The thing that a filter names, if the caller sees it; what is not seen finds nothing.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub(in crate::api::identity) async fn seen<R: Guarded>(
        &self,
        id: impl ToString + Send,
    ) -> JournalResult<Option<Arc<R>>> {
        Ok(self.looked_up(&id.to_string(), R::SEE).await?.map(|(found, _)| found))
    }

    /// The thing of a filter whose results are for those who may `act` on it; what is not seen finds nothing.
    ///
    /// # Errors
    /// 403 where the caller sees it and `act` is not allowed; `Unavailable`.
    pub(in crate::api::identity) async fn rightful<R: Guarded>(
        &self,
        text: &str,
        act: R::Act,
    ) -> Result<Option<Arc<R>>, ApiError> {
        match self.looked_up::<R>(text, act).await? {
            Some((found, Right::Allowed)) => Ok(Some(found)),
            Some(_) => Err(self.forbidden()),
            None => Ok(None),
        }
    }

    /// Whether the caller may do something with a thing at hand.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub(in crate::api::identity) async fn may<R: Guarded>(&self, thing: &R, act: R::Act) -> JournalResult<bool> {
        Ok(thing.right(&self.access(), &self.holder, act).await? == Right::Allowed)
    }

    async fn looked_up<R: Guarded>(&self, text: &str, act: R::Act) -> JournalResult<Option<(Arc<R>, Right)>> {
        let Some(key) = R::key(text) else { return Ok(None) };
        let Some(found) = R::find(self.documents(), &key).await? else { return Ok(None) };
        let right = found.right(&self.access(), &self.holder, act).await?;
        if right == Right::Unseen {
            Line { operation: Some(self.operation), ..Line::default() }.refused(Event::Unseen);
            return Ok(None);
        }
        Ok(Some((found, right)))
    }

    /// The refusal of an act on something that the caller sees.
    #[must_use]
    pub(in crate::api::identity) fn forbidden(&self) -> ApiError {
        denied(self.operation)
    }

    /// Lets those pass for whom an operation is that is about nothing in particular.
    ///
    /// # Errors
    /// `Forbidden`.
    pub(in crate::api::identity) fn require(&self, allowed: bool) -> Result<(), ApiError> {
        if allowed { Ok(()) } else { Err(self.forbidden()) }
    }
}
