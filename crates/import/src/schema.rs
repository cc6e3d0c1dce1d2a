//! The columns of a file against the layout of an import.
//!
//! A list comes in several physical forms: three levels (`values.list.element`, what every present
//! writer makes, with varying names inside), two levels (`values.array`, older writers), or a bare
//! repeated field. All of them are read by the definition levels of the path, not by names.

use parquet::basic::{ConvertedType, LogicalType, Repetition, Type as Physical};
use parquet::schema::types::{ColumnDescPtr, ColumnDescriptor, SchemaDescriptor, Type};

use crate::FileError;

/// What records of an index are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Values that a dense vector has; absent in a sparse index.
    pub dimension: Option<u32>,
    /// Whether there is a column `sparse_values`.
    pub sparse: SparseRule,
}

/// Whether records have sparse values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SparseRule {
    /// No record has: dense indexes that do not score by the dot product.
    Forbidden,
    /// Some may: dense indexes that do.
    Optional,
    /// All have: sparse indexes.
    Required,
}

/// Where the columns of the layout are, as numbers of leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) id: Leaf,
    pub(crate) values: Option<ListLeaf>,
    pub(crate) sparse: Option<(ListLeaf, ListLeaf)>,
    pub(crate) metadata: Option<Leaf>,
}

/// A column with at most one value a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) column: usize,
    /// The definition level of a value that is there.
    pub(crate) present: i16,
}

/// A column with a list in each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListLeaf {
    pub(crate) column: usize,
    /// Definition levels: from here on the list is there (it may be empty), ...
    pub(crate) list: i16,
    /// ... has an entry (which may be null), ...
    pub(crate) entry: i16,
    /// ... has a value.
    pub(crate) present: i16,
}

const TEXT: &str = "STRING";
const FLOATS: &str = "LIST<FLOAT>";
const SPARSE: &str = "STRUCT<indices LIST<UINT_32>, values LIST<FLOAT>>";

impl Columns {
    /// Finds the columns that records of this shape need.
    ///
    /// # Errors
    /// [`FileError::Invalid`] for a column that is missing, too many, or of another type.
    pub(crate) fn find(schema: &SchemaDescriptor, shape: Shape) -> Result<Self, FileError> {
        let mut first_leaf = 0;
        let (mut id, mut values, mut sparse, mut metadata) = (None, None, None, None);
        for field in schema.root_schema().get_fields() {
            let leaves = leaves(field);
            let column = Column { schema, field, first: first_leaf };
            first_leaf += leaves;
            let is_new = match field.name() {
                "id" => id.replace(column.text("id")?).is_none(),
                "values" if shape.dimension.is_some() => values.replace(column.floats()?).is_none(),
                "values" => {
                    return Err(FileError::Invalid(
                        "Upserting dense vectors is not supported for sparse indexes".to_owned(),
                    ));
                }
                "sparse_values" if shape.sparse != SparseRule::Forbidden => {
                    sparse.replace(column.sparse()?).is_none()
                }
                "metadata" => metadata.replace(column.metadata()?).is_none(),
                other => return Err(unsupported(other)),
            };
            if !is_new {
                return Err(unsupported(field.name()));
            }
        }
        let id = id.ok_or_else(|| missing("id"))?;
        if shape.dimension.is_some() && values.is_none() {
            return Err(missing("values"));
        }
        if shape.sparse == SparseRule::Required && sparse.is_none() {
            return Err(missing("sparse_values"));
        }
        Ok(Self { id, values, sparse, metadata })
    }
}

/// A top-level field with the number of its first leaf.
struct Column<'a> {
    schema: &'a SchemaDescriptor,
    field: &'a Type,
    first: usize,
}

impl Column<'_> {
    fn text(&self, name: &str) -> Result<Leaf, FileError> {
        let leaf = self.field.is_primitive().then(|| self.leaf(self.first));
        match leaf.filter(|leaf| leaf.max_rep_level() == 0 && is_text(leaf)) {
            Some(leaf) => Ok(Leaf { column: self.first, present: leaf.max_def_level() }),
            None => Err(unexpected(name, TEXT, &self.given())),
        }
    }

    fn metadata(&self) -> Result<Leaf, FileError> {
        self.text("metadata").map_err(|_| {
            FileError::Invalid(format!(
                "The expected data type for metadata is a JSON encoded string in UTF-8 format, \
                 but got \"{}\"",
                self.given()
            ))
        })
    }

    fn floats(&self) -> Result<ListLeaf, FileError> {
        list(self.field, 0)
            .map(|levels| levels.at(self.first))
            .filter(|_| self.leaf(self.first).physical_type() == Physical::FLOAT)
            .ok_or_else(|| unexpected("values", FLOATS, &self.given()))
    }

    fn sparse(&self) -> Result<(ListLeaf, ListLeaf), FileError> {
        self.sparse_lists().ok_or_else(|| unexpected("sparse_values", SPARSE, &self.given()))
    }

    /// The lists of indices and of values, whichever comes first.
    fn sparse_lists(&self) -> Option<(ListLeaf, ListLeaf)> {
        let is_struct = self.field.is_group() && repetition(self.field) != Repetition::REPEATED;
        let fields = if is_struct { self.field.get_fields() } else { &[] };
        let [a, b] = fields else { return None };
        let above = i16::from(self.field.is_optional());
        let a_leaf = list(a, above)?.at(self.first);
        let b_leaf = list(b, above)?.at(self.first + 1);
        let (indices, values) = match (a.name(), b.name()) {
            ("indices", "values") => (a_leaf, b_leaf),
            ("values", "indices") => (b_leaf, a_leaf),
            _ => return None,
        };
        let fits = is_u32(&self.leaf(indices.column))
            && self.leaf(values.column).physical_type() == Physical::FLOAT;
        fits.then_some((indices, values))
    }

    /// WHY callers check the form of the field first: a group may have no leaf at all.
    fn leaf(&self, number: usize) -> ColumnDescPtr {
        self.schema.column(number)
    }

    /// The type that the file has, in the words of the documentation.
    fn given(&self) -> String {
        describe(self.field)
    }
}

