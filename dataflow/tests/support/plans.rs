//! Random plans: every node, every strategy, over types that make keys canonical and expressions fail.

use super::{Random, once_in, pick};
use plan::aggregate::AggregateEntry;
use plan::{
    Aggregate, AggregateFunction, ColumnOrder, FrameBound, FrameExclusion, FrameUnits, JoinImplementation, LocalId, Plan, RecursiveBinding, Scalar,
    TableFunction, WindowExpression, WindowFrame, WindowFunction,
};
use rand::Rng;
use repr::{CollectionId, ColumnType, Datum, EvalError, SortDirection, SqlState, Type};
use std::collections::BTreeMap;

/// Makes plans over some collections.
pub struct Generator<'r> {
    pub random: &'r mut Random,
    pub collections: Vec<(CollectionId, Vec<ColumnType>)>,
    locals: Vec<(LocalId, Vec<ColumnType>)>,
    next_local: u32,
    /// How often each kind of node was made.
    pub nodes: &'r mut BTreeMap<String, usize>,
    in_recursion: usize,
}

fn int4() -> ColumnType {
    ColumnType::new(Type::Int4)
}

/// An entry of the aggregate table for an argument type.
fn aggregate_entry(name: &str, argument: Option<&Type>) -> Option<&'static AggregateEntry> {
    let accepts = |entry: &&&'static AggregateEntry| match (&entry.arguments[..], argument) {
        ([], None) => true,
        ([Type::Any | Type::AnyElement | Type::AnyNonArray], Some(_)) => true,
        ([wanted], Some(argument)) => wanted == argument,
        _ => false,
    };
    plan::aggregate::lookup(name).iter().find(accepts).copied()
}

