//! The page docs/compatibility.md, made from the tables of endpoints, methods and versions.
//!
//! Invariant: paths and versions are not repeated here; they come from `api::endpoints`. What stands
//! here is what no table can say: where Lodgepole differs from Pinecone on purpose, and what it does
//! not serve.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};
use lodgepole_api::endpoints::{ENDPOINTS, GRPC_METHODS, Operation, Plane};
use lodgepole_api::{ApiVersion, Method};

use crate::finding::Finding;

const PATH: &str = "docs/compatibility.md";

const HEAD: &str = "\
# Compatibility with Pinecone's API

Every official client works unmodified. This page says which operation is served in which version,
and where Lodgepole differs on purpose. Made by `cargo xtask docs-compatibility` from the tables in
`crates/api/src/endpoints.rs` and `crates/api/src/versions.rs`: change it there.

A request names its version in the header `X-Pinecone-Api-Version`. Without it the answer is that of
2025-10. A later date than those known is answered as the newest known one; what is not a version is
refused with 400. `unstable` is answered as the newest.

● the version has the operation, and it is served in that version's dialect;
○ the version lacks it; it is served all the same, as in the first version that has it.
";

const DIFFERENCES: &str = "
## What differs on purpose

- **Reads see every acknowledged write.** LSN headers are sent and are satisfied at once; nothing has
  to be polled for.
- **Backups are exact and instant**, of every kind of index, also while it is written to. An index
  from a backup is ready when the call is answered. Namespace aliases are part of a backup.
- **Filters are exact**, also on fields of mixed types. A missing field matches `$ne`, `$nin` and
  `$exists: false`. A filter on a field that the metadata schema does not select is refused with 400
  and names the field.
- **Filtered counts** for every index: `POST /vectors/count` with `filter` and `namespace`.
  `describe_index_stats` with a filter stays limited to pod indexes, as clients expect.
- **Effort of a query** (`scanFactor`, `maxCandidates`, from 2025-10 on) counts for every dense index,
  not only on dedicated read nodes. Without it nothing has to be tuned ([search.md](search.md)).
- **Calls of its own**: `POST /vectors/warm-up` and `GET /search-state` on the host of an index,
  `GET /metrics` for Prometheus on the control plane ([search.md](search.md)).
- **`null` in `setMetadata` removes the key.** In metadata of an upsert a null is left out.
- **Create and restore answer when it is done**: `status.ready` is true at once.
- **Statuses**: configure and create-backup answer 200 in every version, because one official client
  insists on it where the descriptions say 202 and 201.
- **The default namespace** may be called `\"\"`, `__default__` or left out, in every version; a reply
  uses the spelling of its request.
- **Pods, clouds, regions and read capacity are words.** They are checked, kept and echoed, and an
  index of any kind runs here. A key for encryption (`cmek_id`) is kept and echoed, and encrypts
  nothing.
- **Backup schedules** run at 06:00 UTC; after an absence one backup is taken.
- **Limits** are Pinecone's by default and can be raised in the configuration. There are no rate
  limits and no quotas of a plan.
- **Nothing is answered with 501.** Clients repeat every request that ends in the 500s, so what is
  not offered is a 400 or 404 that says so.

## What is not served

- Text operations with hosted models (`/embed`, `/rerank`, records of integrated indexes) answer 400
  and name the model: no model is installed in this release. Indexes made for a model are kept with
  their configuration.
- The documents plane (`/namespaces/{namespace}/documents/…`) and full-text fields.
- Assistants, the admin API, sign-in and billing: 404.
";

/// Aliases are managed by versions that know them, as with Pinecone.
const TOO_OLD: &str = "where ○ stands it is refused (API_VERSION_TOO_OLD), but not by the preview";

