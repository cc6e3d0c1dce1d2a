//! Namespaces as things of their own: made, described, listed and deleted.
//!
//! An upsert makes its namespace too; both go through the writer, so only one of two can make it.
//! Invariants: the default namespace always exists, whether a row says so or not; deleting a
//! namespace costs three rows, whatever its size; a namespace with aliases is not deleted.

use std::collections::BTreeMap;

use bytes::Bytes;
use lodgepole_rows::{self as rows, NamespaceRow, Place};
use lodgepole_storage::{Database, Visibility};
use lodgepole_types::{Lsn, NamespaceName, Timestamp};
use serde_json::Value;

use crate::change::{Change, NamespaceChange, Outcome};
use crate::planner::{Plan, Planner};
use crate::shard::Shard;
use crate::{AliasError, Engine, EngineError, ReadError, ShardRef, WriteError, reads, slots};

/// What is known of a namespace.
#[derive(Debug, Clone, PartialEq)]
pub struct NamespaceInfo {
    /// Its name.
    pub name: NamespaceName,
    /// Records.
    pub record_count: u64,
    /// Bytes of ids, values and metadata.
    pub bytes: u64,
    /// When it was made; 1970 for a default namespace that was never written.
    pub created_at: Timestamp,
    /// Which metadata can be filtered on, as it was given; none when that was left open.
    pub schema: Option<Value>,
}

/// Which namespaces to list, by the names that listings show.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NamespacePage {
    /// Only names that start with it.
    pub prefix: String,
    /// Only names after it, bytewise.
    pub after: Option<String>,
    /// At most so many.
    pub limit: usize,
}

/// A page of namespaces, ascending bytewise by the names that listings show.
#[derive(Debug, Clone, PartialEq)]
pub struct NamespaceList {
    /// The namespaces.
    pub namespaces: Vec<NamespaceInfo>,
    /// Whether more follow.
    pub more: bool,
    /// All namespaces that start with the prefix, on this page or not.
    pub total_count: u64,
    /// Everything up to here is reflected.
    pub lsn: Lsn,
}

impl Engine {
    /// Makes an empty namespace. Returns once that is durable.
    ///
    /// # Errors
    /// [`WriteError::NamespaceExists`], also for the default namespace and for one that an upsert
    /// made; [`AliasError::NameInUseByAlias`].
    pub async fn create_namespace(
        &self,
        shard: ShardRef,
        namespace: &NamespaceName,
        schema: Option<Value>,
    ) -> Result<(NamespaceInfo, Lsn), WriteError> {
        let schema = schema.map(|schema| Bytes::from(schema.to_string()));
        let change = Change::Namespace(namespace.clone(), NamespaceChange::Create(schema));
        let shard = self.shard(shard).await?;
        let done = shard.write(change).await?;
        match done.outcome {
            Outcome::Namespace(info) => Ok((info, done.lsn)),
            Outcome::Nothing | Outcome::Matched(_) | Outcome::Alias(_) | Outcome::Staged { .. } => {
                Err(shard.stopped_error().into())
            }
        }
    }

    /// Removes a namespace with its records; the default one is emptied. Cost does not grow with
    /// its size.
    ///
    /// # Errors
    /// [`WriteError::NamespaceNotFound`]; [`WriteError::NamespaceTargeted`] while aliases stand for
    /// it; [`AliasError::IsNoNamespace`].
    pub async fn delete_namespace(
        &self,
        shard: ShardRef,
        namespace: &NamespaceName,
    ) -> Result<Lsn, WriteError> {
        let change = Change::Namespace(namespace.clone(), NamespaceChange::Delete);
        Ok(self.shard(shard).await?.write(change).await?.lsn)
    }

    /// What is known of a namespace; `None` when it does not exist. Aliases are not resolved.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or data is damaged.
    pub async fn describe_namespace(
        &self,
        shard: ShardRef,
        namespace: &NamespaceName,
    ) -> Result<Option<NamespaceInfo>, ReadError> {
        self.shard(shard).await?.describe_namespace(namespace).await
    }

    /// Lists namespaces. Walks over the names of all, and reads the counts of those on the page.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or data is damaged.
    pub async fn list_namespaces(
        &self,
        shard: ShardRef,
        page: &NamespacePage,
    ) -> Result<NamespaceList, ReadError> {
        self.shard(shard).await?.list_namespaces(page).await
    }

    /// The schema that a namespace was made with. One point read.
    ///
    /// # Errors
    /// [`ReadError`] when the store fails or data is damaged.
    pub async fn namespace_schema(
        &self,
        shard: ShardRef,
        namespace: &NamespaceName,
    ) -> Result<Option<Value>, ReadError> {
        let row = self.shard(shard).await?.namespace_row(namespace).await?;
        Ok(row.map(|row| schema_of(&row)).transpose()?.flatten())
    }
}