impl<'r> Generator<'r> {
    pub fn new(random: &'r mut Random, collections: Vec<(CollectionId, Vec<ColumnType>)>, nodes: &'r mut BTreeMap<String, usize>) -> Generator<'r> {
        Generator { random, collections, locals: Vec::new(), next_local: 0, nodes, in_recursion: 0 }
    }
    fn count(&mut self, node: &str) {
        *self.nodes.entry(node.to_string()).or_default() += 1;
    }
    fn below(&mut self, end: usize) -> usize {
        self.random.random_range(0..end)
    }

    pub fn plan(&mut self, depth: usize) -> Plan {
        if depth == 0 {
            return self.leaf();
        }
        match self.below(22) {
            0 => self.leaf(),
            1 | 2 => self.map(depth),
            3 => self.filter(depth),
            4 => self.project(depth),
            5 => self.flat_map(depth),
            6..=9 => self.join(depth),
            10..=13 => self.reduce(depth),
            14 => self.distinct(depth),
            15 => self.top_k(depth),
            16 => self.window(depth),
            17 => self.except(depth),
            18 => self.union(depth),
            19 => self.threshold(depth),
            20 => self.binding(depth),
            _ => self.recursion(depth),
        }
    }

    fn leaf(&mut self) -> Plan {
        if !self.locals.is_empty() && self.below(2) == 0 {
            self.count("get local");
            let (id, types) = pick(self.random, &self.locals).clone();
            return Plan::local(id, types);
        }
        if self.below(12) == 0 {
            let types = vec![int4(), int4()];
            if once_in(self.random, 6) {
                self.count("constant error");
                let error = EvalError::new(SqlState::DATA_EXCEPTION, "a constant error");
                return Plan::Constant { rows: Err(error), types };
            }
            self.count("constant");
            let rows = (0..self.below(4)).map(|_| (super::tables::row(self.random, &types), 1)).collect();
            return Plan::constant(rows, types);
        }
        self.count("get");
        let (id, types) = pick(self.random, &self.collections).clone();
        Plan::get(id, types)
    }

    // Scalars.

    fn columns_of(&self, types: &[ColumnType], wanted: &Type) -> Vec<usize> {
        (0..types.len()).filter(|&column| types[column].scalar == *wanted).collect()
    }
    fn literal_int(&mut self) -> Scalar {
        let value = if once_in(self.random, 12) { i32::MAX } else { self.random.random_range(0..4) };
        Scalar::literal(Datum::Int4(value), int4().not_null())
    }
    pub fn int(&mut self, types: &[ColumnType], depth: usize) -> Scalar {
        let columns = self.columns_of(types, &Type::Int4);
        if depth == 0 || self.below(3) == 0 {
            if columns.is_empty() || self.below(4) == 0 {
                return self.literal_int();
            }
            return Scalar::Column(*pick(self.random, &columns));
        }
        match self.below(5) {
            0 | 1 => {
                // Division by zero and overflow come and go with the data.
                let name = *pick(self.random, &["+", "-", "*", "/", "%"]);
                let arguments = vec![self.int(types, depth - 1), self.int(types, depth - 1)];
                Scalar::call(name, arguments, types)
            }
            2 => Scalar::If {
                condition: Box::new(self.boolean(types, depth - 1)),
                then: Box::new(self.int(types, depth - 1)),
                otherwise: Box::new(self.int(types, depth - 1)),
            },
            3 => Scalar::Coalesce(vec![self.int(types, depth - 1), self.int(types, depth - 1)]),
            _ => self.int(types, 0),
        }
    }
    pub fn boolean(&mut self, types: &[ColumnType], depth: usize) -> Scalar {
        let columns = self.columns_of(types, &Type::Bool);
        if !columns.is_empty() && self.below(4) == 0 {
            return Scalar::Column(*pick(self.random, &columns));
        }
        match self.below(if depth == 0 { 3 } else { 6 }) {
            0 | 1 => {
                let name = *pick(self.random, &["=", "<", ">=", "<>"]);
                let arguments = vec![self.int(types, depth.saturating_sub(1)), self.int(types, depth.saturating_sub(1))];
                Scalar::call(name, arguments, types)
            }
            2 if !types.is_empty() => Scalar::Column(self.below(types.len())).is_null(),
            3 => Scalar::And(vec![self.boolean(types, depth - 1), self.boolean(types, depth - 1)]),
            4 => Scalar::Or(vec![self.boolean(types, depth - 1), self.boolean(types, depth - 1)]),
            _ => Scalar::bool(true),
        }
    }
    fn scalar(&mut self, types: &[ColumnType]) -> Scalar {
        match self.below(6) {
            0 => self.boolean(types, 1),
            1 if !types.is_empty() => Scalar::Column(self.below(types.len())),
            2 => {
                let columns = self.columns_of(types, &Type::Text);
                match columns.first() {
                    Some(column) => Scalar::call("||", vec![Scalar::Column(*column), Scalar::Column(*column)], types),
                    None => self.int(types, 1),
                }
            }
            _ => self.int(types, 2),
        }
    }
    /// A key: a column, mostly, and canonical where its type needs it.
    fn key(&mut self, types: &[ColumnType]) -> Scalar {
        if types.is_empty() || self.below(6) == 0 {
            return self.int(types, 1);
        }
        let column = Scalar::Column(self.below(types.len()));
        if column.column_type(types).scalar.needs_canonical_key() { Scalar::call("canonical", vec![column], types) } else { column }
    }

    // Relations.

    fn map(&mut self, depth: usize) -> Plan {
        self.count("map");
        let input = self.plan(depth - 1);
        let mut types = input.column_types();
        let mut scalars = Vec::new();
        for _ in 0..1 + self.below(2) {
            let scalar = self.scalar(&types);
            types.push(scalar.column_type(&types));
            scalars.push(scalar);
        }
        input.map(scalars)
    }
    fn filter(&mut self, depth: usize) -> Plan {
        self.count("filter");
        let input = self.plan(depth - 1);
        let types = input.column_types();
        let predicates = (0..1 + self.below(2)).map(|_| self.boolean(&types, 2)).collect();
        input.filter(predicates)
    }
    fn project(&mut self, depth: usize) -> Plan {
        self.count("project");
        let input = self.plan(depth - 1);
        let arity = input.arity();
        let outputs = if arity == 0 { Vec::new() } else { (0..1 + self.below(3)).map(|_| self.below(arity)).collect() };
        input.project(outputs)
    }
    /// A small number, whatever the columns hold.
    fn small(&mut self, types: &[ColumnType]) -> Scalar {
        let value = self.int(types, 0);
        let least = Scalar::call("<", vec![value.clone(), Scalar::literal(Datum::Int4(0), int4().not_null())], types);
        let most = Scalar::call(">", vec![value.clone(), Scalar::literal(Datum::Int4(4), int4().not_null())], types);
        Scalar::If {
            condition: Box::new(Scalar::Or(vec![least, most])),
            then: Box::new(Scalar::literal(Datum::Int4(3), int4().not_null())),
            otherwise: Box::new(value),
        }
    }
    fn flat_map(&mut self, depth: usize) -> Plan {
        let input = self.plan(depth - 1);
        let types = input.column_types();
        let to_int8 = |scalar| Scalar::Cast { input: Box::new(scalar), kind: plan::CastKind::Implicit, column_type: ColumnType::new(Type::Int8) };
        match self.below(4) {
            0 => {
                self.count("repeat");
                let argument = to_int8(self.small(&types));
                input.flat_map(TableFunction::Repeat, vec![argument])
            }
            1 => {
                self.count("assert one row");
                // At least an argument of 1, so that it is not always an error.
                let small = self.small(&types);
                let one = Scalar::literal(Datum::Int8(1), ColumnType::new(Type::Int8).not_null());
                let condition = Box::new(self.boolean(&types, 0));
                let argument = Scalar::If { condition, then: Box::new(to_int8(small)), otherwise: Box::new(one) };
                input.flat_map(TableFunction::AssertOneRow, vec![argument])
            }
            2 => {
                self.count("with ordinality");
                let arguments = vec![Scalar::literal(Datum::Int4(1), int4().not_null()), self.small(&types)];
                input.flat_map(TableFunction::WithOrdinality(Box::new(TableFunction::GenerateSeries(Type::Int4))), arguments)
            }
            _ => {
                self.count("generate_series");
                let arguments = vec![self.small(&types), self.small(&types)];
                input.flat_map(TableFunction::GenerateSeries(Type::Int4), arguments)
            }
        }
    }
    fn join(&mut self, depth: usize) -> Plan {
        let count = *pick(self.random, &[1, 2, 2, 2, 3, 3, 4]);
        let inputs: Vec<Plan> = (0..count).map(|position| if position < 2 { self.plan(depth - 1) } else { self.leaf() }).collect();
        let types: Vec<Vec<ColumnType>> = inputs.iter().map(Plan::column_types).collect();
        let mut starts = vec![0];
        types.iter().for_each(|types| starts.push(starts[starts.len() - 1] + types.len()));
        let mut classes = Vec::new();
        for _ in 0..count.max(2) - 1 + usize::from(once_in(self.random, 4)) {
            let by_canonical = self.below(8) == 0;
            let mut class = Vec::new();
            for (input, types) in types.iter().enumerate() {
                if self.below(5) == 0 && class.len() >= 2 {
                    continue;
                }
                let wanted = if by_canonical { Type::Numeric } else { Type::Int4 };
                let columns = self.columns_of(types, &wanted);
                let mut scalar = match columns.is_empty() {
                    true => continue,
                    false if self.below(8) == 0 && !by_canonical => self.int(types, 2),
                    false => Scalar::Column(*pick(self.random, &columns)),
                };
                let mut has_columns = false;
                scalar.for_each_column(&mut |_| has_columns = true);
                if !has_columns {
                    continue;
                }
                if by_canonical {
                    scalar = Scalar::call("canonical", vec![scalar], types);
                }
                scalar.remap_columns(&mut |column| column + starts[input]);
                class.push(scalar);
            }
            if self.below(10) == 0 && !by_canonical {
                class.push(self.literal_int());
            }
            if class.len() > 1 {
                classes.push(class);
            }
        }
        let mut order: Vec<usize> = (0..count).collect();
        for at in (1..count).rev() {
            order.swap(at, self.random.random_range(0..=at));
        }
        let implementation = match self.below(4) {
            0 => JoinImplementation::Undecided,
            1 => JoinImplementation::Linear { order },
            _ => JoinImplementation::Delta {
                orders: (0..count).map(|input| order.iter().copied().filter(|other| *other != input).collect()).collect(),
            },
        };
        let name = match &implementation {
            JoinImplementation::Delta { .. } if self.in_recursion == 0 && count > 1 => "delta join",
            _ => "linear join",
        };
        self.count(&format!("{name} of {}", if count > 3 { "4".to_string() } else { count.to_string() }));
        let join = Plan::Join { inputs, equivalences: classes, implementation };
        // A join of everything with everything grows fast; what follows mostly looks at a part.
        if self.below(2) == 0 {
            let arity = join.arity();
            let outputs = (0..arity.min(1 + self.below(4))).map(|_| self.below(arity)).collect();
            return join.project(outputs);
        }
        join
    }
    /// An aggregate of several arguments, of arguments made JSON, or WITHIN GROUP.
    fn built_aggregate(&mut self, types: &[ColumnType]) -> Aggregate {
        let names = [
            "stddev", "var_pop", "corr", "regr_count", "regr_intercept", "covar_samp", "bit_and", "bit_or", "bit_xor", "json_agg", "jsonb_agg",
            "jsonb_object_agg", "json_object_agg", "percentile_disc", "percentile_cont", "mode", "array_agg",
        ];
        let name = *pick(self.random, &names);
        let value = if !types.is_empty() && self.below(2) == 0 { Scalar::Column(self.below(types.len())) } else { self.int(types, 1) };
        let int = self.int(types, 1);
        let cast = |input: Scalar, target: Type| Scalar::Cast { input: Box::new(input), kind: plan::CastKind::Explicit, column_type: ColumnType::new(target) };
        let fraction = Scalar::literal(Datum::Float8(*pick(self.random, &[0.0, 0.3, 0.5, 1.0])), ColumnType::new(Type::Float8).not_null());
        let (floats, json) = ([Type::Float8, Type::Float8], if name.starts_with("jsonb") { "to_jsonb" } else { "to_json" });
        let (arguments, accepted): (Vec<Scalar>, Vec<Type>) = match name {
            "corr" | "regr_count" | "regr_intercept" | "covar_samp" => {
                let other = self.int(types, 1);
                (vec![cast(int, Type::Float8), cast(other, Type::Float8)], floats.to_vec())
            }
            "stddev" | "var_pop" => match types.iter().position(|column| matches!(column.scalar, Type::Numeric | Type::Float8)) {
                Some(column) => (vec![Scalar::Column(column)], vec![types[column].scalar.clone()]),
                None => (vec![int], vec![Type::Int4]),
            },
            "bit_and" | "bit_or" | "bit_xor" => (vec![int], vec![Type::Int4]),
            "json_agg" | "jsonb_agg" => (vec![Scalar::call(json, vec![value], types)], vec![Type::Any]),
            "json_object_agg" | "jsonb_object_agg" => (vec![cast(int, Type::Text), Scalar::call(json, vec![value], types)], vec![Type::Any, Type::Any]),
            "percentile_disc" => (vec![fraction, value], vec![Type::Float8, Type::AnyElement]),
            "percentile_cont" => (vec![fraction, cast(int, Type::Float8)], floats.to_vec()),
            "mode" => (vec![value], vec![Type::AnyElement]),
            _ => (vec![Scalar::call("array_build", vec![int.clone(), int], types)], vec![Type::AnyArray]),
        };
        let entry = plan::aggregate::lookup(name).iter().find(|entry| entry.arguments == accepted).copied().expect("an aggregate");
        let order = match arguments.last() {
            Some(last) if entry.kind.is_ordered_set() => vec![(last.clone(), self.direction())],
            _ if matches!(name, "json_agg" | "jsonb_agg" | "json_object_agg") && self.below(2) == 0 => vec![(self.int(types, 0), self.direction())],
            _ => Vec::new(),
        };
        let argument_types: Vec<ColumnType> = arguments.iter().map(|argument| argument.column_type(types)).collect();
        let filter = (self.below(5) == 0).then(|| self.boolean(types, 1));
        let column_type = entry.result_type(&argument_types).nullable(true);
        self.count(&format!("aggregate {name}"));
        Aggregate { function: AggregateFunction(entry), arguments, distinct: false, filter, order, column_type }
    }
    fn aggregate(&mut self, types: &[ColumnType]) -> Aggregate {
        if self.below(3) == 0 {
            return self.built_aggregate(types);
        }
        loop {
            let name = *pick(
                self.random,
                &["count", "count", "sum", "sum", "avg", "min", "max", "min", "max", "bool_and", "bool_or", "string_agg", "array_agg", "any_value", "count(*)"],
            );
            let argument = match name {
                "count(*)" => None,
                "bool_and" | "bool_or" => Some(self.boolean(types, 1)),
                "string_agg" => match self.columns_of(types, &Type::Text).first() {
                    Some(column) => Some(Scalar::Column(*column)),
                    None => continue,
                },
                _ if !types.is_empty() && self.below(2) == 0 => Some(Scalar::Column(self.below(types.len()))),
                _ => Some(self.int(types, 1)),
            };
            let argument_type = argument.as_ref().map(|argument| argument.column_type(types));
            let entry = match name {
                "count(*)" => aggregate_entry("count", None),
                "string_agg" => plan::aggregate::lookup(name).iter().find(|entry| entry.arguments.first() == Some(&Type::Text)).copied(),
                name => aggregate_entry(name, argument_type.as_ref().map(|argument| &argument.scalar)),
            };
            let Some(entry) = entry else { continue };
            let mut arguments: Vec<Scalar> = argument.into_iter().collect();
            if name == "string_agg" {
                arguments.push(Scalar::literal(Datum::Text(","), ColumnType::new(Type::Text).not_null()));
            }
            let argument_types: Vec<ColumnType> = arguments.iter().map(|argument| argument.column_type(types)).collect();
            let distinct = !arguments.is_empty() && self.below(5) == 0;
            let order = if matches!(name, "string_agg" | "array_agg") && !distinct && self.below(2) == 0 {
                vec![(self.int(types, 0), self.direction())]
            } else {
                Vec::new()
            };
            let filter = (self.below(5) == 0).then(|| self.boolean(types, 1));
            let column_type = entry.result_type(&argument_types).nullable(true);
            let aggregate = Aggregate { function: AggregateFunction(entry), arguments, distinct, filter, order, column_type };
            self.count(&format!("aggregate {name}{}", if distinct { " distinct" } else { "" }));
            return aggregate;
        }
    }
    fn direction(&mut self) -> SortDirection {
        SortDirection { descending: self.random.random(), nulls_first: self.random.random() }
    }
    fn reduce(&mut self, depth: usize) -> Plan {
        self.count("reduce");
        let input = self.plan(depth - 1);
        let types = input.column_types();
        let keys = (0..self.below(3)).map(|_| self.key(&types)).collect();
        let aggregates = (0..1 + self.below(3)).map(|_| self.aggregate(&types)).collect();
        input.reduce(keys, aggregates)
    }
    fn distinct(&mut self, depth: usize) -> Plan {
        self.count("distinct");
        let input = self.plan(depth - 1);
        if self.below(2) == 0 {
            return input.distinct();
        }
        let types = input.column_types();
        let keys = (0..self.below(3)).map(|_| self.key(&types)).collect();
        input.reduce(keys, Vec::new())
    }
    fn top_k(&mut self, depth: usize) -> Plan {
        let input = self.plan(depth - 1);
        let arity = input.arity();
        let columns = |generator: &mut Self, most: usize| -> Vec<usize> {
            if arity == 0 { Vec::new() } else { (0..generator.below(most)).map(|_| generator.below(arity)).collect() }
        };
        let group = columns(self, 3);
        let order = columns(self, 3).into_iter().map(|column| ColumnOrder { column, direction: self.direction() }).collect();
        let limit = match self.below(5) {
            0 => None,
            1 => Some(Box::new(Scalar::null(Type::Int8))),
            _ => Some(Box::new(Scalar::literal(Datum::Int8(self.random.random_range(0..4)), ColumnType::new(Type::Int8).not_null()))),
        };
        let with_ties = self.below(3) == 0;
        self.count(if with_ties { "top-k with ties" } else { "top-k" });
        Plan::TopK { input: Box::new(input), group, order, limit, offset: *pick(self.random, &[0, 0, 1, 2]), with_ties, append_only: false }
    }
    fn window(&mut self, depth: usize) -> Plan {
        self.count("window");
        let input = self.plan(depth - 1);
        let types = input.column_types();
        let count = 1 + self.below(2);
        let expressions: Vec<WindowExpression> = (0..count).map(|_| self.window_expression(&types)).collect();
        if expressions.windows(2).any(|pair| pair[0].partition != pair[1].partition) {
            self.count("window over several partitions");
        }
        Plan::Window { input: Box::new(input), expressions }
    }
    fn window_expression(&mut self, types: &[ColumnType]) -> WindowExpression {
        let partition = (0..self.below(2)).map(|_| self.key(types)).collect();
        let order = (0..self.below(3)).map(|_| (self.int(types, 0), self.direction())).collect();
        let frame = WindowFrame {
            units: *pick(self.random, &[FrameUnits::Range, FrameUnits::Rows, FrameUnits::Groups]),
            start: FrameBound::UnboundedPreceding,
            end: if self.below(2) == 0 { FrameBound::CurrentRow } else { FrameBound::UnboundedFollowing },
            exclusion: FrameExclusion::NoOthers,
        };
        let mut arguments = Vec::new();
        let int8 = ColumnType::new(Type::Int8);
        let (function, column_type) = match self.below(7) {
            0 => (WindowFunction::RowNumber, int8),
            1 => (WindowFunction::Rank, int8),
            2 => (WindowFunction::DenseRank, int8),
            3 => {
                arguments.push(self.int(types, 0));
                (WindowFunction::Lag, int4())
            }
            4 => {
                arguments.push(self.int(types, 0));
                (WindowFunction::LastValue, int4())
            }
            _ => {
                let mut aggregate = self.aggregate(types);
                // Postgres has neither in a window.
                aggregate.distinct = false;
                aggregate.order.clear();
                let column_type = aggregate.column_type.clone();
                (WindowFunction::Aggregate(aggregate), column_type)
            }
        };
        WindowExpression { function, arguments, filter: None, partition, order, frame, ignore_nulls: false, column_type }
    }
    /// Another plan with columns of the same types.
    fn like(&mut self, plan: &Plan, depth: usize) -> Plan {
        let wanted = plan.column_types();
        match self.below(3) {
            0 => {
                let types = wanted.clone();
                plan.clone().filter(vec![self.boolean(&types, 1)])
            }
            1 => {
                let rows = (0..self.below(3)).map(|_| (super::tables::row(self.random, &wanted), 1)).collect();
                Plan::constant(rows, wanted)
            }
            _ => {
                let other = self.plan(depth - 1);
                let types = other.column_types();
                let columns: Option<Vec<usize>> = wanted.iter().map(|column| self.columns_of(&types, &column.scalar).first().copied()).collect();
                match columns {
                    Some(columns) => other.project(columns),
                    None => Plan::empty(wanted),
                }
            }
        }
    }
    fn except(&mut self, depth: usize) -> Plan {
        self.count("negate");
        let left = self.plan(depth - 1);
        let right = self.like(&left, depth);
        let difference = Plan::union(vec![left, right.negate()]);
        match self.below(3) {
            // Negative multiplicities reach what is above.
            0 => {
                self.count("negative multiplicities");
                difference
            }
            _ => difference.threshold(),
        }
    }
    fn union(&mut self, depth: usize) -> Plan {
        self.count("union");
        let mut inputs = vec![self.plan(depth - 1)];
        for _ in 0..1 + self.below(2) {
            let other = self.like(&inputs[0].clone(), depth);
            inputs.push(other);
        }
        Plan::union(inputs)
    }
    fn threshold(&mut self, depth: usize) -> Plan {
        self.count("threshold");
        self.plan(depth - 1).threshold()
    }
    fn binding(&mut self, depth: usize) -> Plan {
        self.count("let");
        let value = self.plan(depth - 1);
        let id = LocalId(self.next_local);
        self.next_local += 1;
        self.locals.push((id, value.column_types()));
        let body = match self.below(2) {
            // Read twice, so that arrangements are shared.
            0 => self.join(depth),
            _ => self.plan(depth - 1),
        };
        self.locals.pop();
        Plan::Let { id, value: Box::new(value), body: Box::new(body) }
    }
    /// Numbers that are reached from others, in one or two bindings.
    fn recursion(&mut self, depth: usize) -> Plan {
        if self.in_recursion > 1 {
            return self.leaf();
        }
        self.count(if self.in_recursion > 0 { "nested recursion" } else { "recursion" });
        let outer_locals = std::mem::take(&mut self.locals);
        let count = 1 + self.below(2);
        let types = vec![int4(), int4()];
        let ids: Vec<LocalId> = (0..count).map(|at| LocalId(self.next_local + at as u32)).collect();
        self.next_local += count as u32;
        // With a limit anything goes; without one only what is sure to end: distinct values that grow.
        let limit = (self.below(3) == 0).then(|| self.random.random_range(0..4));
        self.locals = outer_locals.clone();
        self.in_recursion += 1;
        let mut bindings = Vec::new();
        for &id in &ids {
            let seed = self.pairs_of_ints(1.min(depth));
            let other = *pick(self.random, &ids);
            self.locals = outer_locals.clone();
            let recursive = match self.below(3) {
                0 => self.step(other, &types),
                1 if limit.is_some() => {
                    self.count("recursion with a limit");
                    self.locals.push((other, types.clone()));
                    let plan = self.plan(1);
                    self.locals.pop();
                    self.as_ints(plan)
                }
                _ => {
                    // A recursion inside of this one, when there is room.
                    let step = self.step(other, &types);
                    if self.in_recursion < 2 && self.below(3) == 0 {
                        self.count("nested recursion");
                        let inner = LocalId(self.next_local);
                        self.next_local += 1;
                        let value = Plan::union(vec![step, self.step(inner, &types)]).distinct();
                        let body = Plan::local(inner, types.clone());
                        let binding = RecursiveBinding { id: inner, types: types.clone(), value };
                        Plan::LetRec { bindings: vec![binding], limit: None, body: Box::new(body) }
                    } else {
                        step
                    }
                }
            };
            let value = Plan::union(vec![seed, recursive]).distinct();
            bindings.push(RecursiveBinding { id, types: types.clone(), value });
        }
        self.in_recursion -= 1;
        self.locals = outer_locals;
        // Every binding is read: whether one that is not is computed is nobody's business.
        let mut body = Plan::union(ids.iter().map(|id| Plan::local(*id, types.clone())).collect());
        if self.below(2) == 0 {
            self.locals.push((ids[0], types));
            let plan = self.plan(depth - 1);
            self.locals.pop();
            body = Plan::join(vec![body, plan], Vec::new());
        }
        Plan::LetRec { bindings, limit, body: Box::new(body) }
    }
    fn pairs_of_ints(&mut self, depth: usize) -> Plan {
        let plan = self.plan(depth);
        self.as_ints(plan)
    }
    /// Two small numbers of each row.
    fn as_ints(&mut self, plan: Plan) -> Plan {
        let types = plan.column_types();
        let scalars = vec![self.small(&types), self.small(&types)];
        let arity = types.len();
        plan.map(scalars).project(vec![arity, arity + 1])
    }
    /// Follows one more edge: a join of the binding with a table.
    fn step(&mut self, binding: LocalId, types: &[ColumnType]) -> Plan {
        let (id, edge_types) = pick(self.random, &self.collections).clone();
        let edges = self.as_ints(Plan::get(id, edge_types));
        let equivalences = vec![vec![Scalar::Column(1), Scalar::Column(2)]];
        let implementation = if self.below(2) == 0 { JoinImplementation::Undecided } else { JoinImplementation::Linear { order: vec![1, 0] } };
        Plan::Join { inputs: vec![Plan::local(binding, types.to_vec()), edges], equivalences, implementation }.project(vec![0, 3])
    }
}
