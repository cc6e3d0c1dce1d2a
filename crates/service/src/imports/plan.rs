//! Which file goes into which namespace.
//!
//! The first folder below the URI is the namespace; what is below that folder belongs to it. Files
//! are taken by path, so a plan made again from the same files is the same.

use lodgepole_storage::SourceFile;
use lodgepole_types::{Limits, NamespaceName};
use xxhash_rust::xxh3::Xxh3;

/// The files of an import, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) files: Vec<PlannedFile>,
    /// Bytes of all files.
    pub(super) bytes: u64,
    /// Names the files with their lengths and versions.
    pub(super) digest: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlannedFile {
    pub(super) namespace: NamespaceName,
    pub(super) file: SourceFile,
}

impl Plan {
    /// Plans files that are in order of their paths. `Err` is for the user.
    pub(super) fn of(files: Vec<SourceFile>, limits: &Limits) -> Result<Self, String> {
        let mut planned: Vec<PlannedFile> = Vec::with_capacity(files.len());
        let (mut bytes, mut namespaces, mut digest) = (0_u64, 0, Xxh3::new());
        for file in files {
            let path = &file.path;
            let Some((folder, _)) = path.split_once('/') else {
                return Err(format!(
                    "\"{path}\": No namespace detected. Each file must be in a folder below the \
                     URI; the name of the folder says into which namespace it is imported."
                ));
            };
            let namespace = NamespaceName::parse(folder)
                .map_err(|error| format!("\"{path}\": The folder names no namespace: {error}"))?;
            if file.bytes > limits.import_file_bytes_max {
                return Err(format!(
                    "\"{path}\" has {} bytes; a file of an import may have at most {}",
                    file.bytes, limits.import_file_bytes_max
                ));
            }
            bytes = bytes.saturating_add(file.bytes);
            let is_new = planned.last().is_none_or(|last| last.namespace != namespace);
            namespaces += usize::from(is_new);
            digest.update(format!("{path}\0{}\0{}\0", file.bytes, file.version).as_bytes());
            planned.push(PlannedFile { namespace, file });
        }
        if namespaces > limits.import_namespaces_max {
            return Err(format!(
                "There are {namespaces} namespaces; an import may have at most {}",
                limits.import_namespaces_max
            ));
        }
        if bytes > limits.import_bytes_max {
            return Err(format!(
                "The files have {bytes} bytes; an import may have at most {}",
                limits.import_bytes_max
            ));
        }
        Ok(Self { files: planned, bytes, digest: digest.digest() })
    }

    /// The namespaces, each once.
    pub(super) fn namespaces(&self) -> Vec<&NamespaceName> {
        let mut names: Vec<_> = self.files.iter().map(|file| &file.namespace).collect();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    //! Goal: files go where their folders say, and limits hold. Method: lists of paths.
    use super::*;

    fn files(paths: &[&str]) -> Vec<SourceFile> {
        let file = |path: &&str| SourceFile {
            path: (*path).to_owned(),
            bytes: 10,
            version: "1".to_owned(),
        };
        paths.iter().map(file).collect()
    }

    #[test]
    fn the_first_folder_is_the_namespace() {
        let plan = Plan::of(
            files(&["__default__/0.parquet", "a/0.parquet", "a/x/1.parquet", "b/0.parquet"]),
            &Limits::default(),
        )
        .unwrap();
        let names: Vec<_> = plan.namespaces().iter().map(|name| name.as_str()).collect();
        assert_eq!(names, ["", "a", "b"]);
        assert_eq!(plan.bytes, 40);
    }

    #[test]
    fn the_digest_changes_with_any_file() {
        let digest = |files| Plan::of(files, &Limits::default()).unwrap().digest;
        let before = digest(files(&["a/0.parquet", "a/1.parquet"]));
        assert_eq!(before, digest(files(&["a/0.parquet", "a/1.parquet"])));
        assert_ne!(before, digest(files(&["a/0.parquet"])));
        for change in [
            |file: &mut SourceFile| file.bytes = 11,
            |file: &mut SourceFile| file.version = "2".to_owned(),
            |file: &mut SourceFile| file.path = "a/2.parquet".to_owned(),
        ] {
            let mut changed = files(&["a/0.parquet", "a/1.parquet"]);
            change(&mut changed[1]);
            assert_ne!(before, digest(changed));
        }
    }

    #[test]
    fn what_cannot_be_imported_is_named() {
        let refused = |paths: &[&str], limits: Limits| Plan::of(files(paths), &limits).unwrap_err();
        let all = Limits::default();
        let message = refused(&["0.parquet"], all.clone());
        assert!(message.starts_with("\"0.parquet\": No namespace detected."), "{message}");
        assert!(refused(&["ü/0.parquet"], all.clone()).contains("names no namespace"));
        let limits = Limits { import_file_bytes_max: 9, ..all.clone() };
        assert!(refused(&["a/0.parquet"], limits).contains("10 bytes"));
        let limits = Limits { import_bytes_max: 19, ..all.clone() };
        assert!(refused(&["a/0.parquet", "a/1.parquet"], limits).contains("20 bytes"));
        let limits = Limits { import_namespaces_max: 1, ..all };
        assert!(refused(&["a/0.parquet", "b/0.parquet"], limits).contains("2 namespaces"));
    }
}
