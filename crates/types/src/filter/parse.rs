//! The grammar of filters: checks a free-form value and compiles it.
//!
//! ```text
//! filter := { clause, … }                     all of them hold
//! clause := "$and": [filter, …]  |  "$or": [filter, …]  |  "$not": filter
//!         | field: scalar                     short for {"$eq": scalar}
//!         | field: { operator: operand, … }   all of them hold
//! ```
//!
//! Only a whole filter may be empty. An empty clause inside of one is refused: in a delete it would
//! quietly match everything.

use std::collections::BTreeMap;

use super::{Comparison, Condition, Filter, FilterError, Node, Scalar, Values};
use crate::Limits;
use crate::metadata::excerpt;
use crate::value::{Kind, ListValue, Struct, Value};

/// What may stand under a field.
const OPERATORS: &str = "$eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $exists and $not";

pub(super) fn compile(source: &Struct, limits: &Limits) -> Result<Filter, FilterError> {
    let mut parser = Parser { limits, nodes: 0, fields: BTreeMap::new() };
    let root = if source.fields.is_empty() {
        Node::All(Box::default())
    } else {
        parser.filter(source, 1)?
    };
    let fields = parser.fields.into_iter().map(|(name, slot)| (name.into(), slot)).collect();
    Ok(Filter { fields, root })
}

struct Parser<'a> {
    limits: &'a Limits,
    nodes: usize,
    fields: BTreeMap<&'a str, usize>,
}

impl<'a> Parser<'a> {
    fn filter(&mut self, source: &'a Struct, depth: usize) -> Result<Node, FilterError> {
        self.enter(depth)?;
        let clauses: Result<Vec<_>, _> =
            source.fields.iter().map(|(key, value)| self.clause(key, value, depth)).collect();
        Ok(all(clauses?))
    }

    fn clause(
        &mut self,
        key: &'a str,
        value: &'a Value,
        depth: usize,
    ) -> Result<Node, FilterError> {
        match key {
            "$and" => Ok(all(self.filters(key, value, depth)?)),
            "$or" => {
                let filters = self.filters(key, value, depth)?;
                self.node(Node::Any(filters.into_boxed_slice()))
            }
            "$not" => match &value.kind {
                Some(Kind::Struct(filter)) if !filter.fields.is_empty() => {
                    let negated = self.filter(filter, depth + 1)?;
                    self.node(Node::Not(Box::new(negated)))
                }
                _ => Err(FilterError(format!(
                    "the $not operator must be followed by a filter that is not empty, got '{}'",
                    excerpt(value)
                ))),
            },
            _ if key.starts_with('$') => Err(FilterError(format!(
                "unknown operator '{key}' at the top level of a filter: $and, $or, $not and the \
                 names of fields may stand there"
            ))),
            field => self.field(field, value, depth),
        }
    }

