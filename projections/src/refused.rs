//! Declarations and queries that must not compile, each beside one that differs in a word and compiles.

macro_rules! declarations {
    ($($name:ident: $mode:literal, index $index:literal, count $count:literal, order $order:literal;)*) => {
        $(#[doc = concat!(
            "```", $mode, "\n",
            "# #![allow(dead_code, unused_imports)]\n",
            "use registrar_projections::document::{AnyDocument, CollectionId, HasCollection};\n",
            "use registrar_projections::{collection, features::ASSIGNABLE};\n",
            "#[derive(Clone, serde::Serialize, serde::Deserialize)]\n",
            "struct Note { id: u8, text: String, tags: Vec<String> }\n",
            "impl HasCollection for Note {\n",
            "    const ID: CollectionId = CollectionId::Tasks;\n",
            "    fn wrap(self) -> AnyDocument { unreachable!() }\n",
            "    fn unwrap(_: &AnyDocument) -> Option<&Self> { None }\n",
            "    fn take(_: AnyDocument) -> Option<Self> { None }\n",
            "}\n",
            "collection! {\n",
            "    \"notes\" of Note, hot: false, id: |note| note.id.to_string();\n",
            "    keys {\n",
            "        TEXT: Text = |note| note.text.clone();\n",
            "        NUMBER: Integer = |note| note.id.into();\n",
            "        TAGS: Texts = |note| note.tags.clone();\n",
            "        SEARCH: Search = |note| note.text.to_lowercase();\n",
            "    }\n",
            "    indexes { [", $index, "] }\n",
            "    counts { [", $count, "] }\n",
            "    sorts { ORDER = [", $order, "]; }\n",
            "}\n",
            "```\n",
        )]
        pub struct $name;)*
    };
}

declarations! {
    Declared: "", index "TEXT, NUMBER", count "TEXT", order "TEXT, NUMBER";
    ListIndexedAlone: "", index "TAGS", count "", order "";
    UndeclaredIndex: "compile_fail", index "TEXT, NAME", count "TEXT", order "TEXT, NUMBER";
    UndeclaredCount: "compile_fail", index "TEXT, NUMBER", count "NAME", order "TEXT, NUMBER";
    UndeclaredOrder: "compile_fail", index "TEXT, NUMBER", count "TEXT", order "TEXT, NAME";
    IndexOfAnother: "compile_fail", index "TEXT, ASSIGNABLE", count "TEXT", order "TEXT, NUMBER";
    CountOfAnother: "compile_fail", index "TEXT, NUMBER", count "ASSIGNABLE", order "TEXT, NUMBER";
    OrderOfAnother: "compile_fail", index "TEXT, NUMBER", count "TEXT", order "TEXT, ASSIGNABLE";
    SearchIndexed: "compile_fail", index "SEARCH", count "TEXT", order "TEXT, NUMBER";
    ListIndexedWithAnother: "compile_fail", index "TAGS, NUMBER", count "TEXT", order "TEXT, NUMBER";
    NumberCounted: "compile_fail", index "TEXT, NUMBER", count "NUMBER", order "TEXT, NUMBER";
    OrderByList: "compile_fail", index "TEXT, NUMBER", count "TEXT", order "TAGS, NUMBER";
}

macro_rules! queries {
    ($($name:ident: $mode:literal, $order:literal, $filter:literal;)*) => {
        $(#[doc = concat!(
            "```", $mode, "\n",
            "use registrar_projections::query::{Direction, Query};\n",
            "use registrar_projections::{features, sessions, users};\n",
            "let query = Query::<users::UserDocument>::sorted(&", $order, ", Direction::Ascending);\n",
            "drop(query.", $filter, ");\n",
            "let sessions = Query::sorted(&sessions::BY_CREATION, Direction::Ascending);\n",
            "drop((sessions.number_below(&sessions::EPOCH, 1), features::BY_CREATION));\n",
            "```\n",
        )]
        pub struct $name;)*
    };
}

queries! {
    Equal: "", "users::BY_CREATION", "equal(&users::ENABLED, \"true\")";
    Contains: "", "users::BY_CREATION", "contains(&users::PLACES, \"here\")";
    SearchFor: "", "users::BY_CREATION", "search(&users::SEARCH, \"ada\")";
    OrderOfOthers: "compile_fail", "features::BY_CREATION", "equal(&users::ENABLED, \"true\")";
    KeyOfOthers: "compile_fail", "users::BY_CREATION", "equal(&features::ASSIGNABLE, \"true\")";
    ListAsText: "compile_fail", "users::BY_CREATION", "equal(&users::PLACES, \"here\")";
    TextAsList: "compile_fail", "users::BY_CREATION", "contains(&users::ENABLED, \"true\")";
    TextAsSearch: "compile_fail", "users::BY_CREATION", "search(&users::ENABLED, \"ada\")";
    TextAsNumber: "compile_fail", "users::BY_CREATION", "number_below(&users::ENABLED, 1)";
}
