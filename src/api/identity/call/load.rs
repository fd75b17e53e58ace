//! Look-ups of resources together with the caller's rights: not found if the caller may not see them, forbidden if the
//! act is not allowed. No handler decides either by itself.

use super::Call;
use crate::access::resource::{Guarded, Right};
use crate::api::common::ApiError;
use crate::api::common::error::{RequestViolation, Source};
use crate::api::common::guard::denied;
use crate::journal::JournalResult;
use crate::security::{Event, Line};
use std::sync::Arc;

impl Call {
    /// The resource in the path.
    ///
    /// # Errors
    /// 404 if unknown or hidden; 403 if `act` is not allowed; 409 if the body names another one; `Unavailable`.
    pub(in crate::api::identity) async fn load<R: Guarded>(&self, act: R::Act) -> Result<Arc<R>, ApiError> {
        let found = self.load_by::<R>(self.path_text(), act).await?;
        match &self.sent_id {
            Some(sent) if !names_the_same::<R>(sent, self.path_text()) => {
                Err(ApiError::Wrong(vec![RequestViolation {
                    contradicts: true,
                    ..RequestViolation::at(Source::Pointer("/data/id".to_owned()), "must be the id of the path")
                }]))
            }
            Some(_) | None => Ok(found),
        }
    }

    /// As [`Call::load`] for a resource that the request names elsewhere.
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

    /// The resource named by a member of the body or a parameter.
    ///
    /// # Errors
    /// 400 at `source` if unknown or hidden; 403 if `act` is not allowed; `Unavailable`.
    pub(in crate::api::identity) async fn named<R: Guarded>(
        &self,
        source: Source,
        id: impl ToString + Send,
        act: R::Act,
    ) -> Result<Arc<R>, ApiError> {
        let found = self.rightful(&id.to_string(), act).await?;
        found.ok_or_else(|| ApiError::Wrong(vec![RequestViolation::at(source, R::NAMES_NONE)]))
    }

    /// The resource named by a filter, if the caller sees it; a hidden one matches nothing.
    ///
    /// # Errors
    /// `Unavailable`, `Corrupt`.
    pub(in crate::api::identity) async fn seen<R: Guarded>(
        &self,
        id: impl ToString + Send,
    ) -> JournalResult<Option<Arc<R>>> {
        Ok(self.looked_up(&id.to_string(), R::SEE).await?.map(|(found, _)| found))
    }

    /// The resource of a filter whose results require `act` on it; a hidden one matches nothing.
    ///
    /// # Errors
    /// 403 if the caller sees it and `act` is not allowed; `Unavailable`.
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

    /// Whether the caller may `act` on a loaded resource.
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

    /// The 403 for an act on a resource that the caller sees.
    #[must_use]
    pub(in crate::api::identity) fn forbidden(&self) -> ApiError {
        denied(self.operation)
    }

    /// Requires a right that concerns no particular resource.
    ///
    /// # Errors
    /// `Forbidden`.
    pub(in crate::api::identity) fn require(&self, allowed: bool) -> Result<(), ApiError> {
        if allowed { Ok(()) } else { Err(self.forbidden()) }
    }
}

/// Whether the identifiers of body and path are those of one resource: letter case does not matter in UUIDs and codes.
fn names_the_same<R: Guarded>(sent: &str, path: &str) -> bool {
    sent == path || R::key(sent) == R::key(path)
}

#[cfg(test)]
mod tests {
    use super::names_the_same;
    use registrar_projections::UserDocument;
    use registrar_projections::features::FeatureDocument;
    use registrar_projections::organization_codes::OrganizationCodeDocument;

    #[test]
    fn letter_case_of_an_identifier_matters_in_features_alone() {
        let id = "0F6C1F8E-5b0a-4d6e-9a57-3f1d2c7b8a01";
        assert!(names_the_same::<UserDocument>(&id.to_lowercase(), id));
        assert!(!names_the_same::<UserDocument>(id, "0f6c1f8e-5b0a-4d6e-9a57-3f1d2c7b8a02"));
        assert!(!names_the_same::<UserDocument>("x", id));
        assert!(!names_the_same::<FeatureDocument>("Beta", "beta"));
        assert!(names_the_same::<OrganizationCodeDocument>("Spring", "SPRING"));
        assert!(!names_the_same::<OrganizationCodeDocument>("spring", "autumn"));
    }
}
