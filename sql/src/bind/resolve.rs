//! Which entry of a function table a call means: Postgres' rules for operators and functions.
//!
//! The rules are those of the chapter "Type Conversion" of Postgres' manual: an exact match; else the candidates whose arguments can be
//! implicitly converted, those with most exact matches, those with most preferred types, then the literals of unknown type by category.

use plan::CastKind;
use plan::functions::cast_context;
use repr::Type;

/// What a call may mean.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// The candidate's position and the types its arguments are converted to.
    Found(usize, Vec<Type>),
    Missing,
    Ambiguous,
}

/// A signature: argument types, and whether the last one repeats.
pub(crate) type Signature<'a> = (&'a [Type], bool);

pub(crate) fn can_coerce(from: &Type, to: &Type) -> bool {
    match (from, to) {
        // Every row type is one to the functions that take rows.
        (Type::Record(_), Type::Record(members)) if members.is_empty() => true,
        _ => from == to || *from == Type::Unknown || cast_context(from, to) == Some(CastKind::Implicit),
    }
}

fn is_polymorphic(parameter: &Type) -> bool {
    matches!(parameter, Type::Any | Type::AnyElement | Type::AnyArray | Type::AnyNonArray)
}

/// The parameter types for so many arguments, or `None` if the signature does not take them.
fn expand(signature: Signature<'_>, count: usize) -> Option<Vec<Type>> {
    let (parameters, variadic) = signature;
    if !variadic {
        return (parameters.len() == count).then(|| parameters.to_vec());
    }
    let (last, fixed) = parameters.split_last()?;
    (count >= fixed.len()).then(|| fixed.iter().cloned().chain(std::iter::repeat_n(last.clone(), count - fixed.len())).collect())
}

/// The common type of values of several types, by the rule for operands of polymorphic functions and of UNION, CASE and their kin.
/// `Err` names the two types that do not match.
pub(crate) fn common_type<'a>(types: impl IntoIterator<Item = &'a Type>) -> Result<Type, (Type, Type)> {
    let mut common: Option<Type> = None;
    for next in types {
        if *next == Type::Unknown {
            continue;
        }
        let Some(current) = &common else {
            common = Some(next.clone());
            continue;
        };
        if current == next {
            continue;
        }
        if current.category() != next.category() {
            return Err((current.clone(), next.clone()));
        }
        if !current.is_preferred() && can_coerce(current, next) && !can_coerce(next, current) {
            common = Some(next.clone());
        } else if !can_coerce(next, current) && !can_coerce(current, next) {
            return Err((current.clone(), next.clone()));
        }
    }
    Ok(common.unwrap_or(Type::Text))
}

/// Replaces the polymorphic parameters by actual types; `None` if they do not agree.
fn solve(parameters: &[Type], actual: &[Type]) -> Option<Vec<Type>> {
    if !parameters.iter().any(is_polymorphic) {
        return Some(parameters.to_vec());
    }
    let mut elements = Vec::new();
    for (parameter, actual) in parameters.iter().zip(actual) {
        match (parameter, actual) {
            (Type::AnyElement | Type::AnyArray | Type::AnyNonArray, Type::Unknown) => {}
            (Type::AnyNonArray, Type::Array(_)) => return None,
            (Type::AnyElement | Type::AnyNonArray, actual) => elements.push(actual.clone()),
            (Type::AnyArray, Type::Array(element)) => elements.push((**element).clone()),
            (Type::AnyArray, _) => return None,
            _ => {}
        }
    }
    let element = common_type(&elements).ok()?;
    if elements.iter().any(|other| !can_coerce(other, &element)) {
        return None;
    }
    let solved = parameters.iter().zip(actual).map(|(parameter, actual)| match parameter {
        Type::AnyElement | Type::AnyNonArray => element.clone(),
        Type::AnyArray => Type::Array(Box::new(element.clone())),
        Type::Any if *actual == Type::Unknown => Type::Text,
        Type::Any => actual.clone(),
        other => other.clone(),
    });
    Some(solved.collect())
}

struct Candidate {
    position: usize,
    parameters: Vec<Type>,
    solved: Vec<Type>,
}

impl Candidate {
    fn matches(&self, actual: &[Type], accept: impl Fn(&Type, &Type) -> bool) -> usize {
        let known = self.parameters.iter().zip(actual).filter(|(_, actual)| **actual != Type::Unknown);
        known.filter(|(parameter, actual)| accept(parameter, actual)).count()
    }
}

