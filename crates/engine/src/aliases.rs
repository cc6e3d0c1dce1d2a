//! Other names of namespaces, for readers.
//!
//! An alias stands for one namespace and can be repointed in one step. Aliases are rows of the
//! shard and change through its writer, so that a name is a namespace or an alias and never both,
//! backups hold them, and a namespace is not deleted under its alias. All of an index are in memory
//! while its shard is open. Invariant: what readers resolve with is durable.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use lodgepole_rows::{self as rows, AliasRow};
use lodgepole_storage::{Database, Visibility};
use lodgepole_types::{Lsn, NamespaceName, Timestamp};

use crate::change::{AliasChange, Change, Outcome};
use crate::planner::{Plan, Planner};
use crate::{AliasError, Engine, EngineError, ReadError, ShardRef, WriteError};

/// All aliases of a shard, by name.
pub(crate) type AliasMap = BTreeMap<String, AliasRow>;

/// The aliases that readers see.
pub(crate) type PublishedAliases = Arc<ArcSwap<AliasMap>>;

/// Another name of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The alias.
    pub name: String,
    /// The namespace it stands for.
    pub target: NamespaceName,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was made or repointed last.
    pub updated_at: Timestamp,
}

impl Alias {
    fn of(name: &str, row: &AliasRow) -> Self {
        Self {
            name: name.to_owned(),
            target: row.target.clone(),
            created_at: Timestamp(row.created_ms),
            updated_at: Timestamp(row.updated_ms),
        }
    }
}

/// What a reader's name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The namespace to read; it need not exist.
    pub namespace: NamespaceName,
    /// Whether the name was an alias of it.
    pub is_alias: bool,
}

impl Engine {
    /// Makes an alias. `name` must be one that a namespace could have.
    ///
    /// # Errors
    /// [`WriteError::Alias`] with the reason.
    pub async fn create_alias(
        &self,
        shard: ShardRef,
        name: &str,
        target: &NamespaceName,
    ) -> Result<(Alias, Lsn), WriteError> {
        self.change_alias(shard, name, AliasChange::Create(target.clone())).await
    }

    /// Lets an alias stand for another namespace, for all readers at once.
    ///
    /// # Errors
    /// [`WriteError::Alias`] with the reason.
    pub async fn repoint_alias(
        &self,
        shard: ShardRef,
        name: &str,
        target: &NamespaceName,
    ) -> Result<(Alias, Lsn), WriteError> {
        self.change_alias(shard, name, AliasChange::Repoint(target.clone())).await
    }

    /// Removes an alias; its namespace stays. Answers with what it was.
    ///
    /// # Errors
    /// [`AliasError::NotFound`].
    pub async fn delete_alias(
        &self,
        shard: ShardRef,
        name: &str,
    ) -> Result<(Alias, Lsn), WriteError> {
        self.change_alias(shard, name, AliasChange::Delete).await
    }

    /// All aliases of an index, by name.
    ///
    /// # Errors
    /// [`ReadError`] when the shard cannot be opened.
    pub async fn list_aliases(&self, shard: ShardRef) -> Result<Vec<Alias>, ReadError> {
        let aliases = self.shard(shard).await?.aliases.load_full();
        Ok(aliases.iter().map(|(name, row)| Alias::of(name, row)).collect())
    }

    /// One alias; `None` when there is none of that name.
    ///
    /// # Errors
    /// [`ReadError`] when the shard cannot be opened.
    pub async fn describe_alias(
        &self,
        shard: ShardRef,
        name: &str,
    ) -> Result<Option<Alias>, ReadError> {
        let aliases = self.shard(shard).await?.aliases.load_full();
        Ok(aliases.get(name).map(|row| Alias::of(name, row)))
    }

    /// The namespace that a name stands for: itself, or the target of the alias. Reads no rows.
    ///
    /// # Errors
    /// [`ReadError`] when the shard cannot be opened.
    pub async fn resolve(
        &self,
        shard: ShardRef,
        name: &NamespaceName,
    ) -> Result<Resolved, ReadError> {
        let shard = self.shard(shard).await?;
        let target = shard.aliases.load().get(name.as_str()).map(|row| row.target.clone());
        let is_alias = target.is_some();
        Ok(Resolved { namespace: target.unwrap_or_else(|| name.clone()), is_alias })
    }

