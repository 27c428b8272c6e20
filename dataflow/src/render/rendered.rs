//! What is rendered differently inside and outside of recursions.

use super::bundle::Bundle;
use super::join::Classes;
use super::operators::{Rows, Updates};
use super::render::Renderer;
use super::stage::Linear;
use super::top_k::Wanted;
use super::{Inner, Time};
use plan::aggregate::{Aggregate, AggregateKind};
use plan::{ColumnOrder, Plan, RecursiveBinding};
use repr::Row;

/// Implemented by the two times.
pub trait Rendered: Sized {
    fn render_recursion<'scope>(renderer: &mut Renderer<'scope, '_, Self>, bindings: &[RecursiveBinding], limit: Option<u64>, body: &Plan) -> Bundle<'scope, Self>
    where
        Self: Time;
    fn render_delta_join<'scope>(
        renderer: &mut Renderer<'scope, '_, Self>,
        inputs: Vec<Bundle<'scope, Self>>,
        classes: &Classes,
        orders: &[Vec<usize>],
        following: Linear,
    ) -> Bundle<'scope, Self>
    where
        Self: Time;
    /// The wanted rows of each group; a pair's value is the row.
    fn top_k<'scope>(
        renderer: &Renderer<'scope, '_, Self>,
        pairs: Updates<'scope, Self, (Row, Row)>,
        order: Vec<ColumnOrder>,
        wanted: Wanted,
    ) -> Rows<'scope, Self>
    where
        Self: Time;
    /// The extremum of each group; a pair's value holds the aggregate's inputs.
    fn extremum<'scope>(
        renderer: &Renderer<'scope, '_, Self>,
        pairs: Updates<'scope, Self, (Row, Row)>,
        aggregate: &Aggregate,
        kind: AggregateKind,
    ) -> Updates<'scope, Self, (Row, Row)>
    where
        Self: Time;
}

impl Rendered for u64 {
    fn render_recursion<'scope>(renderer: &mut Renderer<'scope, '_, u64>, bindings: &[RecursiveBinding], limit: Option<u64>, body: &Plan) -> Bundle<'scope, u64> {
        super::recursion::render_outermost(renderer, bindings, limit, body)
    }
    fn render_delta_join<'scope>(
        renderer: &mut Renderer<'scope, '_, u64>,
        inputs: Vec<Bundle<'scope, u64>>,
        classes: &Classes,
        orders: &[Vec<usize>],
        following: Linear,
    ) -> Bundle<'scope, u64> {
        super::delta_join::render(renderer, inputs, classes, orders, following)
    }
    fn top_k<'scope>(
        _renderer: &Renderer<'scope, '_, u64>,
        pairs: Updates<'scope, u64, (Row, Row)>,
        order: Vec<ColumnOrder>,
        wanted: Wanted,
    ) -> Rows<'scope, u64> {
        super::ordered::top_k(pairs, order, wanted)
    }
    fn extremum<'scope>(
        _renderer: &Renderer<'scope, '_, u64>,
        pairs: Updates<'scope, u64, (Row, Row)>,
        aggregate: &Aggregate,
        kind: AggregateKind,
    ) -> Updates<'scope, u64, (Row, Row)> {
        super::ordered::extremum(pairs, aggregate, kind)
    }
}

impl Rendered for Inner {
    fn render_recursion<'scope>(renderer: &mut Renderer<'scope, '_, Inner>, bindings: &[RecursiveBinding], limit: Option<u64>, body: &Plan) -> Bundle<'scope, Inner> {
        super::recursion::render_nested(renderer, bindings, limit, body)
    }
    /// Half-joins need a total order of times that agrees with how they are released; iterations have linear joins.
    fn render_delta_join<'scope>(
        renderer: &mut Renderer<'scope, '_, Inner>,
        inputs: Vec<Bundle<'scope, Inner>>,
        classes: &Classes,
        _orders: &[Vec<usize>],
        following: Linear,
    ) -> Bundle<'scope, Inner> {
        let order: Vec<usize> = (0..inputs.len()).collect();
        renderer.join_linear(inputs, classes, &order, following)
    }
    fn top_k<'scope>(
        _renderer: &Renderer<'scope, '_, Inner>,
        pairs: Updates<'scope, Inner, (Row, Row)>,
        order: Vec<ColumnOrder>,
        wanted: Wanted,
    ) -> Rows<'scope, Inner> {
        super::top_k::sort_groups(pairs, order, wanted)
    }
    fn extremum<'scope>(
        _renderer: &Renderer<'scope, '_, Inner>,
        pairs: Updates<'scope, Inner, (Row, Row)>,
        aggregate: &Aggregate,
        _kind: AggregateKind,
    ) -> Updates<'scope, Inner, (Row, Row)> {
        super::reduce::recompute(pairs, vec![aggregate.clone()]).0
    }
}
