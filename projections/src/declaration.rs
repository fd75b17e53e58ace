//! The declaration macro of collections.

/// Declares the collection of a document type: implements [`Document`](crate::Document) for it and defines a typed
/// constant for every key and every order.
///
/// The column of a key has the key's name, in lower case. Indexes, counts and orders name keys of the same declaration:
/// a multi-valued key is indexed alone, counts use texts, and an order compares scalars. Anything else does not
/// compile.
///
/// - `hot`: whether folds reread a document soon after its write; see [`Collection`](crate::Collection).
/// - `sealed`: a function from a document to the result of [`Document::sealed_fields`](crate::Document::sealed_fields).
///   Only for documents that no later event changes, since a fold does not open what it reads.
/// - `counts`: keys whose combinations of values are counted, `[]` for the whole collection; with `each KEY from
///   PREFIX` once for each text of `KEY` that begins with `PREFIX`.
#[macro_export]
macro_rules! collection {
    (
        $name:literal of $document:ty, hot: $hot:literal, id: |$identified:ident| $id:expr $(, sealed: $sealed:path)?;
        $(keys { $($(#[$about:meta])* $visibility:vis $KEY:ident: $Kind:ident = |$it:ident| $value:expr;)+ })?
        $(indexes { $([$($indexed:ident),+]),+ $(,)? })?
        $(counts { $([$($counted:ident),*] $(each $each:ident from $prefix:expr)?),+ $(,)? })?
        $(sorts { $($(#[$sort_about:meta])* $sort_visibility:vis $SORT:ident = [$($sorted:ident),*];)+ })?
    ) => {
        $($(
            $(#[$about])*
            $visibility const $KEY: $crate::key::Key<$document, $crate::key::$Kind> = {
                const COLUMN: &[u8] = &$crate::key::lowercase::<{ stringify!($KEY).len() }>(stringify!($KEY));
                $crate::key::Key::<$document, $crate::key::$Kind>::declared(COLUMN, |$it| {
                    <$crate::key::$Kind as $crate::key::Kind>::stored($value)
                })
            };
        )+)?

        $($(
            $(#[$sort_about])*
            $sort_visibility const $SORT: $crate::key::Sort<$document> =
                $crate::key::Sort::declared(const { &[$($crate::key::Key::<$document, _>::scalar(&$sorted)),*] });
        )+)?

        impl $crate::collection::Document for $document {
            const COLLECTION: &'static $crate::collection::Collection = &$crate::collection::Collection {
                name: $name,
                keys: &[$($($KEY.column()),+)?],
                indexes: &[$($(const { &$crate::collection!(@index $document, $($indexed),+) }),+)?],
                counted: &[$($(
                    $crate::collection::CountRule::by(
                        const { &[$($crate::key::TextKey::<$document>::name(&$counted)),*] },
                    )
                    $(.each($crate::key::TextsKey::<$document>::name(&$each), $prefix))?
                ),+)?],
                hot: $hot,
            };
            const VALUES: &'static [fn(&Self) -> $crate::collection::KeyValue] = &[$($($KEY.value()),+)?];

            fn id(&self) -> String {
                let $identified = self;
                $id
            }

            $(fn sealed_fields(&self) -> Vec<(String, Vec<String>)> {
                $sealed(self)
            })?
        }
    };
    (@index $document:ty, $only:ident) => { [$crate::key::Key::<$document, _>::indexed(&$only)] };
    (@index $document:ty, $($key:ident),+) => { [$($crate::key::Key::<$document, _>::scalar(&$key)),+] };
}