    async fn change_alias(
        &self,
        shard: ShardRef,
        name: &str,
        change: AliasChange,
    ) -> Result<(Alias, Lsn), WriteError> {
        let shard = self.shard(shard).await?;
        let done = shard.write(Change::Alias(name.to_owned(), change)).await?;
        match done.outcome {
            Outcome::Alias(alias) => Ok((alias, done.lsn)),
            Outcome::Nothing
            | Outcome::Matched(_)
            | Outcome::Namespace(_)
            | Outcome::Staged { .. } => Err(shard.stopped_error().into()),
        }
    }
}

impl Planner {
    pub(crate) async fn plan_alias(
        &mut self,
        database: &Database,
        name: String,
        change: AliasChange,
        now: Timestamp,
    ) -> Result<Plan, WriteError> {
        let held = self.aliases.get(&name).cloned();
        let row = match (change, held) {
            (AliasChange::Create(_), Some(held)) => {
                return Err(AliasError::AlreadyExists { target: held.target }.into());
            }
            (AliasChange::Create(target), None) => {
                self.check_new_alias(database, &name).await?;
                self.check_target(database, &target).await?;
                Some(AliasRow { created_ms: now.0, updated_ms: now.0, target })
            }
            (AliasChange::Repoint(_) | AliasChange::Delete, None) => {
                return Err(AliasError::NotFound.into());
            }
            (AliasChange::Repoint(target), Some(held)) => {
                self.check_target(database, &target).await?;
                Some(AliasRow { updated_ms: now.0, target, ..held })
            }
            (AliasChange::Delete, Some(held)) => {
                let outcome = Outcome::Alias(Alias::of(&name, &held));
                return Ok(self.store_alias(name, None, outcome));
            }
        };
        let outcome =
            row.as_ref().map_or(Outcome::Nothing, |row| Outcome::Alias(Alias::of(&name, row)));
        Ok(self.store_alias(name, row, outcome))
    }

    fn store_alias(&mut self, name: String, row: Option<AliasRow>, outcome: Outcome) -> Plan {
        let mut plan = Plan { outcome, ..Plan::default() };
        let key = rows::alias_key(&name);
        let aliases = Arc::make_mut(&mut self.aliases);
        if let Some(row) = row {
            plan.batch.put(key, row.encode());
            aliases.insert(name, row);
        } else {
            plan.batch.delete(key);
            aliases.remove(&name);
        }
        plan.aliases = Some(Arc::clone(&self.aliases));
        plan
    }

    async fn check_new_alias(&mut self, database: &Database, name: &str) -> Result<(), WriteError> {
        let taken = match NamespaceName::parse(name) {
            Ok(name) => name.is_default() || self.known(database, &name).await?.is_some(),
            // No namespace can have such a name.
            Err(_) => false,
        };
        if taken {
            return Err(AliasError::NameInUseByNamespace.into());
        }
        if self.aliases.len() >= self.limits.aliases_max {
            return Err(AliasError::TooMany { max: self.limits.aliases_max }.into());
        }
        Ok(())
    }

    async fn check_target(
        &mut self,
        database: &Database,
        target: &NamespaceName,
    ) -> Result<(), WriteError> {
        self.refuse_alias(target, |_| AliasError::TargetIsAlias)?;
        if target.is_default() || self.known(database, target).await?.is_some() {
            return Ok(());
        }
        Err(AliasError::TargetNotFound.into())
    }

    /// The aliases that stand for a namespace.
    pub(crate) fn aliases_of(&self, namespace: &NamespaceName) -> Vec<String> {
        let of_it = self.aliases.iter().filter(|(_, row)| row.target == *namespace);
        of_it.map(|(name, _)| name.clone()).collect()
    }
}

/// Reads all aliases of a shard.
pub(crate) async fn load(database: &Database) -> Result<AliasMap, EngineError> {
    let mut scan = database.scan_prefix(&rows::alias_prefix(), Visibility::Memory).await?;
    let mut aliases = AliasMap::new();
    while let Some(entry) = scan.next().await? {
        let name = rows::alias_of_key(&entry.key)?.to_owned();
        aliases.insert(name, AliasRow::decode(&entry.value)?);
    }
    Ok(aliases)
}

#[cfg(test)]
mod tests;
