//! From bound queries to plans: subqueries leave their expressions, outer references become joins.
//!
//! One mechanism takes every correlated relation. A relation is lowered *against an outer relation*: the rows it may refer to. The result is the
//! relation computed for every distinct combination of the outer columns it uses, with those columns carried along. Columns are known by their ids,
//! so carrying means nothing but having one more column:
//!
//! * a node whose expressions need an outer column its input does not carry joins the distinct outer values of that column ([`Lowering::attach`]);
//! * what has groups (Reduce, TopK, Distinct, Window, set operations) adds the carried columns to them;
//! * an aggregate without keys has a row for every outer combination, so the missing ones get the row of the empty input;
//! * a subquery is joined back on the columns it carries, which compare as bytes, NULL equal to NULL: they are the same columns.
//!
//! What does not refer outwards carries nothing and pays nothing.
//!
//! Invariant: the carried combinations of a lowered relation all come from its outer relation (so "outer combinations minus those present" is never negative).

mod join;
mod relation;
mod scalar;
mod subquery;

use crate::error::BindResult;
use crate::hir::{ColumnId, Columns, Query, Relation};
use plan::{Id, LocalId, Plan, Scalar};
use repr::ColumnType;
use std::collections::{BTreeSet, HashMap};

/// A plan and the ids of its columns.
#[derive(Clone, Debug)]
pub(crate) struct Lowered {
    pub plan: Plan,
    pub columns: Vec<ColumnId>,
}

impl Lowered {
    /// One row without columns.
    pub fn unit() -> Lowered {
        Lowered { plan: Plan::constant(vec![(repr::Row::empty(), 1)], Vec::new()), columns: Vec::new() }
    }
    pub fn is_unit(&self) -> bool {
        self.columns.is_empty() && matches!(&self.plan, Plan::Constant { rows: Ok(rows), .. } if rows.len() == 1 && rows.iter().all(|(_, diff)| *diff == 1))
    }
    pub fn position(&self, id: ColumnId) -> Option<usize> {
        self.columns.iter().position(|column| *column == id)
    }
    pub fn has(&self, id: ColumnId) -> bool {
        self.columns.contains(&id)
    }
    /// Keeps these columns, in this order. Ids that are not there are left out: callers attach first.
    pub fn project(self, wanted: &[ColumnId]) -> Lowered {
        if self.columns == wanted {
            return self;
        }
        let outputs: Vec<usize> = wanted.iter().filter_map(|id| self.position(*id)).collect();
        Lowered { plan: self.plan.project(outputs), columns: wanted.to_vec() }
    }
    pub fn types(&self) -> Vec<ColumnType> {
        self.plan.column_types()
    }
}

/// A local binding while its body is lowered.
#[derive(Clone)]
struct Local {
    /// The outer columns its rows carry, before its own.
    carried: Vec<ColumnId>,
    /// The types of all its columns.
    types: Vec<ColumnType>,
}

pub(crate) struct Lowering<'a> {
    columns: &'a mut Columns,
    next_local: u32,
    locals: HashMap<LocalId, Local>,
    depth: usize,
}

/// Lowers a query: its outputs first, then the columns its order names besides.
pub(crate) fn lower_query(query: &Query, columns: &mut Columns, next_local: u32) -> BindResult<(Plan, Vec<ColumnId>)> {
    let mut lowering = Lowering { columns, next_local, locals: HashMap::new(), depth: 0 };
    let lowered = lowering.lower(&query.relation, &Lowered::unit())?;
    let mut wanted = query.outputs.clone();
    for (id, _) in &query.order {
        if !wanted.contains(id) {
            wanted.push(*id);
        }
    }
    let lowered = lowered.project(&wanted);
    Ok((lowered.plan, wanted))
}

/// Lowers expressions over one relation: its plan (with columns added by subqueries at the end) and the scalars over it.
pub(crate) fn lower_expressions(
    relation: &Relation,
    expressions: &[crate::hir::Expression],
    columns: &mut Columns,
    next_local: u32,
) -> BindResult<(Plan, Vec<ColumnId>, Vec<Scalar>)> {
    let mut lowering = Lowering { columns, next_local, locals: HashMap::new(), depth: 0 };
    let outer = Lowered::unit();
    let mut lowered = lowering.lower(relation, &outer)?;
    let scalars = lowering.scalars(expressions, &mut lowered, &outer)?;
    Ok((lowered.plan, lowered.columns, scalars))
}

impl Lowering<'_> {
    fn fresh_local(&mut self) -> LocalId {
        self.next_local += 1;
        LocalId(self.next_local - 1)
    }

    /// The outer columns a relation needs, those of the local bindings it reads included.
    fn free_of(&self, relation: &Relation) -> BTreeSet<ColumnId> {
        let mut free = relation.free_columns();
        relation.visit_relations(&mut |node| {
            if let Relation::Get { id: Id::Local(id), .. } = node
                && let Some(local) = self.locals.get(id)
            {
                free.extend(&local.carried);
            }
        });
        free
    }

    /// Binds a plan to a name, so that it may be read any number of times: the reading, and a wrapper for the plan that reads.
    fn bind(&mut self, lowered: Lowered) -> (Lowered, Binding) {
        let cheap = matches!(&lowered.plan, Plan::Get { .. }) || lowered.is_unit();
        if cheap {
            return (lowered, Binding(None));
        }
        let id = self.fresh_local();
        let types = lowered.types();
        let reading = Lowered { plan: Plan::Get { id: Id::Local(id), types, access: plan::Access::Scan }, columns: lowered.columns };
        (reading, Binding(Some((id, lowered.plan))))
    }

    /// The distinct combinations of some outer columns; the unit relation if there are none.
    fn distinct_of(&self, outer: &Lowered, wanted: &[ColumnId]) -> Lowered {
        if wanted.is_empty() {
            return Lowered::unit();
        }
        let projected = outer.clone().project(wanted);
        Lowered { plan: projected.plan.distinct(), columns: projected.columns }
    }

    /// The outer columns a lowered relation carries.
    fn carried(&self, lowered: &Lowered, outer: &Lowered) -> Vec<ColumnId> {
        lowered.columns.iter().copied().filter(|id| outer.has(*id)).collect()
    }

    /// Adds outer columns at the end. Rows multiply by the outer combinations that agree with what is carried already.
    fn attach(&mut self, lowered: Lowered, outer: &Lowered, wanted: impl IntoIterator<Item = ColumnId>) -> Lowered {
        let mut missing: Vec<ColumnId> = Vec::new();
        for id in wanted {
            if !lowered.has(id) && outer.has(id) && !missing.contains(&id) {
                missing.push(id);
            }
        }
        if missing.is_empty() {
            return lowered;
        }
        let mut keys = self.carried(&lowered, outer);
        keys.extend(&missing);
        let domain = self.distinct_of(outer, &keys);
        self.join_shared(lowered, domain)
    }
}

/// A binding that still has to be put around the plan that reads it.
pub(crate) struct Binding(Option<(LocalId, Plan)>);

impl Binding {
    fn around(self, lowered: Lowered) -> Lowered {
        match self.0 {
            None => lowered,
            Some((id, value)) => Lowered { plan: Plan::Let { id, value: Box::new(value), body: Box::new(lowered.plan) }, columns: lowered.columns },
        }
    }
}
