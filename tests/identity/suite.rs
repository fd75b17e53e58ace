//! The declarations of a test file about its operations, for the runs over all of them: `coverage`, `matrix`,
//! `idempotent` and `conformance`. `main.rs` lists the suites.

use crate::conformance::resource::Resource;
use crate::matrix::world::{Caller, Request, World};
use futures::future::BoxFuture;

/// A valid request on a new resource, by name of the operation; `None` if the suite has no such operation. Where an
/// operation has several requests, the name of the request follows after a colon.
pub type ValidRequest = for<'a> fn(&'a World, &'a str, &'a Caller) -> BoxFuture<'a, Option<Request>>;

pub struct Suite {
    /// Each operation of the identity dialect with a test in which it succeeds. `on_both_stores!` gives every test its
    /// `TEST`, so a name without a test does not compile.
    pub tests: &'static [(&'static str, &'static str)],
    /// Expected statuses by caller, one request a line; see `matrix::table`.
    pub table: &'static str,
    /// A valid request for each line of the table. Without one here, a resource is read after its creation, and listed by
    /// its rows, as declared in `resources`.
    pub request: ValidRequest,
    /// The resources that the rules of `conformance` hold for.
    pub resources: &'static [Resource],
}