fn keep_best(candidates: &mut Vec<Candidate>, score: impl Fn(&Candidate) -> usize) {
    let best = candidates.iter().map(&score).max().unwrap_or(0);
    if best > 0 {
        candidates.retain(|candidate| score(candidate) == best);
    }
}

fn found(candidates: Vec<Candidate>) -> Resolution {
    match candidates.into_iter().next() {
        Some(candidate) => Resolution::Found(candidate.position, candidate.solved),
        None => Resolution::Missing,
    }
}

/// Chooses among the signatures. `operator`: an operator with one literal of unknown type tries the other operand's type first.
pub(crate) fn resolve(signatures: &[Signature<'_>], actual: &[Type], operator: bool) -> Resolution {
    let mut assumed = actual.to_vec();
    if operator && let [left, right] = actual {
        match (left, right) {
            (Type::Unknown, known) | (known, Type::Unknown) if *known != Type::Unknown => assumed = vec![known.clone(), known.clone()],
            _ => {}
        }
    }
    let mut candidates: Vec<Candidate> = Vec::new();
    for (position, signature) in signatures.iter().enumerate() {
        let Some(parameters) = expand(*signature, actual.len()) else { continue };
        if parameters == assumed && !assumed.contains(&Type::Unknown) {
            return Resolution::Found(position, parameters);
        }
        let Some(solved) = solve(&parameters, actual) else { continue };
        if solved.iter().zip(actual).all(|(parameter, actual)| can_coerce(actual, parameter)) {
            candidates.push(Candidate { position, parameters, solved });
        }
    }
    if candidates.len() <= 1 {
        return found(candidates);
    }
    keep_best(&mut candidates, |candidate| candidate.matches(actual, |parameter, actual| parameter == actual));
    if candidates.len() == 1 {
        return found(candidates);
    }
    keep_best(&mut candidates, |candidate| {
        candidate.matches(actual, |parameter, actual| parameter == actual || (parameter.category() == actual.category() && parameter.is_preferred()))
    });
    if candidates.len() == 1 {
        return found(candidates);
    }
    if !actual.contains(&Type::Unknown) {
        // Entries that are there for every type lose against those made for these.
        candidates.retain(|candidate| !candidate.parameters.iter().any(is_polymorphic));
        return if candidates.len() == 1 { found(candidates) } else { Resolution::Ambiguous };
    }
    choose_by_unknowns(candidates, actual)
}

fn choose_by_unknowns(mut candidates: Vec<Candidate>, actual: &[Type]) -> Resolution {
    let mut resolved = true;
    let mut slots: Vec<(usize, char, bool)> = Vec::new();
    for (slot, _) in actual.iter().enumerate().filter(|(_, actual)| **actual == Type::Unknown) {
        let (mut category, mut conflict): (Option<(char, bool)>, bool) = (None, false);
        for candidate in &candidates {
            let Some(parameter) = candidate.parameters.get(slot) else { continue };
            let this = (parameter.category(), parameter.is_preferred());
            category = match category {
                None => Some(this),
                Some((known, preferred)) if known == this.0 => Some((known, preferred || this.1)),
                _ if this.0 == 'S' => Some(this),
                known => {
                    conflict = true;
                    known
                }
            };
        }
        // Candidates of several categories: strings win, if they are among them.
        if conflict && category.is_some_and(|(category, _)| category != 'S') {
            resolved = false;
            break;
        }
        if let Some((category, preferred)) = category {
            slots.push((slot, category, preferred));
        }
    }
    if resolved {
        let fits = |candidate: &Candidate| {
            slots.iter().all(|(slot, category, preferred)| {
                candidate.parameters.get(*slot).is_some_and(|parameter| parameter.category() == *category && (!preferred || parameter.is_preferred()))
            })
        };
        if candidates.iter().any(fits) {
            candidates.retain(fits);
        }
        if candidates.len() == 1 {
            return found(candidates);
        }
    }
    // All known arguments of one type: take the unknown ones to be of it too.
    let mut known = actual.iter().filter(|actual| **actual != Type::Unknown);
    if let Some(first) = known.next()
        && known.all(|other| other == first)
    {
        let assumed = vec![first.clone(); actual.len()];
        let fits = |candidate: &Candidate| candidate.parameters.iter().zip(&assumed).all(|(parameter, actual)| can_coerce(actual, parameter));
        if candidates.iter().filter(|candidate| fits(candidate)).count() == 1 {
            candidates.retain(fits);
            return found(candidates);
        }
    }
    Resolution::Ambiguous
}
