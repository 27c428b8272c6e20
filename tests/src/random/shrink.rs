//! Smaller queries of the same kind, for a query that fails.

use super::node::{Node, Sort};
use super::schema::Ty;

/// Queries that are a little smaller, the much smaller ones first. Some may be no queries at all: a part was moved to where its columns are not known.
pub fn smaller(query: &Node) -> Vec<Node> {
    let mut found: Vec<Node> = Vec::new();
    for number in 0..query.size() {
        let Some(node) = query.at(number) else { continue };
        for replacement in replacements(node) {
            if replacement.size() < node.size() || is_simpler(&replacement, node) {
                found.push(query.with(number, &replacement));
            }
        }
    }
    found.sort_by_key(|candidate| (candidate.size(), candidate.sql().len()));
    found
}

fn is_simpler(replacement: &Node, node: &Node) -> bool {
    replacement.size() == node.size() && replacement.sql().len() < node.sql().len()
}

fn replacements(node: &Node) -> Vec<Node> {
    let mut found = Vec::new();
    if node.sort == Sort::Clause {
        found.push(Node::text(Sort::Clause, "nothing", ""));
    }
    if let Sort::Expression(ty) = &node.sort {
        found.push(Node::text(node.sort.clone(), "NULL", format!("NULL::{}", ty.sql())));
        found.push(Node::text(node.sort.clone(), "literal", ty.simplest()));
    }
    if let Sort::Query(types) = &node.sort {
        let row: Vec<String> = types.iter().map(Ty::simplest).collect();
        found.push(Node::text(node.sort.clone(), "row", format!("SELECT {}", row.join(", "))));
    }
    // What is inside may stand for the whole.
    node.visit(None, &mut |inner, above| {
        if above.is_some() && inner.sort == node.sort {
            found.push(inner.clone());
        }
    });
    found
}
