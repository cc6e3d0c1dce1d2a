//! Errors in full, for people: what failed, and below it why.

use std::error::Error;

/// An error with the causes below it, outermost first, each said once.
#[must_use]
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    //! Goal: nothing is left out and nothing said twice. Method: a chain in which one error repeats the
    //! one below it.
    use super::causes;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        source: Option<Box<Self>>,
    }

    #[test]
    fn every_cause_is_said_once() {
        let link = |text, source: Option<Link>| Link { text, source: source.map(Box::new) };
        let disk = link("no space", None);
        let file = link("cannot write a: no space", Some(disk));
        assert_eq!(causes(&link("it failed", Some(file))), "it failed: cannot write a: no space");
        assert_eq!(causes(&link("alone", None)), "alone");
    }
}