    /// The operand of `$and` and `$or`.
    fn filters(
        &mut self,
        operator: &str,
        value: &'a Value,
        depth: usize,
    ) -> Result<Vec<Node>, FilterError> {
        let refused = |got: &Value| {
            FilterError(format!(
                "the {operator} operator must be followed by a list of filters, at least one and \
                 none of them empty, got '{}'",
                excerpt(got)
            ))
        };
        let Some(Kind::List(ListValue { values })) = &value.kind else {
            return Err(refused(value));
        };
        if values.is_empty() {
            return Err(refused(value));
        }
        let filter = |element: &'a Value| match &element.kind {
            Some(Kind::Struct(filter)) if !filter.fields.is_empty() => {
                self.filter(filter, depth + 1)
            }
            _ => Err(refused(element)),
        };
        values.iter().map(filter).collect()
    }

    fn field(
        &mut self,
        field: &'a str,
        value: &'a Value,
        depth: usize,
    ) -> Result<Node, FilterError> {
        match &value.kind {
            Some(Kind::Struct(operators)) => self.operators(field, operators, depth),
            _ => {
                let scalar = scalar(field, "$eq", value)?;
                self.test(field, Condition::Equal(scalar))
            }
        }
    }

    fn operators(
        &mut self,
        field: &'a str,
        operators: &'a Struct,
        depth: usize,
    ) -> Result<Node, FilterError> {
        if operators.fields.is_empty() {
            return Err(FilterError(format!(
                "field '{field}' has no condition: give it a value, or one of {OPERATORS}"
            )));
        }
        let tests: Result<Vec<_>, _> = operators
            .fields
            .iter()
            .map(|(operator, operand)| self.operator(field, operator, operand, depth))
            .collect();
        Ok(all(tests?))
    }

    fn operator(
        &mut self,
        field: &'a str,
        operator: &str,
        operand: &'a Value,
        depth: usize,
    ) -> Result<Node, FilterError> {
        let compare =
            |comparison| Ok(Condition::Compare(comparison, number(field, operator, operand)?));
        let (condition, holds) = match operator {
            "$eq" => (Condition::Equal(scalar(field, operator, operand)?), true),
            "$ne" => (Condition::Equal(scalar(field, operator, operand)?), false),
            "$in" => (Condition::Among(self.values(field, operator, operand)?), true),
            "$nin" => (Condition::Among(self.values(field, operator, operand)?), false),
            "$gt" => (compare(Comparison::Greater)?, true),
            "$gte" => (compare(Comparison::GreaterOrEqual)?, true),
            "$lt" => (compare(Comparison::Less)?, true),
            "$lte" => (compare(Comparison::LessOrEqual)?, true),
            "$exists" => match operand.kind {
                Some(Kind::Bool(exists)) => (Condition::Exists, exists),
                _ => return Err(wrong_operand(field, operator, "a boolean", operand)),
            },
            "$not" => return self.negated(field, operand, depth),
            _ => {
                return Err(FilterError(format!(
                    "unknown operator '{operator}' for field '{field}': use {OPERATORS}"
                )));
            }
        };
        let test = self.test(field, condition)?;
        Ok(if holds { test } else { Node::Not(Box::new(test)) })
    }

    /// `field: {"$not": {operator: operand, …}}`.
    fn negated(
        &mut self,
        field: &'a str,
        operand: &'a Value,
        depth: usize,
    ) -> Result<Node, FilterError> {
        let Some(Kind::Struct(operators)) = &operand.kind else {
            return Err(wrong_operand(field, "$not", "a map of operators", operand));
        };
        self.enter(depth + 1)?;
        let negated = self.operators(field, operators, depth + 1)?;
        self.node(Node::Not(Box::new(negated)))
    }

    /// The operand of `$in` and `$nin`.
    fn values(&self, field: &str, operator: &str, operand: &Value) -> Result<Values, FilterError> {
        let wanted = "a list of strings, numbers or booleans";
        let Some(Kind::List(ListValue { values })) = &operand.kind else {
            return Err(wrong_operand(field, operator, wanted, operand));
        };
        if values.len() > self.limits.filter_values_max {
            return Err(FilterError(format!(
                "the {operator} operator of field '{field}' has {} values, which exceeds the limit \
                 of {}",
                values.len(),
                self.limits.filter_values_max
            )));
        }
        let (mut texts, mut numbers, mut set) = (Vec::new(), Vec::new(), Values::default());
        for value in values {
            match &value.kind {
                Some(Kind::String(text)) => texts.push(text.as_str()),
                // WHY plus zero: it turns -0 into 0, which must be found as one.
                Some(Kind::Number(number)) if number.is_finite() => numbers.push(number + 0.0),
                Some(Kind::Bool(true)) => set.has_true = true,
                Some(Kind::Bool(false)) => set.has_false = true,
                _ => return Err(wrong_operand(field, operator, wanted, operand)),
            }
        }
        texts.sort_unstable();
        texts.dedup();
        numbers.sort_unstable_by(f64::total_cmp);
        Ok(Values {
            texts: texts.into_iter().map(Box::from).collect(),
            numbers: numbers.into_boxed_slice(),
            ..set
        })
    }

    fn test(&mut self, field: &'a str, condition: Condition) -> Result<Node, FilterError> {
        let slot = self.fields.len();
        let slot = *self.fields.entry(field).or_insert(slot);
        self.node(Node::Test { field: slot, condition })
    }

    /// Counts a node.
    fn node(&mut self, node: Node) -> Result<Node, FilterError> {
        self.nodes += 1;
        if self.nodes > self.limits.filter_nodes_max {
            return Err(FilterError(format!(
                "the filter has more than {} conditions, which is the limit",
                self.limits.filter_nodes_max
            )));
        }
        Ok(node)
    }

    /// Refuses a filter nested too deeply, before it is looked into.
    fn enter(&self, depth: usize) -> Result<(), FilterError> {
        if depth > self.limits.filter_depth_max {
            return Err(FilterError(format!(
                "the filter is nested more than {} levels deep, which is the limit",
                self.limits.filter_depth_max
            )));
        }
        Ok(())
    }
}

/// All of them hold; a single one stands for itself.
fn all(mut nodes: Vec<Node>) -> Node {
    match nodes.pop() {
        Some(only) if nodes.is_empty() => only,
        last => Node::All(nodes.into_iter().chain(last).collect()),
    }
}

fn scalar(field: &str, operator: &str, operand: &Value) -> Result<Scalar, FilterError> {
    match &operand.kind {
        Some(Kind::String(text)) => Ok(Scalar::Text(text.as_str().into())),
        Some(Kind::Number(number)) if number.is_finite() => Ok(Scalar::Number(*number)),
        Some(Kind::Bool(flag)) => Ok(Scalar::Flag(*flag)),
        _ => Err(wrong_operand(field, operator, "a string, number or boolean", operand)),
    }
}

fn number(field: &str, operator: &str, operand: &Value) -> Result<f64, FilterError> {
    match operand.kind {
        Some(Kind::Number(number)) if number.is_finite() => Ok(number),
        _ => Err(wrong_operand(field, operator, "a number", operand)),
    }
}

fn wrong_operand(field: &str, operator: &str, wanted: &str, operand: &Value) -> FilterError {
    FilterError(format!(
        "the {operator} operator must be followed by {wanted}, got '{}' for field '{field}'",
        excerpt(operand)
    ))
}
