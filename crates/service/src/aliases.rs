//! Aliases of namespaces: operations on them, what reads see through them, and the reasons that
//! refusals give.

use lodgepole_api::parse::{ListAliases, Namespace};
use lodgepole_api::wire::aliases::{
    CreateNamespaceAliasRequest, DeleteNamespaceAliasRequest, DeleteNamespaceAliasResponse,
    DescribeNamespaceAliasRequest, ListNamespaceAliasesRequest, ListNamespaceAliasesResponse,
    NamespaceAliasDescription, RepointNamespaceAliasRequest,
};
use lodgepole_api::{ApiError, Reason, parse};
use lodgepole_engine::{Alias, AliasError, WriteError};
use lodgepole_types::{Classify as _, ErrorKind, Index, NamespaceName};

use crate::service::{Service, shard_of};
use crate::{DataReply, RequestContext};

/// Aliases that a refusal names, of those that stand in its way.
const ALIASES_NAMED_MAX: usize = 5;

impl Service {
    /// Makes an alias; durable when this returns.
    ///
    /// # Errors
    /// `InvalidArgument` and `AlreadyExists`, each with its reason.
    pub async fn create_namespace_alias(
        &self,
        ctx: &RequestContext,
        index: &Index,
        request: CreateNamespaceAliasRequest,
    ) -> Result<DataReply<NamespaceAliasDescription>, ApiError> {
        parse::check_alias_version(ctx.version)?;
        let new = parse::create_alias(request)?;
        let engine = &self.shared.engine;
        let made = engine.create_alias(shard_of(index), &new.name, &new.target).await;
        let (alias, lsn) = made.map_err(|error| refusal(error, &new.name, &new.target))?;
        Ok(DataReply::written(description(&alias), lsn))
    }

    /// Lets an alias stand for another namespace; reads see it when this returns.
    ///
    /// # Errors
    /// `InvalidArgument` and `NotFound`, each with its reason.
    pub async fn repoint_namespace_alias(
        &self,
        ctx: &RequestContext,
        index: &Index,
        request: RepointNamespaceAliasRequest,
    ) -> Result<DataReply<NamespaceAliasDescription>, ApiError> {
        parse::check_alias_version(ctx.version)?;
        let new = parse::repoint_alias(request)?;
        let engine = &self.shared.engine;
        let changed = engine.repoint_alias(shard_of(index), &new.name, &new.target).await;
        let (alias, lsn) = changed.map_err(|error| refusal(error, &new.name, &new.target))?;
        Ok(DataReply::written(description(&alias), lsn))
    }

    /// Describes an alias.
    ///
    /// # Errors
    /// `InvalidArgument` and `NotFound`, each with its reason.
    pub async fn describe_namespace_alias(
        &self,
        ctx: &RequestContext,
        index: &Index,
        request: DescribeNamespaceAliasRequest,
    ) -> Result<DataReply<NamespaceAliasDescription>, ApiError> {
        parse::check_alias_version(ctx.version)?;
        let name = parse::alias_name(request.alias_name)?;
        let lsn = self.position(index).await?;
        let alias = self.shared.engine.describe_alias(shard_of(index), &name).await?;
        let alias = alias.ok_or_else(|| alias_error(&AliasError::NotFound, &name))?;
        Ok(DataReply::read(description(&alias), lsn))
    }

    /// Deletes an alias; durable when this returns.
    ///
    /// # Errors
    /// `InvalidArgument` and `NotFound`, each with its reason.
    pub async fn delete_namespace_alias(
        &self,
        ctx: &RequestContext,
        index: &Index,
        request: DeleteNamespaceAliasRequest,
    ) -> Result<DataReply<DeleteNamespaceAliasResponse>, ApiError> {
        parse::check_alias_version(ctx.version)?;
        let name = parse::alias_name(request.alias_name)?;
        let deleted = self.shared.engine.delete_alias(shard_of(index), &name).await;
        let (_, lsn) = deleted.map_err(|error| write_error(error, &name))?;
        Ok(DataReply::written(DeleteNamespaceAliasResponse {}, lsn))
    }

    /// Lists aliases in byte order.
    ///
    /// # Errors
    /// `InvalidArgument`, with its reason.
    pub async fn list_namespace_aliases(
        &self,
        ctx: &RequestContext,
        index: &Index,
        request: ListNamespaceAliasesRequest,
    ) -> Result<DataReply<ListNamespaceAliasesResponse>, ApiError> {
        parse::check_alias_version(ctx.version)?;
        let list = parse::list_aliases(request, &self.shared.rules.limits)?;
        let lsn = self.position(index).await?;
        let aliases = self.shared.engine.list_aliases(shard_of(index)).await?;
        Ok(DataReply::read(page(&aliases, &list), lsn))
    }

    /// The namespace that a read sees: an alias stands for its target, under the target's name.
    pub(crate) async fn read_namespace(
        &self,
        index: &Index,
        asked: Namespace,
    ) -> Result<Namespace, ApiError> {
        let resolved = self.shared.engine.resolve(shard_of(index), &asked.name).await?;
        if !resolved.is_alias {
            return Ok(asked);
        }
        let spelling = resolved.namespace.listed().to_owned();
        Ok(Namespace { name: resolved.namespace, spelling })
    }

