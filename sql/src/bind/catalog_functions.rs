//! The functions of the system catalog, as lookups in helper relations.
//!
//! `pg_table_is_visible(oid)` and its kin read the catalog. They are bound as subqueries over relations of `pg_catalog` which the server
//! provides through [`Names`](crate::Names), so one plan at one timestamp answers a whole `\d`. The helper relations:
//!
//! | relation | columns | serves |
//! |---|---|---|
//! | `tm_visible` | `oid oid` | `pg_table_is_visible`: the relations found without a schema |
//! | `tm_viewdef` | `oid oid, definition text` | `pg_get_viewdef` |
//! | `tm_indexdef` | `oid oid, definition text` | `pg_get_indexdef` |
//! | `tm_index_column` | `oid oid, attnum int4, definition text` | `pg_get_indexdef` of one column; number 0 is the whole index |
//! | `tm_constraintdef` | `oid oid, definition text` | `pg_get_constraintdef` |
//! | `tm_description` | `oid oid, description text` | `obj_description`, `shobj_description` |
//! | `tm_column_description` | `oid oid, attnum int4, description text` | `col_description` |
//! | `tm_role_name` | `oid oid, name text` | `pg_get_userbyid` |
//! | `tm_type_name` | `oid oid, name text` | `regtype::text`; `format_type` without a modifier |
//! | `tm_class_name` | `oid oid, name text` | `regclass::text`, qualified unless visible |
//! | `tm_namespace_name` | `oid oid, name text` | `regnamespace::text` |
//! | `tm_proc_name` | `oid oid, name text` | `regproc::text` |
//! | `tm_relation_size` | `oid oid, bytes int8` | `pg_relation_size`, `pg_table_size`, `pg_total_relation_size` |
//!
//! Each has at most one row per `oid` (per `oid` and `attnum`).

use super::Binder;
use super::coerce::{literal, null_of, text};
use super::operator::cannot_maintain;
use crate::error::{BindError, BindResult, codes};
use crate::hir::{Expression, Query};
use crate::names::Mode;
use plan::CastKind;
use plan::functions::lookup;
use repr::{ColumnType, Datum, Type};

/// `pg_typeof('x')`.
const UNKNOWN_OID: u32 = 705;

