//! Parts of the bench that are shared with contenders that are programs of their own: the work, rounds of it, and how such a program is
//! told to work. There is no database in it, so that it goes with any release of its driver.

pub mod contender;
pub mod rounds;
pub mod stock;
pub mod told;
pub mod workload;