    /// Refuses what a write under this name would be refused for.
    pub(crate) async fn check_writable(
        &self,
        index: &Index,
        name: &NamespaceName,
    ) -> Result<(), ApiError> {
        let (engine, shard) = (&self.shared.engine, shard_of(index));
        let resolved = engine.resolve(shard, name).await?;
        if resolved.is_alias {
            let error = AliasError::WriteToAlias { target: resolved.namespace };
            return Err(alias_error(&error, name.listed()));
        }
        if engine.describe_namespace(shard, name).await?.is_none() {
            return Err(write_error(WriteError::NamespaceNotFound, name.listed()));
        }
        Ok(())
    }
}

fn description(alias: &Alias) -> NamespaceAliasDescription {
    NamespaceAliasDescription {
        name: alias.name.clone(),
        target_namespace: alias.target.listed().to_owned(),
        created_at: Some(alias.created_at.into()),
        updated_at: Some(alias.updated_at.into()),
    }
}

/// Cuts a page out of all aliases, which are sorted by name.
fn page(aliases: &[Alias], list: &ListAliases) -> ListNamespaceAliasesResponse {
    let fits = |alias: &&Alias| {
        alias.name.starts_with(&list.prefix)
            && list.target.as_ref().is_none_or(|target| alias.target == *target)
    };
    let all: Vec<&Alias> = aliases.iter().filter(fits).collect();
    let is_after = |alias: &&&Alias| list.after.as_ref().is_none_or(|after| alias.name > *after);
    let mut rest = all.iter().filter(is_after);
    let shown: Vec<_> = rest.by_ref().take(list.limit).collect();
    let last = shown.last().filter(|_| rest.next().is_some());
    ListNamespaceAliasesResponse {
        pagination: last.map(|last| parse::next_aliases_page(list, &last.name)),
        namespace_aliases: shown.iter().map(|alias| description(alias)).collect(),
        total_count: Some(i32::try_from(all.len()).unwrap_or(i32::MAX)),
    }
}

/// The refusal of a write under this name, with its reason where an alias is behind it.
pub(crate) fn write_error(error: WriteError, name: &str) -> ApiError {
    match error {
        WriteError::Alias(error) => alias_error(&error, name),
        WriteError::NamespaceTargeted { aliases } => targeted(name, &aliases),
        WriteError::NamespaceExists => ApiError::new(
            ErrorKind::AlreadyExists,
            format!("Namespace '{}' already exists", name.escape_default()),
        ),
        WriteError::NamespaceNotFound
        | WriteError::Metadata(_)
        | WriteError::Contended
        | WriteError::Superseded
        | WriteError::TooManyMatches
        | WriteError::Staging(_)
        | WriteError::Engine(_) => error.into(),
    }
}

/// The refusal of a change of an alias, whose reason also names the target that was asked for.
fn refusal(error: WriteError, name: &str, target: &NamespaceName) -> ApiError {
    let refused = write_error(error, name);
    let reason = refused.reason().map(|because| because.reason);
    if let Some(reason @ (Reason::TargetNamespaceNotFound | Reason::TargetIsAlias)) = reason {
        let metadata = [("alias_name", name), ("target_namespace", target.listed())];
        return refused.because(reason, &metadata);
    }
    refused
}

/// The refusal that an alias is behind, with its reason.
pub(crate) fn alias_error(error: &AliasError, name: &str) -> ApiError {
    let (reason, target) = match error {
        AliasError::NameInUseByNamespace => (Reason::NameInUseByNamespace, None),
        AliasError::NameInUseByAlias { target } => (Reason::NameInUseByAlias, Some(target)),
        AliasError::AlreadyExists { target } => (Reason::AliasAlreadyExists, Some(target)),
        AliasError::NotFound => (Reason::AliasNotFound, None),
        AliasError::TargetNotFound => (Reason::TargetNamespaceNotFound, None),
        AliasError::TargetIsAlias => (Reason::TargetIsAlias, None),
        AliasError::TooMany { .. } => (Reason::AliasesPerIndexExceeded, None),
        AliasError::WriteToAlias { target } => (Reason::WriteToAlias, Some(target)),
        AliasError::IsNoNamespace { target } => (Reason::NamespaceOperationOnAlias, Some(target)),
    };
    let mut metadata = vec![("alias_name", name)];
    metadata.extend(target.map(|target| ("target_namespace", target.listed())));
    ApiError::new(error.kind(), error.to_string()).because(reason, &metadata)
}

/// WHY not all names: there may be a thousand, and gRPC sends this in a header.
fn targeted(name: &str, aliases: &[String]) -> ApiError {
    let named = aliases.get(..ALIASES_NAMED_MAX).unwrap_or(aliases).join(", ");
    let more = match aliases.len().saturating_sub(ALIASES_NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    ApiError::invalid(format!(
        "Namespace '{name}' is the target of the aliases {named}{more}. Delete or repoint them first"
    ))
    .because(Reason::NamespaceTargetedByAlias, &[("namespace", name), ("aliases", &named)])
}