/// What a catalog function is over.
enum Answer {
    /// `(SELECT column FROM relation WHERE oid = $1)`.
    Lookup(&'static str, &'static str),
    /// As `Lookup`, with these words where nothing is found.
    LookupOr(&'static str, &'static str, &'static str),
    /// Whether the relation has the OID.
    Member(&'static str),
    /// Always true: there are no privileges to lack beside those the server checks itself.
    True,
    False,
    Null(Type),
}

fn answer_of(name: &str, count: usize) -> Option<Answer> {
    Some(match (name, count) {
        ("pg_table_is_visible", 1) => Answer::Member("tm_visible"),
        ("pg_type_is_visible" | "pg_function_is_visible" | "pg_operator_is_visible" | "pg_opclass_is_visible" | "pg_collation_is_visible", 1) => Answer::True,
        ("pg_get_viewdef", 1 | 2) => Answer::Lookup("tm_viewdef", "definition"),
        ("pg_get_indexdef", 1) => Answer::Lookup("tm_indexdef", "definition"),
        ("pg_get_constraintdef", 1 | 2) => Answer::Lookup("tm_constraintdef", "definition"),
        ("obj_description" | "shobj_description", 1 | 2) => Answer::Lookup("tm_description", "description"),
        ("pg_get_userbyid", 1) => Answer::LookupOr("tm_role_name", "name", "unknown (OID=0)"),
        ("pg_relation_size" | "pg_table_size" | "pg_total_relation_size" | "pg_indexes_size", 1 | 2) => Answer::Lookup("tm_relation_size", "bytes"),
        (
            "has_table_privilege" | "has_schema_privilege" | "has_database_privilege" | "has_any_column_privilege" | "has_type_privilege"
            | "has_sequence_privilege" | "has_function_privilege" | "pg_has_role",
            2 | 3,
        ) => Answer::True,
        ("has_column_privilege", 3 | 4) => Answer::True,
        ("row_security_active", 1) | ("pg_relation_is_publishable", 1) | ("pg_index_column_has_property", 3) => Answer::False,
        ("pg_get_partkeydef", 1) | ("pg_get_function_result", 1) | ("pg_get_function_arguments", 1) | ("pg_get_function_identity_arguments", 1) => Answer::Null(Type::Text),
        ("pg_get_expr", 2 | 3) | ("pg_get_ruledef" | "pg_get_triggerdef", 1 | 2) | ("pg_get_statisticsobjdef_columns", 1) => Answer::Null(Type::Text),
        ("pg_get_serial_sequence", 2) | ("pg_relation_filepath", 1) | ("pg_tablespace_location", 1) => Answer::Null(Type::Text),
        ("pg_get_replica_identity_index", 1) => Answer::Null(Type::Regclass),
        _ => return None,
    })
}

impl Binder<'_> {
    /// A function of the catalog, if `name` is one the table of functions does not have itself.
    pub(crate) fn catalog_function(&mut self, name: &str, arguments: &[Expression]) -> BindResult<Option<Expression>> {
        if !lookup(name).is_empty() {
            return Ok(None);
        }
        let special = self.special_catalog_function(name, arguments)?;
        if special.is_some() {
            return Ok(special);
        }
        let Some(answer) = answer_of(name, arguments.len()) else { return Ok(None) };
        if self.mode == Mode::Maintained {
            return Err(cannot_maintain(&format!("{name}()")));
        }
        let argument = arguments.first().cloned().unwrap_or_else(|| null_of(ColumnType::new(Type::Oid)));
        Ok(Some(match answer {
            // The default's text is kept with the column already.
            Answer::Null(Type::Text) if name == "pg_get_expr" => self.coerce(argument, &ColumnType::new(Type::Text), CastKind::Explicit)?,
            Answer::Lookup(relation, column) => self.helper_lookup(relation, argument, column)?,
            Answer::LookupOr(relation, column, otherwise) => Expression::Coalesce(vec![self.helper_lookup(relation, argument, column)?, text(otherwise)]),
            Answer::Member(relation) => {
                let Expression::Scalar(query) = self.helper_lookup(relation, argument, "oid")? else {
                    return Err(BindError::unsupported(format!("{name} is not supported")));
                };
                Expression::Exists(Box::new(query.relation))
            }
            Answer::True => literal(Datum::Bool(true), Type::Bool),
            Answer::False => literal(Datum::Bool(false), Type::Bool),
            Answer::Null(scalar) => null_of(ColumnType::new(scalar)),
        }))
    }

    /// The value of the row with this `oid` and `attnum`, which is the relation's second column.
    fn helper_lookup_by_number(&mut self, relation: &str, oid: &Expression, number: &Expression, value: &str) -> BindResult<Option<Expression>> {
        let Expression::Scalar(query) = self.helper_lookup(relation, oid.clone(), value)? else { return Ok(None) };
        let Query { relation, outputs, order } = *query;
        let Some(position) = relation.columns().get(1).copied() else { return Ok(None) };
        let same = self.binary("=", Expression::Column(position), number.clone())?;
        Ok(Some(Expression::Scalar(Box::new(Query { relation: relation.filter(vec![same]), outputs, order }))))
    }

    fn special_catalog_function(&mut self, name: &str, arguments: &[Expression]) -> BindResult<Option<Expression>> {
        match (name, arguments) {
            ("format_type", [oid, modifier]) => {
                let base = self.helper_lookup("tm_type_name", oid.clone(), "name")?;
                self.with_modifier(base, oid.clone(), modifier.clone()).map(Some)
            }
            ("pg_typeof", [value]) => {
                let found = self.type_of(value);
                Ok(Some(literal(Datum::Oid(if found == Type::Unknown { UNKNOWN_OID } else { found.oid() }), Type::Regtype)))
            }
            ("pg_encoding_to_char", [_]) => Ok(Some(literal(Datum::Text("UTF8"), Type::Name))),
            ("pg_client_encoding" | "getdatabaseencoding", []) => Ok(Some(literal(Datum::Text("UTF8"), Type::Name))),
            ("col_description", [oid, number]) => self.helper_lookup_by_number("tm_column_description", oid, number, "description"),
            ("pg_get_indexdef", [oid, number, _]) => self.helper_lookup_by_number("tm_index_column", oid, number, "definition"),
            ("to_regclass" | "to_regtype" | "to_regproc" | "to_regnamespace", [Expression::Literal(row, _)]) => {
                let reg_type = match name {
                    "to_regclass" => Type::Regclass,
                    "to_regtype" => Type::Regtype,
                    "to_regproc" => Type::Regproc,
                    _ => Type::Regnamespace,
                };
                let Some(Datum::Text(written)) = row.get(0) else { return Ok(Some(null_of(ColumnType::new(reg_type)))) };
                let found = split_name(written).and_then(|parts| self.find_oid(&reg_type, &parts));
                Ok(Some(match found {
                    Some(oid) => literal(Datum::Oid(oid), reg_type),
                    None => null_of(ColumnType::new(reg_type)),
                }))
            }
            _ => Ok(None),
        }
    }

    /// `format_type(oid, modifier)`: `character varying(3)`, `numeric(5,2)`, `timestamp(3) without time zone`.
    fn with_modifier(&mut self, base: Expression, oid: Expression, modifier: Expression) -> BindResult<Expression> {
        let int4 = ColumnType::new(Type::Int4);
        let number = |value: i32| literal(Datum::Int4(value), Type::Int4);
        let oid = self.coerce(oid, &ColumnType::new(Type::Oid), CastKind::Explicit)?;
        let modifier = self.coerce(modifier, &int4, CastKind::Assignment)?;
        let as_text = |binder: &mut Self, value: Expression| binder.coerce(value, &ColumnType::new(Type::Text), CastKind::Explicit);
        let less_four = self.binary("-", modifier.clone(), number(4))?;
        let length = as_text(self, less_four.clone())?;
        let high = self.binary(">>", less_four.clone(), number(16))?;
        let precision = as_text(self, high)?;
        let low = self.binary("&", less_four, number(0xffff))?;
        let scale = as_text(self, low)?;
        let joined = |binder: &mut Self, parts: Vec<Expression>| {
            let mut parts = parts.into_iter();
            let first = parts.next().unwrap_or_else(|| text(""));
            parts.try_fold(first, |left, right| binder.binary("||", left, right))
        };
        let with_length = joined(self, vec![base.clone(), text("("), length, text(")")])?;
        let with_scale = joined(self, vec![base.clone(), text("("), precision, text(","), scale, text(")")])?;
        let is_type = |binder: &mut Self, of: Type| binder.binary("=", oid.clone(), literal(Datum::Oid(of.oid()), Type::Oid));
        let characters = vec![is_type(self, Type::Varchar)?, is_type(self, Type::Bpchar)?];
        let numeric = is_type(self, Type::Numeric)?;
        let plain = Expression::Coalesce(vec![self.binary("<", modifier.clone(), number(0))?, literal(Datum::Bool(true), Type::Bool)]);
        let choose = |condition: Expression, then: Expression, otherwise: Expression| Expression::If {
            condition: Box::new(condition),
            then: Box::new(then),
            otherwise: Box::new(otherwise),
        };
        Ok(choose(plain, base.clone(), choose(Expression::Or(characters), with_length, choose(numeric, with_scale, base))))
    }

    fn find_oid(&self, reg_type: &Type, parts: &[String]) -> Option<u32> {
        if let (Type::Regtype, [.., name]) = (reg_type, parts)
            && let Some(found) = Type::from_name(name)
        {
            return Some(found.oid());
        }
        self.names.oid_of(reg_type, parts, &self.search_path)
    }

    /// `'name'::regclass`: resolved now.
    pub(crate) fn read_reg_literal(&mut self, written: &str, reg_type: &Type) -> BindResult<Expression> {
        if let Ok(oid) = written.trim().parse::<u32>() {
            return Ok(literal(Datum::Oid(oid), reg_type.clone()));
        }
        if written == "-" {
            return Ok(literal(Datum::Oid(0), reg_type.clone()));
        }
        let Some(parts) = split_name(written) else {
            return Err(BindError::new(codes::SYNTAX_ERROR, "invalid name syntax"));
        };
        if let Some(oid) = self.find_oid(reg_type, &parts) {
            return Ok(literal(Datum::Oid(oid), reg_type.clone()));
        }
        let shown = parts.join(".");
        Err(match reg_type {
            Type::Regtype => BindError::new(codes::UNDEFINED_OBJECT, format!("type \"{shown}\" does not exist")),
            Type::Regproc => BindError::new(codes::UNDEFINED_FUNCTION, format!("function \"{shown}\" does not exist")),
            Type::Regnamespace => BindError::new(codes::UNDEFINED_SCHEMA, format!("schema \"{shown}\" does not exist")),
            _ => BindError::new(codes::UNDEFINED_TABLE, format!("relation \"{shown}\" does not exist")),
        })
    }

    /// The text of a `reg*` value: its name. `None`: this is another cast.
    pub(crate) fn reg_text(&mut self, expression: &Expression, from: &Type, to: &Type) -> BindResult<Option<Expression>> {
        if to.category() != 'S' {
            return Ok(None);
        }
        let relation = match from {
            Type::Regclass => "tm_class_name",
            Type::Regtype => "tm_type_name",
            Type::Regnamespace => "tm_namespace_name",
            Type::Regproc => "tm_proc_name",
            _ => return Ok(None),
        };
        if let Expression::Literal(row, _) = expression {
            return Ok(Some(match row.get(0) {
                Some(Datum::Oid(oid)) => {
                    let built_in = if *from == Type::Regtype { Type::from_oid(oid).map(|found| found.sql_name(-1)) } else { None };
                    let name = built_in.or_else(|| self.names.name_of(from, oid, &self.search_path));
                    text(&name.unwrap_or_else(|| oid.to_string()))
                }
                _ => null_of(ColumnType::new(Type::Text)),
            }));
        }
        let oid = Expression::Cast { input: Box::new(expression.clone()), kind: CastKind::Explicit, column_type: ColumnType::new(Type::Oid) };
        let name = self.helper_lookup(relation, oid.clone(), "name")?;
        let number = Expression::Cast { input: Box::new(oid), kind: CastKind::Explicit, column_type: ColumnType::new(Type::Text) };
        Ok(Some(Expression::Coalesce(vec![name, number])))
    }
}

/// Parts of a dotted name in text, folded and unquoted as identifiers are.
pub(crate) fn split_name(written: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut characters = written.trim().chars().peekable();
    loop {
        let mut part = String::new();
        if characters.peek() == Some(&'"') {
            characters.next();
            loop {
                match characters.next()? {
                    '"' if characters.peek() == Some(&'"') => {
                        characters.next();
                        part.push('"');
                    }
                    '"' => break,
                    other => part.push(other),
                }
            }
        } else {
            while let Some(character) = characters.peek() {
                if *character == '.' || *character == '"' {
                    break;
                }
                part.push(character.to_ascii_lowercase());
                characters.next();
            }
            part.truncate(part.trim_end().len());
        }
        if part.is_empty() {
            return None;
        }
        parts.push(part);
        match characters.next() {
            None => return Some(parts),
            Some('.') => {}
            Some(_) => return None,
        }
    }
}

/// The relation helpers read, for tests of the server's side.
pub const HELPER_RELATIONS: [(&str, &[(&str, Type)]); 13] = [
    ("tm_visible", &[("oid", Type::Oid)]),
    ("tm_viewdef", &[("oid", Type::Oid), ("definition", Type::Text)]),
    ("tm_indexdef", &[("oid", Type::Oid), ("definition", Type::Text)]),
    ("tm_index_column", &[("oid", Type::Oid), ("attnum", Type::Int4), ("definition", Type::Text)]),
    ("tm_constraintdef", &[("oid", Type::Oid), ("definition", Type::Text)]),
    ("tm_description", &[("oid", Type::Oid), ("description", Type::Text)]),
    ("tm_column_description", &[("oid", Type::Oid), ("attnum", Type::Int4), ("description", Type::Text)]),
    ("tm_role_name", &[("oid", Type::Oid), ("name", Type::Text)]),
    ("tm_type_name", &[("oid", Type::Oid), ("name", Type::Text)]),
    ("tm_class_name", &[("oid", Type::Oid), ("name", Type::Text)]),
    ("tm_namespace_name", &[("oid", Type::Oid), ("name", Type::Text)]),
    ("tm_proc_name", &[("oid", Type::Oid), ("name", Type::Text)]),
    ("tm_relation_size", &[("oid", Type::Oid), ("bytes", Type::Int8)]),
];