impl Shard {
    async fn namespace_row(
        &self,
        namespace: &NamespaceName,
    ) -> Result<Option<NamespaceRow>, EngineError> {
        let key = rows::namespace_key(namespace);
        let row = self.database.get(&key, Visibility::Durable).await?;
        Ok(row.map(|bytes| NamespaceRow::decode(&bytes)).transpose()?)
    }

    async fn describe_namespace(
        &self,
        name: &NamespaceName,
    ) -> Result<Option<NamespaceInfo>, ReadError> {
        // Name and counts lie in two rows, so both are read from one view.
        let view = self.settled_view().await?;
        let Some(bytes) = view.get(&rows::namespace_key(name)).await? else {
            return Ok(name.is_default().then(|| NamespaceInfo::unwritten(name)));
        };
        let row = NamespaceRow::decode(&bytes)?;
        let place = Place { slot: rows::slot_of(name), id: row.id };
        let count = reads::count(&view, place).await?;
        Ok(Some(NamespaceInfo::of(name, &row, count)?))
    }

    async fn list_namespaces(&self, page: &NamespacePage) -> Result<NamespaceList, ReadError> {
        let view = self.settled_view().await?;
        let mut total_count = 0;
        let mut first: BTreeMap<String, (NamespaceName, NamespaceRow)> = BTreeMap::new();
        slots::for_each(&view, rows::namespace_prefix, |entry| {
            let Some(name) = rows::namespace_of_key(&entry.key) else { return Ok(()) };
            let listed = name.listed();
            if !listed.starts_with(&page.prefix) {
                return Ok(());
            }
            total_count += 1;
            if page.after.as_deref().is_none_or(|after| listed > after) {
                first.insert(listed.to_owned(), (name, NamespaceRow::decode(&entry.value)?));
                // One more than the page holds tells whether there is a next one.
                if first.len() > page.limit.saturating_add(1) {
                    first.pop_last();
                }
            }
            Ok(())
        })
        .await?;
        let more = first.len() > page.limit;
        let mut namespaces = Vec::with_capacity(first.len());
        for (name, row) in first.into_values().take(page.limit) {
            let place = Place { slot: rows::slot_of(&name), id: row.id };
            let count = reads::count(&view, place).await?;
            namespaces.push(NamespaceInfo::of(&name, &row, count)?);
        }
        Ok(NamespaceList { namespaces, more, total_count, lsn: view.lsn() })
    }
}

impl NamespaceInfo {
    fn of(
        name: &NamespaceName,
        row: &NamespaceRow,
        count: rows::CountRow,
    ) -> Result<Self, rows::RowError> {
        Ok(Self {
            name: name.clone(),
            record_count: count.record_count,
            bytes: count.bytes,
            created_at: Timestamp(row.created_ms),
            schema: schema_of(row)?,
        })
    }

    fn unwritten(name: &NamespaceName) -> Self {
        let (created_at, schema) = (Timestamp(0), None);
        Self { name: name.clone(), record_count: 0, bytes: 0, created_at, schema }
    }
}

fn schema_of(row: &NamespaceRow) -> Result<Option<Value>, rows::RowError> {
    let schema = row.schema.as_deref().map(serde_json::from_slice);
    schema.transpose().map_err(|_| rows::RowError::of_namespace())
}

impl Planner {
    pub(crate) async fn create_namespace(
        &mut self,
        database: &Database,
        name: &NamespaceName,
        schema: Option<Bytes>,
        now: Timestamp,
    ) -> Result<Plan, WriteError> {
        if name.is_default() || self.known(database, name).await?.is_some() {
            return Err(WriteError::NamespaceExists);
        }
        self.refuse_alias(name, |target| AliasError::NameInUseByAlias { target })?;
        let mut plan = Plan::default();
        let known = self.create(&mut plan.batch, name, schema, now);
        plan.outcome = Outcome::Namespace(NamespaceInfo::of(name, &known.row, known.count)?);
        self.remember(name, known);
        Ok(plan)
    }

    pub(crate) async fn delete_namespace(
        &mut self,
        database: &Database,
        name: &NamespaceName,
    ) -> Result<Plan, WriteError> {
        let mut plan = Plan::default();
        self.refuse_alias(name, |target| AliasError::IsNoNamespace { target })?;
        let Some(known) = self.known(database, name).await? else {
            if name.is_default() {
                return Ok(plan);
            }
            return Err(WriteError::NamespaceNotFound);
        };
        if name.is_default() {
            self.empty(name, known, &mut plan);
            return Ok(plan);
        }
        let aliases = self.aliases_of(name);
        if !aliases.is_empty() {
            return Err(WriteError::NamespaceTargeted { aliases });
        }
        self.abandon(known.place(name), known.count, &mut plan);
        self.meta.namespace_count -= 1;
        plan.batch.delete(rows::namespace_key(name));
        self.forget(name);
        Ok(plan)
    }
}

#[cfg(test)]
mod tests;
