//! Queries as trees of text.

use super::Ty;

/// What a node stands for: one may be replaced by another of its sort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sort {
    Expression(Ty),
    /// A query, by its columns' types.
    Query(Vec<Ty>),
    /// An item of FROM.
    From,
    /// What may be left out.
    Clause,
}

/// A piece of a query.
#[derive(Clone, Debug)]
pub enum Part {
    Text(String),
    Node(Node),
}

/// A part of a query that stands for something.
#[derive(Clone, Debug)]
pub struct Node {
    pub sort: Sort,
    /// For the coverage: the operator or function it is.
    pub name: &'static str,
    pub parts: Vec<Part>,
}

impl Node {
    /// A leaf.
    pub fn text(sort: Sort, name: &'static str, text: impl Into<String>) -> Node {
        Node { sort, name, parts: vec![Part::Text(text.into())] }
    }

    /// From a pattern in which `{0}`, `{1}`, ... stand for children; one may stand in several places.
    pub fn filled(sort: Sort, name: &'static str, pattern: &str, children: &[Node]) -> Node {
        let mut parts = Vec::new();
        let mut rest = pattern;
        while let Some((before, after)) = rest.split_once('{') {
            let (number, after) = after.split_once('}').expect("a pattern closes its braces");
            let child: usize = number.parse().expect("a pattern has numbers in its braces");
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Node(children[child].clone()));
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Node { sort, name, parts }
    }

    /// The query as text.
    pub fn sql(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) {
        for part in &self.parts {
            match part {
                Part::Text(piece) => text.push_str(piece),
                Part::Node(node) => node.write(text),
            }
        }
    }

    /// Its children.
    pub fn children(&self) -> impl Iterator<Item = &Node> {
        self.parts.iter().filter_map(|part| match part {
            Part::Node(node) => Some(node),
            Part::Text(_) => None,
        })
    }

    /// How many nodes it has.
    pub fn size(&self) -> usize {
        1 + self.children().map(Node::size).sum::<usize>()
    }

    /// Calls with every node and the node above it.
    pub fn visit<'a>(&'a self, above: Option<&'a Node>, each: &mut dyn FnMut(&'a Node, Option<&'a Node>)) {
        each(self, above);
        for child in self.children() {
            child.visit(Some(self), each);
        }
    }

    /// The node at a number, counted from the root in the order of [`Node::visit`].
    pub fn at(&self, number: usize) -> Option<&Node> {
        let mut found = None;
        let mut next = 0;
        self.visit(None, &mut |node, _| {
            if next == number {
                found = Some(node);
            }
            next += 1;
        });
        found
    }

    /// The same tree with the node at a number replaced.
    pub fn with(&self, number: usize, replacement: &Node) -> Node {
        let mut next = 0;
        self.replaced(&mut next, number, replacement)
    }

    fn replaced(&self, next: &mut usize, number: usize, replacement: &Node) -> Node {
        let own = *next;
        *next += 1;
        if own == number {
            *next += self.size() - 1;
            return replacement.clone();
        }
        let parts = self.parts.iter().map(|part| match part {
            Part::Text(text) => Part::Text(text.clone()),
            Part::Node(node) => Part::Node(node.replaced(next, number, replacement)),
        });
        Node { sort: self.sort.clone(), name: self.name, parts: parts.collect() }
    }
}
