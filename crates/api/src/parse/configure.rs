//! Checks a change of an index, in both dialects.

use lodgepole_types::{DeletionProtection, Deployment, IndexConfig, ReadCapacity};

use super::capacity::changed_capacity;
use super::create::fits;
use super::embed::{Models, changed_embed};
use super::pod::changed_pod;
use super::{Rules, control_body, deletion_protection, refuse_unknown_names, tags};
use crate::wire::capacity::ReadCapacityRequest;
use crate::wire::index_request::{
    Configure, ConfigureSpec, EmbedChange, FieldRequest, PodChange, SchemaRequest, TagsRequest,
};
use crate::wire::schema_reply::TEXT_FIELD;
use crate::{ApiError, ApiVersion};

/// A change that was read but not yet laid over a configuration.
///
/// WHY two steps: what a change means depends on what was there before, and that is known for sure
/// only under the catalog's lock.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexChange {
    /// The kind of index that a classic `spec` is for.
    kind: Option<Kind>,
    read_capacity: Option<ReadCapacityRequest>,
    pod: Option<PodChange>,
    embed: Option<EmbedChange>,
    /// Schema style: the field of text, whose model's parameters change.
    text: Option<(String, EmbedChange)>,
    deletion_protection: Option<DeletionProtection>,
    tags: Option<TagsRequest>,
}

/// The kinds of index, as `spec` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Serverless,
    Pod,
    Byoc,
}

/// Reads `PATCH /indexes/{index_name}`.
///
/// # Errors
/// `Unprocessable` for a body of another shape, otherwise `InvalidArgument`.
pub fn configure_index(body: &[u8], version: ApiVersion) -> Result<IndexChange, ApiError> {
    if version.refuses_unknown_names() {
        refuse_unknown_names(body, Configure::KEYS)?;
    }
    let request: Configure = control_body(body)?;
    let spec = Spec::read(request.spec)?;
    if spec.pod.is_some() && request.deployment.is_some() {
        return Err(ApiError::invalid("Give spec.pod or deployment, not both"));
    }
    Ok(IndexChange {
        kind: spec.kind,
        read_capacity: request.read_capacity.or(spec.read_capacity),
        pod: spec.pod.or(request.deployment),
        embed: request.embed,
        text: request.schema.map(text_change).transpose()?,
        deletion_protection: request
            .deletion_protection
            .as_deref()
            .map(deletion_protection)
            .transpose()?,
        tags: request.tags,
    })
}

/// What a classic `spec` says.
#[derive(Default)]
struct Spec {
    kind: Option<Kind>,
    read_capacity: Option<ReadCapacityRequest>,
    pod: Option<PodChange>,
}

impl Spec {
    fn read(spec: Option<ConfigureSpec>) -> Result<Self, ApiError> {
        let ConfigureSpec { serverless, pod, byoc } = spec.unwrap_or_default();
        match (serverless, pod, byoc) {
            (None, None, None) => Ok(Self::default()),
            (Some(change), None, None) => Ok(Self {
                kind: Some(Kind::Serverless),
                read_capacity: change.read_capacity,
                pod: None,
            }),
            (None, Some(pod), None) => {
                Ok(Self { kind: Some(Kind::Pod), read_capacity: None, pod: Some(pod) })
            }
            (None, None, Some(change)) => {
                Ok(Self { kind: Some(Kind::Byoc), read_capacity: change.read_capacity, pod: None })
            }
            _ => Err(ApiError::invalid("spec must hold exactly one of serverless, pod and byoc")),
        }
    }
}

/// The only change of a schema: parameters of the one field of text.
fn text_change(schema: SchemaRequest) -> Result<(String, EmbedChange), ApiError> {
    let mut fields = schema.fields.into_iter();
    let (Some((name, field)), None) = (fields.next(), fields.next()) else {
        return Err(ApiError::invalid(
            "schema must name exactly one field of type 'semantic_text'",
        ));
    };
    let FieldRequest { kind, model, read_parameters, write_parameters, .. } = field;
    if kind.as_deref().is_some_and(|kind| kind != "semantic_text") {
        return Err(ApiError::invalid(format!(
            "Field '{}' cannot be changed. Only the parameters of a field of type 'semantic_text' \
             can",
            name.escape_default()
        )));
    }
    let change = EmbedChange { model, field_map: None, read_parameters, write_parameters };
    Ok((name, change))
}

impl IndexChange {
    /// Lays the change over a configuration. On an error `config` is as it was.
    ///
    /// # Errors
    /// `InvalidArgument` when the index is of another kind than the change, or the result would
    /// break a rule; `Forbidden` for too many pods; `NotFound` for an unknown model.
    pub fn apply(
        &self,
        config: &mut IndexConfig,
        rules: &Rules,
        models: Models<'_>,
    ) -> Result<(), ApiError> {
        self.check_kind(config)?;
        let mut after = config.clone();
        if let Some(request) = &self.read_capacity {
            after.read_capacity = self.capacity(request, config)?;
        }
        if let Some(change) = &self.pod {
            let Deployment::Pod(before) = &config.deployment else { return Err(no_pods()) };
            after.deployment = Deployment::Pod(changed_pod(change, before, &rules.limits)?);
        }
        if let Some(change) = &self.embed {
            after.embed = Some(changed_embed(change, config, models)?);
        }
        if let Some((name, change)) = &self.text {
            let field = config.embed.as_ref().and_then(|embed| embed.field_map.get(TEXT_FIELD));
            if field != Some(name) {
                return Err(ApiError::invalid(format!(
                    "This index has no field '{}' of type 'semantic_text'",
                    name.escape_default()
                )));
            }
            after.embed = Some(changed_embed(change, config, models)?);
        }
        let change = tags(self.tags.clone().unwrap_or_default());
        after.tags =
            after.tags.merged(change, &rules.limits).map_err(|error| ApiError::invalid(error.0))?;
        after.deletion_protection = self.deletion_protection.unwrap_or(after.deletion_protection);
        *config = fits(after, &rules.limits)?;
        Ok(())
    }

    fn check_kind(&self, config: &IndexConfig) -> Result<(), ApiError> {
        let actual = match config.deployment {
            Deployment::Serverless { .. } => Kind::Serverless,
            Deployment::Pod(_) => Kind::Pod,
            Deployment::Byoc { .. } => Kind::Byoc,
        };
        match self.kind {
            Some(Kind::Pod) if actual != Kind::Pod => Err(no_pods()),
            Some(kind) if kind != actual => Err(ApiError::invalid(format!(
                "spec.{} cannot be changed: this index was created with spec.{}",
                kind.name(),
                actual.name()
            ))),
            _ => Ok(()),
        }
    }

    fn capacity(
        &self,
        request: &ReadCapacityRequest,
        config: &IndexConfig,
    ) -> Result<ReadCapacity, ApiError> {
        if config.is_pod() {
            return Err(ApiError::invalid("A pod index has no read_capacity"));
        }
        changed_capacity(request.clone(), &config.read_capacity)
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Serverless => "serverless",
            Self::Pod => "pod",
            Self::Byoc => "byoc",
        }
    }
}

fn no_pods() -> ApiError {
    ApiError::invalid("Replicas and pod_type cannot be changed: this index has no pods")
}

#[cfg(test)]
mod tests;
