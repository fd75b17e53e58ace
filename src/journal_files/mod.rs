//! Journal files: verifying a whole journal, and moving it from one database to another.
//!
//! An export is four files: the events, a signed checkpoint, a proof for each event, and the keys of persons, still
//! wrapped by the master key, which is transferred separately. Each is written under a temporary name and renamed when
//! all are complete, the events last, so a half-written export is never mistaken for a whole one.

pub mod archive;
pub mod export;
pub mod formats;
pub mod import;
mod proofs;
pub mod resnapshot;
mod staged;
mod states;
pub mod verify;

pub use archive::{ArchiveError, ArchivedRange, archive};
pub use export::{ExportError, ExportFilter, ExportSize, export};
pub use formats::Format;
pub use import::{ImportError, ImportSummary, import};
pub use resnapshot::{ResnapshotError, resnapshot};
pub use verify::{JournalVerification, VerifyError, verify};