/// Definition levels of a list, not yet of a column.
struct Levels {
    list: i16,
    entry: i16,
    present: i16,
}

impl Levels {
    fn at(self, column: usize) -> ListLeaf {
        let Self { list, entry, present } = self;
        ListLeaf { column, list, entry, present }
    }
}

/// The levels of a field that is a list of plain values; `above` is the level of what holds it.
fn list(field: &Type, above: i16) -> Option<Levels> {
    if repetition(field) == Repetition::REPEATED {
        // A bare repeated field: without entries it is an empty list.
        let entry = above + 1;
        return field.is_primitive().then_some(Levels { list: above, entry, present: entry });
    }
    if field.is_primitive() || !is_list(field) {
        return None;
    }
    let [repeated] = field.get_fields() else { return None };
    if repetition(repeated) != Repetition::REPEATED {
        return None;
    }
    let list = above + i16::from(field.is_optional());
    let entry = list + 1;
    if repeated.is_primitive() {
        return Some(Levels { list, entry, present: entry });
    }
    let [element] = repeated.get_fields() else { return None };
    let plain = element.is_primitive() && repetition(element) != Repetition::REPEATED;
    plain.then(|| Levels { list, entry, present: entry + i16::from(element.is_optional()) })
}

fn repetition(field: &Type) -> Repetition {
    let info = field.get_basic_info();
    if info.has_repetition() { info.repetition() } else { Repetition::REQUIRED }
}

fn is_list(field: &Type) -> bool {
    let info = field.get_basic_info();
    matches!(info.logical_type_ref(), Some(LogicalType::List))
        || info.converted_type() == ConvertedType::LIST
}

fn is_text(leaf: &ColumnDescriptor) -> bool {
    let annotated = matches!(
        leaf.converted_type(),
        ConvertedType::UTF8 | ConvertedType::JSON | ConvertedType::ENUM
    ) || matches!(
        leaf.logical_type_ref(),
        Some(LogicalType::String | LogicalType::Json | LogicalType::Enum)
    );
    leaf.physical_type() == Physical::BYTE_ARRAY && annotated
}

fn is_u32(leaf: &ColumnDescriptor) -> bool {
    leaf.physical_type() == Physical::INT32 && leaf.converted_type() == ConvertedType::UINT_32
}

fn leaves(field: &Type) -> usize {
    if field.is_primitive() { 1 } else { field.get_fields().iter().map(|part| leaves(part)).sum() }
}

fn describe(field: &Type) -> String {
    if field.is_primitive() {
        let plain = describe_plain(field);
        let is_repeated = repetition(field) == Repetition::REPEATED;
        return if is_repeated { format!("LIST<{plain}>") } else { plain };
    }
    let parts = field.get_fields();
    if is_list(field) {
        let element = match parts {
            [repeated] if repeated.is_primitive() => describe_plain(repeated),
            [repeated] => match repeated.get_fields() {
                [element] => describe(element),
                _ => describe(repeated),
            },
            _ => String::new(),
        };
        return format!("LIST<{element}>");
    }
    let parts: Vec<_> =
        parts.iter().map(|part| format!("{} {}", part.name(), describe(part))).collect();
    format!("STRUCT<{}>", parts.join(", "))
}

fn describe_plain(field: &Type) -> String {
    match (field.get_basic_info().converted_type(), field.get_physical_type()) {
        (ConvertedType::UTF8, _) => TEXT.to_owned(),
        (ConvertedType::NONE, physical) => physical.to_string(),
        (converted, _) => converted.to_string(),
    }
}

fn missing(column: &str) -> FileError {
    FileError::Invalid(format!("Missing required column \"{column}\""))
}

fn unsupported(column: &str) -> FileError {
    FileError::Invalid(format!("Unsupported column \"{}\"", column.escape_debug()))
}

fn unexpected(column: &str, expected: &str, given: &str) -> FileError {
    FileError::Invalid(format!(
        "The expected data type for column \"{column}\" is \"{expected}\", but got \"{given}\""
    ))
}
