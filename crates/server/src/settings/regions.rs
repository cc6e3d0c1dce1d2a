//! Regions that the operator adds to those that are known.
//!
//! Written as `CLOUD:REGION`, several with commas: `aws:us-east-2,gcp:my-rack`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Pairs of cloud and region.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExtraRegions(Vec<(String, String)>);

impl ExtraRegions {
    /// Every pair, as given.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(cloud, region)| (cloud.as_str(), region.as_str()))
    }
}

impl TryFrom<String> for ExtraRegions {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let is_word = |word: &str| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            !word.is_empty() && word.bytes().all(fits)
        };
        let place = |part: &str| match part.trim().split_once(':') {
            Some((cloud, region)) if is_word(cloud) && is_word(region) => {
                Ok((cloud.to_owned(), region.to_owned()))
            }
            _ => Err(format!("'{}' is no pair such as aws:us-east-2", part.trim())),
        };
        let parts = text.split(',').filter(|part| !part.trim().is_empty());
        Ok(Self(parts.map(place).collect::<Result<_, _>>()?))
    }
}

impl From<ExtraRegions> for String {
    fn from(regions: ExtraRegions) -> Self {
        regions.to_string()
    }
}

impl fmt::Display for ExtraRegions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<_> =
            self.iter().map(|(cloud, region)| format!("{cloud}:{region}")).collect();
        f.write_str(&pairs.join(","))
    }
}

#[cfg(test)]
mod tests {
    //! Goal: the list is read and printed, and what is no pair is named. Method: both ways.
    use super::*;

    #[test]
    fn pairs_are_read_and_printed() {
        let regions = ExtraRegions::try_from(" aws:us-east-2, gcp:my-rack,".to_owned()).unwrap();
        assert_eq!(regions.iter().collect::<Vec<_>>(), [("aws", "us-east-2"), ("gcp", "my-rack")]);
        assert_eq!(regions.to_string(), "aws:us-east-2,gcp:my-rack");
        assert_eq!(ExtraRegions::try_from(String::new()).unwrap(), ExtraRegions::default());
    }

    #[test]
    fn what_is_no_pair_is_named() {
        for text in ["aws", "aws:", ":x", "a b:c", "aws:us-east-2,x"] {
            assert!(ExtraRegions::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
