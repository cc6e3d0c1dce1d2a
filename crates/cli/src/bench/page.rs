//! Results in a Markdown page: each benchmark owns one marked block.

use std::path::Path;

use anyhow::Context as _;

/// Replaces the block `name` of the page, or adds it at the end.
///
/// # Errors
/// When the page cannot be read or written.
pub(super) fn replace(path: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let shown = path.display();
    let page = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    write(path, &replaced(&page, name, text)).with_context(|| format!("cannot write {shown}"))
}

#[expect(clippy::disallowed_methods, reason = "a page of documentation, not data to be synced")]
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::write(path, text)
}

fn replaced(page: &str, name: &str, text: &str) -> String {
    let (begin, end) = (format!("<!-- bench {name} -->"), format!("<!-- end {name} -->"));
    let block = format!("{begin}\n\n{}\n\n{end}", text.trim());
    match (page.find(&begin), page.find(&end)) {
        (Some(from), Some(to)) if from < to => {
            format!("{}{block}{}", &page[..from], &page[to + end.len()..])
        }
        _ => format!("{}\n\n{block}\n", page.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    //! Goal: only the block changes. Method: replace twice.
    use super::*;

    #[test]
    fn a_block_is_added_and_then_replaced() {
        let first = replaced("# Page\n\nText.\n", "x", "one");
        let second = replaced(&format!("{first}\nMore.\n"), "x", "two");
        assert!(first.contains("one") && first.starts_with("# Page\n\nText."));
        assert!(second.contains("two") && !second.contains("one") && second.ends_with("More.\n"));
    }
}
