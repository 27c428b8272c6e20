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
    let restarted = restarted(&[Catalog::default(), created, dropped]);
    assert!(restarted.has_schema("s"));
    assert!(matches!(restarted.apply(&[Change::Create(table(0, "again", &[]))]), Err(CatalogError::IdUsedAgain(_))));
}

#[test]
fn debug_output_never_shows_a_secret() {
    let definition = Definition::Secret(SecretValue("hunter2".to_string()));
    assert!(!format!("{definition:?}").contains("hunter2"));
}

/// A catalog as it is after a restart: from the sum of the updates that led to it.
fn restarted(versions: &[Catalog]) -> Catalog {
    let mut rows = std::collections::BTreeMap::new();
    for pair in versions.windows(2) {
        for (row, diff) in pair[0].updates_to(&pair[1]) {
            *rows.entry(row).or_insert(0) += diff;
        }
    }
    rows.retain(|_, diff| *diff != 0);
    assert!(rows.values().all(|diff| *diff == 1), "{rows:?}");
    Catalog::from_rows(rows.keys()).unwrap()
}

#[test]
fn a_rename_takes_the_new_name_and_frees_the_old_one() {
    let catalog = Catalog::default().apply(&[Change::Create(table(0, "t", &[])), Change::Create(table(1, "u", &[0]))]).unwrap();
    let renamed = Entry { name: "v".to_string(), ..table(0, "t", &[]) };
    let after = catalog.apply(&[Change::Alter(renamed)]).unwrap();
    assert!(after.resolve(DEFAULT_SCHEMA, "t").is_none());
    assert_eq!(after.resolve(DEFAULT_SCHEMA, "v").map(|entry| entry.id), Some(user(0)));
    // Who depends on it still does, and the error speaks of it by its new name.
    let error = after.apply(&[Change::Drop(user(0))]).unwrap_err();
    assert_eq!((error.to_string().as_str(), error.detail().as_deref()), ("cannot drop table v because other objects depend on it", Some("table u depends on table v")));
    // The name is free for another, also within one change.
    assert!(after.apply(&[Change::Create(table(2, "t", &[]))]).is_ok());
    let swap = [("w", 0), ("t", 1), ("u", 0)].map(|(name, id)| Change::Alter(Entry { name: name.to_string(), depends_on: (id == 1).then(|| user(0)).into_iter().collect(), ..table(id, name, &[]) }));
    let swapped = catalog.apply(&swap).unwrap();
    assert_eq!(["t", "u"].map(|name| swapped.resolve(DEFAULT_SCHEMA, name).map(|entry| entry.id)), [Some(user(1)), Some(user(0))]);
    // A name that is taken is refused, and nothing has changed.
    let error = catalog.apply(&[Change::Alter(Entry { name: "u".to_string(), ..table(0, "t", &[]) })]).unwrap_err();
    assert_eq!((error.sqlstate(), error.to_string().as_str()), ("42P07", "relation \"u\" already exists"));
    assert_eq!(catalog.resolve(DEFAULT_SCHEMA, "t").map(|entry| entry.id), Some(user(0)));
    assert_eq!(catalog.apply(&[Change::Alter(table(7, "x", &[]))]).unwrap_err().sqlstate(), "42704");
}

#[test]
fn a_cascade_drops_a_diamond_from_the_top_and_each_once() {
    // 3 over 1 and 2, both over 0; 4 over 3 and 0; 5 over nothing.
    let shape: [&[u64]; 6] = [&[], &[0], &[0], &[1, 2], &[0, 3], &[]];
    let creates: Vec<Change> = shape.iter().enumerate().map(|(id, below)| Change::Create(table(id as u64, &format!("t{id}"), below))).collect();
    let catalog = Catalog::default().apply(&creates).unwrap();
    let order = catalog.drop_order(&[user(0), user(3), user(0)]);
    let mut sorted = order.clone();
    sorted.sort();
    assert_eq!(sorted, (0..5).map(user).collect::<Vec<_>>());
    let drops: Vec<Change> = order.into_iter().map(Change::Drop).collect();
    let rest = catalog.apply(&drops).unwrap();
    assert_eq!(rest.entries().map(|entry| entry.id).collect::<Vec<_>>(), [user(5)]);
    assert_eq!(catalog.drop_order(&[user(3)]), [user(4), user(3)]);
    let error = catalog.apply(&[Change::Drop(user(0))]).unwrap_err();
    let detail = ["table t1 depends on table t0", "table t2 depends on table t0", "table t4 depends on table t0"].join("\n");
    assert_eq!(error.detail(), Some(detail));
    assert_eq!(error.hint(), Some("Use DROP ... CASCADE to drop the dependent objects too."));
}

#[test]
fn schemas_hold_names_apart_and_go_when_they_are_empty() {
    let inside = |id: u64| Entry { schema_name: "s".to_string(), ..table(id, "t", &[]) };
    let refused = |catalog: &Catalog, change: Change| {
        let error = catalog.apply(&[change]).unwrap_err();
        (error.sqlstate(), error.to_string())
    };
    let catalog = Catalog::default().apply(&[Change::CreateSchema("s".into()), Change::Create(table(0, "t", &[])), Change::Create(inside(1))]).unwrap();
    assert_eq!(catalog.resolve("s", "t").map(|entry| entry.id), Some(user(1)));
    assert_eq!(refused(&catalog, Change::DropSchema("s".into())), ("2BP01", "cannot drop schema s because other objects depend on it".to_string()));
    assert_eq!(refused(&catalog, Change::CreateSchema("s".into())), ("42P06", "schema \"s\" already exists".to_string()));
    assert_eq!(refused(&catalog, Change::CreateSchema("pg_catalog".into())).0, "42P06");
    assert_eq!(refused(&catalog, Change::DropSchema("other".into())), ("3F000", "schema \"other\" does not exist".to_string()));
    assert_eq!(refused(&catalog, Change::Create(Entry { schema_name: "other".to_string(), ..table(2, "t", &[]) })).0, "3F000");
    let emptied = catalog.apply(&[Change::Drop(user(1)), Change::DropSchema("s".into())]).unwrap();
    assert!(!restarted(&[Catalog::default(), catalog, emptied]).has_schema("s"));
}

