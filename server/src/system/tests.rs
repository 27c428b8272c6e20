//! Every built-in relation fills without naming a column it does not have.

use super::*;

#[test]
fn every_relation_fills_with_rows_of_its_width() {
    let catalog = Catalog::default();
    let world = World { catalog: &catalog, published: None, sources: &[], sessions: &[], settings: &[("a".to_string(), "b".to_string())], search_path: &["public".to_string()] };
    let mut filled = 0;
    for relation in relations() {
        let rows = rows(relation.id, &world);
        assert!(rows.iter().all(|row| row.iter().count() == relation.schema.arity()), "{}", relation.name);
        filled += usize::from(!rows.is_empty());
    }
    assert!(filled >= 15, "only {filled} relations have rows in an empty catalog");
}

#[test]
fn identifiers_are_quoted_when_they_must_be() {
    for (name, expected) in [("orders", "orders"), ("Orders", "\"Orders\""), ("a b", "\"a b\""), ("a\"b", "\"a\"\"b\""), ("1a", "\"1a\""), ("", "\"\"")] {
        assert_eq!(quoted(name), expected);
    }
}
