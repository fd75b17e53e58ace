//! Lists: filters, pagination, and the rendering of rows.

use super::Call;
use crate::api::common::ApiError;
use crate::api::common::error::RequestViolation;
use crate::api::identity::call::HandlerResult;
use crate::api::identity::documents::{Paging, Reply, Resource};
use crate::api::identity::times::Comparison;
use registrar_projections::query::TextKey;
use registrar_projections::stamped::time_key;
use registrar_projections::{Document, Query};

/// Largest page where the contract sets no maximum.
const LIMIT_MAX: u64 = 1_000;
/// Page where the contract publishes no parameters: the default of most lists.
const LIMIT_DEFAULT: u64 = 100;

/// A page of documents.
pub(in crate::api::identity) struct DocumentPage<D> {
    /// Documents of the page, in order.
    pub(in crate::api::identity) items: Vec<D>,
    total: u64,
    paging: Paging,
}

impl<D> DocumentPage<D> {
    /// Response with each document rendered by itself.
    pub(in crate::api::identity) fn show(&self, resource: impl FnMut(&D) -> Resource) -> Reply {
        Reply::Page(self.items.iter().map(resource).collect(), self.paging, self.total)
    }

    /// Response with the rows of the whole page.
    pub(in crate::api::identity) fn with(self, rows: Vec<Resource>) -> Reply {
        Reply::Page(rows, self.paging, self.total)
    }
}

impl Call {
    /// Answers with a page of documents.
    ///
    /// # Errors
    /// `Wrong` for a page out of bounds; `Unavailable`.
    pub(in crate::api::identity) async fn list<D: Document>(
        &self,
        query: Query<D>,
        resource: impl FnMut(&D) -> Resource,
    ) -> HandlerResult {
        Ok(self.page(query).await?.show(resource))
    }

    /// A page of documents, for rows that need further data.
    ///
    /// # Errors
    /// As [`Call::list`].
    pub(in crate::api::identity) async fn page<D: Document>(
        &self,
        query: Query<D>,
    ) -> Result<DocumentPage<D>, ApiError> {
        let paging = self.paging()?;
        let page = self.documents().page(query.page(paging.offset, paging.limit)).await?.value;
        Ok(DocumentPage { items: page.items, total: page.total, paging })
    }

    /// The requested page of a list in memory.
    ///
    /// # Errors
    /// `Wrong` for a page out of bounds.
    pub(in crate::api::identity) fn part(&self, rows: Vec<Resource>) -> HandlerResult {
        let paging = self.paging()?;
        let total = rows.len() as u64;
        let [skip, take] = [paging.offset, paging.limit].map(|number| usize::try_from(number).unwrap_or(usize::MAX));
        Ok(Reply::Page(rows.into_iter().skip(skip).take(take).collect(), paging, total))
    }

    /// An empty page, for filters that cannot match.
    ///
    /// # Errors
    /// `Wrong` for a page out of bounds.
    pub(in crate::api::identity) fn nothing(&self) -> HandlerResult {
        self.part(vec![])
    }

    /// Offset and limit of the page.
    ///
    /// # Errors
    /// `Wrong` if out of bounds.
    pub(in crate::api::identity) fn paging(&self) -> Result<Paging, ApiError> {
        self.paging_up_to(LIMIT_MAX)
    }

    /// As [`Call::paging`] with another maximum.
    ///
    /// # Errors
    /// `Wrong` if out of bounds.
    pub(in crate::api::identity) fn paging_up_to(&self, max: u64) -> Result<Paging, ApiError> {
        let bounded = |name: &str, default, max| {
            let number = if self.arguments.has(name) { self.arguments.number(name) } else { Some(default) };
            let number = number.filter(|number| *number <= max);
            number.ok_or_else(|| RequestViolation::parameter(name, format!("must be a whole number from 0 to {max}")))
        };
        match (bounded("page[limit]", LIMIT_DEFAULT, max), bounded("page[offset]", 0, i64::MAX.unsigned_abs())) {
            (Ok(limit), Ok(offset)) => Ok(Paging { limit, offset }),
            (limit, offset) => Err(ApiError::Wrong(limit.err().into_iter().chain(offset.err()).collect())),
        }
    }
}

/// A whole list as one page.
pub(in crate::api::identity) fn whole(rows: Vec<Resource>) -> Reply {
    let total = rows.len() as u64;
    Reply::Page(rows, Paging { limit: total, offset: 0 }, total)
}

/// Optional filters of a query.
pub(in crate::api::identity) trait QueryExt: Sized {
    /// Applies `narrow` if a value is given.
    #[must_use]
    fn when<T>(self, given: Option<T>, narrow: impl FnOnce(Self, T) -> Self) -> Self {
        match given {
            Some(given) => narrow(self, given),
            None => self,
        }
    }
}

impl<D: Document> QueryExt for Query<D> {}

/// Keeps documents whose time satisfies the comparisons.
pub(in crate::api::identity) fn compared<D: Document>(
    query: Query<D>,
    key: &TextKey<D>,
    comparisons: impl IntoIterator<Item: Into<Comparison>>,
) -> Query<D> {
    use crate::api::identity::times::Relation;
    comparisons.into_iter().fold(query, |query, comparison| {
        let comparison: Comparison = comparison.into();
        let time = time_key(comparison.time);
        match comparison.relation {
            Relation::Before => query.below(key, time),
            Relation::Until => query.at_most(key, time),
            Relation::After => query.above(key, time),
            Relation::Since => query.at_least(key, time),
        }
    })
}
