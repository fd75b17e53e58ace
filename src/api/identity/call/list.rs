//! Lists: filters, pagination, and the rendering of rows.

use super::Call;
use crate::api::common::ApiError;
use crate::api::common::error::Wrong;
use crate::api::identity::call::Answered;
use crate::api::identity::documents::{Reply, Resource, Window};
use crate::api::identity::times::Comparison;
use registrar_projections::query::TextKey;
use registrar_projections::stamped::time_key;
use registrar_projections::{Document, Query};

/// Largest page where the contract sets no maximum.
const LIMIT_MAX: u64 = 1_000;

/// A page of documents.
pub(in crate::api::identity) struct Paged<D> {
    /// Documents of the page, in order.
    pub(in crate::api::identity) items: Vec<D>,
    total: u64,
    window: Window,
}

impl<D> Paged<D> {
    /// Response with each document rendered by itself.
    pub(in crate::api::identity) fn show(&self, resource: impl FnMut(&D) -> Resource) -> Reply {
        Reply::Page(self.items.iter().map(resource).collect(), self.window, self.total)
    }

    /// Response with the rows of the whole page.
    pub(in crate::api::identity) fn with(self, rows: Vec<Resource>) -> Reply {
        Reply::Page(rows, self.window, self.total)
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
    ) -> Answered {
        Ok(self.page(query).await?.show(resource))
    }

    /// A page of documents, for rows that need further data.
    ///
    /// # Errors
    /// As [`Call::list`].
    pub(in crate::api::identity) async fn page<D: Document>(&self, query: Query<D>) -> Result<Paged<D>, ApiError> {
        let window = self.window()?;
        let page = self.documents().page(query.page(window.offset, window.limit)).await?.value;
        Ok(Paged { items: page.items, total: page.total, window })
    }

    /// The requested page of a list in memory.
    ///
    /// # Errors
    /// `Wrong` for a page out of bounds.
    pub(in crate::api::identity) fn part(&self, rows: Vec<Resource>) -> Answered {
        let window = self.window()?;
        let total = rows.len() as u64;
        let [skip, take] = [window.offset, window.limit].map(|number| usize::try_from(number).unwrap_or(usize::MAX));
        Ok(Reply::Page(rows.into_iter().skip(skip).take(take).collect(), window, total))
    }

    /// An empty page, for filters that cannot match.
    ///
    /// # Errors
    /// `Wrong` for a page out of bounds.
    pub(in crate::api::identity) fn nothing(&self) -> Answered {
        self.part(vec![])
    }

    /// Offset and limit of the page.
    ///
    /// # Errors
    /// `Wrong` if out of bounds.
    pub(in crate::api::identity) fn window(&self) -> Result<Window, ApiError> {
        self.window_up_to(LIMIT_MAX)
    }

    /// As [`Call::window`] with another maximum.
    ///
    /// # Errors
    /// `Wrong` if out of bounds.
    pub(in crate::api::identity) fn window_up_to(&self, max: u64) -> Result<Window, ApiError> {
        let bounded = |name: &str, max| {
            let number = self.arguments.number(name).filter(|number| *number <= max);
            number.ok_or_else(|| Wrong::parameter(name, format!("must be a whole number from 0 to {max}")))
        };
        match (bounded("page[limit]", max), bounded("page[offset]", i64::MAX.unsigned_abs())) {
            (Ok(limit), Ok(offset)) => Ok(Window { limit, offset }),
            (limit, offset) => Err(ApiError::Wrong(limit.err().into_iter().chain(offset.err()).collect())),
        }
    }
}

/// A whole list as one page.
pub(in crate::api::identity) fn whole(rows: Vec<Resource>) -> Reply {
    let total = rows.len() as u64;
    Reply::Page(rows, Window { limit: total, offset: 0 }, total)
}

/// Optional filters of a query.
pub(in crate::api::identity) trait Narrow: Sized {
    /// Applies `narrow` if a value is given.
    #[must_use]
    fn when<T>(self, given: Option<T>, narrow: impl FnOnce(Self, T) -> Self) -> Self {
        match given {
            Some(given) => narrow(self, given),
            None => self,
        }
    }
}

impl<D: Document> Narrow for Query<D> {}

/// Keeps documents whose time satisfies the comparisons.
pub(in crate::api::identity) fn compared<D: Document>(
    query: Query<D>,
    key: &TextKey<D>,
    comparisons: impl IntoIterator<Item = Comparison>,
) -> Query<D> {
    use crate::api::identity::times::Relation;
    comparisons.into_iter().fold(query, |query, comparison| {
        let time = time_key(comparison.time);
        match comparison.relation {
            Relation::Before => query.below(key, time),
            Relation::Until => query.at_most(key, time),
            Relation::After => query.above(key, time),
            Relation::Since => query.at_least(key, time),
        }
    })
}
