//! What the binder asks of the world: the catalog ([`Names`]) and the session ([`SessionContext`]).

use crate::error::BindResult;
use crate::parse::QueryBody;
use plan::Scalar;
use repr::text::TextContext;
use repr::{CollectionId, Schema, SqlTimestampTz, Type};
use std::sync::Arc;

/// What kind of thing a relation's name names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationKind {
    Table,
    /// The relation a source fills.
    Source,
    /// Inlined by the binder wherever it is read.
    View,
    MaterializedView,
    /// A built-in relation.
    System,
    Index,
    Sink,
}

/// A relation as the catalog describes it.
#[derive(Clone, Debug)]
pub struct Relation {
    pub id: CollectionId,
    pub kind: RelationKind,
    pub schema_name: String,
    pub name: String,
    pub schema: Schema,
    /// What a plain view shows; `None` for every other kind.
    pub view: Option<Arc<ViewDefinition>>,
    /// The arrangements of the relation, its own one included.
    pub indexes: Vec<IndexInfo>,
    /// Rows are never retracted.
    pub append_only: bool,
}

/// A plain view's query.
#[derive(Clone, Debug)]
pub struct ViewDefinition {
    pub query: QueryBody,
    /// The schemas in which the view's names are looked up: the search path of its creator.
    pub search_path: Vec<String>,
}

/// An arrangement that reads may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexInfo {
    pub id: CollectionId,
    /// Over the relation's columns.
    pub key: Vec<Scalar>,
    /// No two rows have the same key.
    pub unique: bool,
}

/// The catalog as the binder sees it. Every name comes folded.
pub trait Names: Sync {
    /// The relation of a name of one to three parts. `search_path` is used when only one is given. An unknown name is 42P01, an unknown schema 3F000.
    fn resolve_relation(&self, parts: &[String], search_path: &[String]) -> BindResult<Arc<Relation>>;
    /// A type that is not built in, by its name.
    fn resolve_type(&self, _parts: &[String]) -> Option<Type> {
        None
    }
    /// `'name'::regclass` and its kin: the OID of a named thing of the type (`Regclass`, `Regtype`, `Regproc`, `Regnamespace`).
    fn oid_of(&self, _reg_type: &Type, _parts: &[String], _search_path: &[String]) -> Option<u32> {
        None
    }
    /// The text of an OID cast to a `reg*` type.
    fn name_of(&self, _reg_type: &Type, _oid: u32, _search_path: &[String]) -> Option<String> {
        None
    }
    /// The indexes of a collection, for the choice of access paths.
    fn indexes_of(&self, _id: CollectionId) -> Vec<IndexInfo> {
        Vec::new()
    }
    /// The keys of a collection: sets of columns whose values are unique.
    fn keys_of(&self, _id: CollectionId) -> Vec<Vec<usize>> {
        Vec::new()
    }
    /// Whether rows of a collection are never retracted.
    fn is_append_only(&self, _id: CollectionId) -> bool {
        false
    }
    /// The DEFAULT of a table's column.
    fn default_of(&self, _id: CollectionId, _column: usize) -> Option<crate::parse::ast::Expr> {
        None
    }
    /// A relation with a name much like this one, for hints.
    fn similar_relation(&self, _name: &str) -> Option<String> {
        None
    }
}

/// Whether a query is run once or kept up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `now()` and its kin are allowed.
    OneShot,
    /// Depends on its inputs alone: Stable and Volatile functions are refused.
    Maintained,
}

/// What a query may know about the session that asks.
#[derive(Clone)]
pub struct SessionContext {
    pub search_path: Vec<String>,
    pub text: TextContext,
    pub user: String,
    pub session_user: String,
    pub database: String,
    /// What `now()` says: the start of the transaction.
    pub now: Option<SqlTimestampTz>,
    pub backend_pid: i32,
    /// `version()`.
    pub version: String,
    /// `current_setting(name)`: the setting's text.
    pub setting: Arc<dyn Fn(&str) -> Option<String> + Send + Sync>,
}

impl Default for SessionContext {
    fn default() -> SessionContext {
        SessionContext {
            search_path: vec!["pg_catalog".to_string(), "public".to_string()],
            text: TextContext::default(),
            user: "tidemark".to_string(),
            session_user: "tidemark".to_string(),
            database: "tidemark".to_string(),
            now: None,
            backend_pid: 0,
            version: "PostgreSQL 15.0 (Tidemark)".to_string(),
            setting: Arc::new(|_| None),
        }
    }
}

/// Types of `$1`, `$2`, ...: as the client gave them, then as the statement decided them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    types: Vec<Option<Type>>,
}

impl Parameters {
    /// `None` (or [`Type::Unknown`]): to be inferred.
    pub fn new(types: Vec<Option<Type>>) -> Parameters {
        Parameters { types: types.into_iter().map(|given| given.filter(|given| *given != Type::Unknown)).collect() }
    }
    pub fn types(&self) -> &[Option<Type>] {
        &self.types
    }
    pub(crate) fn get(&self, index: usize) -> Option<&Type> {
        self.types.get(index).and_then(Option::as_ref)
    }
    pub(crate) fn mention(&mut self, index: usize) {
        if self.types.len() <= index {
            self.types.resize(index + 1, None);
        }
    }
    pub(crate) fn decide(&mut self, index: usize, decided: Type) {
        self.mention(index);
        if let Some(slot) = self.types.get_mut(index) {
            slot.get_or_insert(decided);
        }
    }
}
