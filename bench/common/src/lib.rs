//! Parts of the bench shared with contenders that are programs of their own: the workload, the rounds, and the protocol
//! between the bench and such a program. They use no database, so that they build with any release of a driver.

pub mod contender;
pub mod protocol;
pub mod rounds;
pub mod stock;
pub mod workload;