#[test]
fn hidden_collections_take_ids_too() {
    let definition = Definition::Index(IndexDefinition { on: user(0), relation: user(2), keys_sql: vec!["a".to_string()], unique: false });
    let index = Entry { definition, ..table(1, "i", &[0]) };
    let catalog = Catalog::default().apply(&[Change::Create(table(0, "t", &[])), Change::Create(index)]).unwrap();
    assert_eq!(catalog.next_id(), user(3));
    assert!(matches!(catalog.apply(&[Change::Create(table(2, "u", &[]))]), Err(CatalogError::IdUsedAgain(_))));
    let restarted = restarted(&[Catalog::default(), catalog]);
    assert_eq!(restarted.next_id(), user(3));
    assert_eq!(restarted.indexes_on(user(0)).map(|(entry, _)| entry.id).collect::<Vec<_>>(), [user(1)]);
}

/// CREATE OR REPLACE VIEW keeps the view's id, so what it depends on may be younger than it.
#[test]
fn an_object_over_a_younger_one_is_there_after_a_restart() {
    let created = Catalog::default().apply(&[Change::Create(table(0, "v", &[])), Change::Create(table(1, "t", &[]))]).unwrap();
    let replaced = created.apply(&[Change::Alter(table(0, "v", &[1]))]).unwrap();
    let restarted = restarted(&[Catalog::default(), created.clone(), replaced]);
    assert_eq!(restarted.drop_order(&[user(1)]), [user(0), user(1)]);
    assert!(matches!(created.apply(&[Change::Alter(table(0, "v", &[9]))]), Err(CatalogError::MissingDependency { .. })));
}

#[test]
fn what_cannot_be_read_is_an_error_that_shows_it() {
    use repr::{Datum, Row};
    let orphan = table(1, "u", &[0]).to_row();
    let twice = [table(0, "t", &[]).to_row(), table(0, "u", &[]).to_row()];
    for (rows, shown) in [
        (vec![Row::pack([Datum::Int2(9)])], "unknown record"),
        (vec![Row::pack([Datum::Int2(1), Datum::Int8(1), Datum::Text("{")])], "EOF"),
        (vec![orphan], "\"u\" depends on"),
        (twice.to_vec(), "was used before"),
    ] {
        let error = Catalog::from_rows(&rows).unwrap_err();
        assert_eq!(error.code().as_str(), "XX001");
        assert!(error.message().contains("the catalog cannot be read") && error.message().contains(shown), "{error:?}");
    }
}

/// Random changes, most of which are refused: what is not stays as it was, and a restart at any time finds the same.
#[test]
fn any_history_is_the_same_after_a_restart() {
    let seed = std::env::var("CATALOG_SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("CATALOG_SEED={seed}");
    let mut state: u64 = seed;
    let mut below = |limit: u64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % limit
    };
    let mut versions = vec![Catalog::default()];
    let (mut applied, mut refused) = (0, 0);
    for _ in 0..2_000 {
        let catalog = versions.last().unwrap();
        let ids: Vec<u64> = catalog.entries().map(|entry| entry.id.0 - CollectionId::FIRST_USER.0).collect();
        let any = |n: u64| ids.get(n as usize % ids.len().max(1)).copied().unwrap_or(n);
        let next = catalog.next_id().0 - CollectionId::FIRST_USER.0;
        let name = format!("t{}", below(12));
        let depends: Vec<u64> = (0..below(3)).map(|_| any(below(20))).collect();
        let changes: Vec<Change> = match below(6) {
            0 | 1 => vec![Change::Create(table(next, &name, &depends))],
            2 => vec![Change::Drop(user(any(below(20))))],
            3 => catalog.drop_order(&[user(any(below(20)))]).into_iter().map(Change::Drop).collect(),
            4 => {
                // Never over what is over it.
                let id = any(below(20));
                let over = catalog.drop_order(&[user(id)]);
                let depends: Vec<u64> = depends.into_iter().filter(|below| !over.contains(&user(*below))).collect();
                vec![Change::Alter(table(id, &name, &depends))]
            }
            _ => vec![Change::Create(table(next, &name, &[])), Change::Create(table(next + 1, &format!("t{}", below(12)), &[next]))],
        };
        match catalog.apply(&changes) {
            Err(_) => refused += 1,
            Ok(next) => {
                applied += 1;
                versions.push(next);
            }
        }
    }
    assert!(applied > 300 && refused > 300, "{applied} applied, {refused} refused");
    for at in (1..versions.len()).step_by(50).chain([versions.len() - 1]) {
        let (expected, found) = (&versions[at], restarted(&versions[..=at]));
        assert!(expected.entries().eq(found.entries()), "version {at}");
        assert_eq!(expected.next_id(), found.next_id());
        for entry in expected.entries() {
            assert_eq!(found.resolve(DEFAULT_SCHEMA, &entry.name).map(|found| found.id), Some(entry.id));
            assert!(expected.dependents(entry.id).eq(found.dependents(entry.id)));
        }
    }
}
