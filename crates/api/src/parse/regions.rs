//! Where an index can be said to run.
//!
//! Lodgepole runs where it runs; clouds and regions are words that tools put into their settings
//! and expect back. A word that Pinecone does not know is refused, so that a mistake shows here and
//! not later in production.

use std::collections::BTreeSet;

use lodgepole_types::{Deployment, ErrorKind};

use crate::ApiError;

/// The known pairs of cloud and region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regions(BTreeSet<(String, String)>);

/// Pinecone's own.
const KNOWN: [(&str, &str); 6] = [
    ("aws", "us-east-1"),
    ("aws", "us-west-2"),
    ("aws", "eu-west-1"),
    ("gcp", "us-central1"),
    ("gcp", "europe-west4"),
    ("azure", "eastus2"),
];

impl Default for Regions {
    fn default() -> Self {
        let own = |(cloud, region): (&str, &str)| (cloud.to_owned(), region.to_owned());
        Self(KNOWN.into_iter().map(own).collect())
    }
}

impl Regions {
    /// Adds one that the operator allows.
    pub fn allow(&mut self, cloud: &str, region: &str) {
        self.0.insert((cloud.to_owned(), region.to_owned()));
    }

    /// Checks a place.
    pub(super) fn check(&self, cloud: String, region: String) -> Result<Deployment, ApiError> {
        let place = (cloud, region);
        if !self.0.contains(&place) {
            return Err(ApiError::new(
                ErrorKind::NotFound,
                format!("Resource cloud: {} region: {} not found", place.0, place.1),
            ));
        }
        let (cloud, region) = place;
        Ok(Deployment::Serverless { cloud, region })
    }

    /// Where an index runs when the request does not say.
    pub(super) fn preset() -> Deployment {
        let (cloud, region) = KNOWN[0];
        Deployment::Serverless { cloud: cloud.to_owned(), region: region.to_owned() }
    }
}
