//! Chains of map, filter and project as one transform.

use crate::vector::Step;
use crate::{Plan, Scalar};

/// A maximal chain of `Map`, `Filter` and `Project`, ready for [`crate::vector::Transform::new`].
pub struct Fused<'a> {
    /// What is below the chain; not itself one of the three.
    pub input: &'a Plan,
    pub steps: Vec<Step>,
    /// Positions among the input's columns followed by the mapped ones.
    pub outputs: Vec<usize>,
}

/// Takes the chain off the top of a plan. Both interpreters cut plans here, so that they agree on which columns are computed and which are not: a mapped
/// column that the chain itself drops is computed only where a filter of the chain needs it.
pub fn fuse(plan: &Plan) -> Fused<'_> {
    match plan {
        Plan::Project { input, outputs } => {
            let mut fused = fuse(input);
            fused.outputs = outputs.iter().map(|&output| fused.outputs[output]).collect();
            fused
        }
        Plan::Map { input, scalars } => {
            let mut fused = fuse(input);
            let mut next =
                fused.input.arity() + fused.steps.iter().map(|step| if let Step::Map(scalars) = step { scalars.len() } else { 0 }).sum::<usize>();
            let mut mapped = Vec::with_capacity(scalars.len());
            for scalar in scalars {
                mapped.push(fused.over_chain(scalar));
                fused.outputs.push(next);
                next += 1;
            }
            match fused.steps.last_mut() {
                Some(Step::Map(scalars)) => scalars.append(&mut mapped),
                _ => fused.steps.push(Step::Map(mapped)),
            }
            fused
        }
        Plan::Filter { input, predicates } => {
            let mut fused = fuse(input);
            let mut remapped = predicates.iter().map(|predicate| fused.over_chain(predicate)).collect();
            match fused.steps.last_mut() {
                Some(Step::Filter(predicates)) => predicates.append(&mut remapped),
                _ => fused.steps.push(Step::Filter(remapped)),
            }
            fused
        }
        input => Fused { input, steps: Vec::new(), outputs: (0..input.arity()).collect() },
    }
}

impl Fused<'_> {
    /// A scalar over the chain's result as one over the columns inside it.
    pub fn over_chain(&self, scalar: &Scalar) -> Scalar {
        let mut scalar = scalar.clone();
        scalar.remap_columns(&mut |column| self.outputs[column]);
        scalar
    }
    /// The chain neither computes nor drops nor moves anything.
    pub fn is_identity(&self) -> bool {
        self.steps.is_empty()
            && self.outputs.len() == self.input.arity()
            && self.outputs.iter().enumerate().all(|(position, &output)| position == output)
    }
    /// No mapped column can fail. Then it makes no difference which of them are computed.
    pub fn maps_cannot_fail(&self) -> bool {
        self.steps.iter().all(|step| match step {
            Step::Map(scalars) => scalars.iter().all(|scalar| !scalar.can_fail()),
            Step::Filter(_) => true,
        })
    }
    /// Nothing in the chain can fail.
    pub fn cannot_fail(&self) -> bool {
        self.steps.iter().all(|step| match step {
            Step::Map(scalars) | Step::Filter(scalars) => scalars.iter().all(|scalar| !scalar.can_fail()),
        })
    }
}