/// Where one operation differs, in a few words.
const NOTES: &[(Operation, &str)] = &[
    (Operation::CreateIndexForModel, "keeps the configuration; the model need not be there"),
    (Operation::Embed, "refused: no model is installed"),
    (Operation::Rerank, "refused: no model is installed"),
    (Operation::UpsertRecords, "refused: no model is installed"),
    (Operation::SearchRecords, "refused: no model is installed"),
    (Operation::CreateCollection, "of pod indexes, as with Pinecone; instant"),
    (
        Operation::CreateBackup,
        "exact to the last acknowledged write; Ready when answered; also of pod indexes",
    ),
    (Operation::CreateBackupSchedule, "not of pod indexes, as with Pinecone"),
    (Operation::CreateIndexFromBackup, "the index is ready when answered"),
    (Operation::ConfigureIndex, "answers 200 in every version"),
    (Operation::DescribeIndexStats, "a filter is for pod indexes; exact counts"),
    (Operation::Count, "Lodgepole's own: how many records a filter matches"),
    (Operation::WarmUp, "Lodgepole's own: loads what queries need"),
    (Operation::SearchState, "Lodgepole's own: how the search of the index stands"),
    (Operation::Metrics, "Lodgepole's own: for Prometheus"),
    (Operation::CreateNamespaceAlias, TOO_OLD),
    (Operation::ListNamespaceAliases, TOO_OLD),
    (Operation::DescribeNamespaceAlias, TOO_OLD),
    (Operation::RepointNamespaceAlias, TOO_OLD),
    (Operation::DeleteNamespaceAlias, TOO_OLD),
];

/// The page.
fn page() -> String {
    let mut page = HEAD.to_owned();
    for (plane, title) in [(Plane::Control, "Control plane"), (Plane::Data, "Data plane")] {
        let _ = write!(page, "\n## {title}, REST\n\n| operation |");
        for version in ApiVersion::ALL {
            let _ = write!(page, " {version} |");
        }
        let _ = writeln!(page, " |\n|---|{}---|", "---|".repeat(ApiVersion::ALL.len()));
        for row in ENDPOINTS.iter().filter(|row| row.plane == plane) {
            let _ = write!(page, "| `{} {}` |", method(row.method), row.path);
            for version in ApiVersion::ALL {
                let _ = write!(page, " {} |", if version >= row.since { "●" } else { "○" });
            }
            let note = NOTES.iter().find(|(operation, _)| *operation == row.operation);
            let _ = writeln!(page, " {} |", note.map_or("", |(_, note)| note));
        }
    }
    page.push_str("\n## Data plane, gRPC\n\nIn every version, on the port of the index:\n\n");
    for row in GRPC_METHODS {
        let _ = writeln!(page, "- `{}`", row.path);
    }
    page + DIFFERENCES
}

fn method(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
    }
}

/// Writes the page.
#[expect(clippy::disallowed_methods, reason = "a page of the repository, not of the database")]
pub(crate) fn write(root: &Path) -> Result<()> {
    std::fs::write(root.join(PATH), page()).with_context(|| format!("cannot write {PATH}"))
}

/// Compares the page with what it should be.
pub(crate) fn check(root: &Path) -> Vec<Finding> {
    let found = std::fs::read_to_string(root.join(PATH)).unwrap_or_default();
    let wanted = page();
    if found == wanted {
        return Vec::new();
    }
    let same = found.lines().zip(wanted.lines()).take_while(|(left, right)| left == right).count();
    let advice = "run `cargo xtask docs-compatibility` and commit it";
    vec![Finding::new(PATH, same + 1, "generated", advice)]
}

#[cfg(test)]
mod tests {
    //! Goal: the page follows the tables. Method: look for every row, and for notes without one.
    use super::*;

    #[test]
    fn every_endpoint_and_method_has_its_row() {
        let page = page();
        for row in ENDPOINTS {
            assert!(page.contains(&format!("| `{} {}` |", method(row.method), row.path)));
        }
        for row in GRPC_METHODS {
            assert!(page.contains(&format!("- `{}`\n", row.path)));
        }
    }

    #[test]
    fn every_note_belongs_to_an_endpoint() {
        for (operation, note) in NOTES {
            assert!(ENDPOINTS.iter().any(|row| row.operation == *operation), "{note}");
        }
    }
}
