//! Changes applied to catalogs, and catalogs through their rows.

use crate::*;
use repr::{ColumnType, Schema, Type};

fn table(id: u64, name: &str, depends_on: &[u64]) -> Entry {
    Entry {
        id: user(id),
        schema_name: DEFAULT_SCHEMA.to_string(),
        name: name.to_string(),
        definition: Definition::Table(TableDefinition { schema: Schema::new([("a", ColumnType::new(Type::Int4))]), defaults: Vec::new() }),
        create_sql: format!("CREATE TABLE public.{name} (a integer)"),
        depends_on: depends_on.iter().map(|id| user(*id)).collect(),
        comment: None,
    }
}

fn user(id: u64) -> CollectionId {
    CollectionId(CollectionId::FIRST_USER.0 + id)
}

#[test]
fn a_failed_change_leaves_the_catalog_as_it_was() {
    let catalog = Catalog::default().apply(&[Change::Create(table(0, "t", &[]))]).unwrap();
    let error = catalog.apply(&[Change::Create(table(1, "u", &[])), Change::Create(table(2, "t", &[]))]).unwrap_err();
    assert_eq!((error.sqlstate(), error.to_string()), ("42P07", "relation \"t\" already exists".to_string()));
    assert!(catalog.resolve(DEFAULT_SCHEMA, "u").is_none());
}

#[test]
fn what_others_use_cannot_be_dropped_and_the_error_lists_them() {
    let catalog = Catalog::default().apply(&[Change::Create(table(0, "t", &[])), Change::Create(table(1, "u", &[0])), Change::Create(table(2, "v", &[1]))]).unwrap();
    let error = catalog.apply(&[Change::Drop(user(0))]).unwrap_err();
    assert_eq!(error.sqlstate(), "2BP01");
    assert_eq!(error.detail().unwrap(), "table u depends on table t");
    let order = catalog.drop_order(&[user(0)]);
    assert_eq!(order, [user(2), user(1), user(0)]);
    let changes: Vec<Change> = order.into_iter().map(Change::Drop).collect();
    assert_eq!(catalog.apply(&changes).unwrap().entries().count(), 0);
}

#[test]
fn ids_are_never_used_again_even_after_a_restart() {
    let created = Catalog::default().apply(&[Change::CreateSchema("s".into()), Change::Create(table(0, "t", &[]))]).unwrap();
    let dropped = created.apply(&[Change::Drop(user(0))]).unwrap();
    let mut rows = std::collections::BTreeMap::new();
    for (before, after) in [(&Catalog::default(), &created), (&created, &dropped)] {
        for (row, diff) in before.updates_to(after) {
            *rows.entry(row).or_insert(0) += diff;
        }
    }
    rows.retain(|_, diff| *diff != 0);
    assert!(rows.values().all(|diff| *diff == 1));
    let restarted = Catalog::from_rows(rows.keys()).unwrap();
    assert!(restarted.has_schema("s"));
    assert!(matches!(restarted.apply(&[Change::Create(table(0, "again", &[]))]), Err(CatalogError::IdUsedAgain(_))));
}

#[test]
fn debug_output_never_shows_a_secret() {
    let definition = Definition::Secret(SecretValue("hunter2".to_string()));
    assert!(!format!("{definition:?}").contains("hunter2"));
}
