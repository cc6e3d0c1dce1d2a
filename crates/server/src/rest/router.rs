//! From method and path to an operation.
//!
//! The routes are the rows of `api::ENDPOINTS`; no path stands here. The table is short, so it is
//! searched from the top: comparing a few segments costs less than building anything cleverer.

use http::Method;
use lodgepole_api::{ENDPOINTS, Endpoint, Operation, Plane};
use percent_encoding::percent_decode_str;

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// What it calls.
    pub(super) operation: Operation,
    /// The value of the path's parameter, decoded; empty when the path has none.
    pub(super) parameter: String,
}

/// Why a request goes nowhere.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoRoute {
    /// Nothing is served under this path.
    UnknownPath,
    /// The path belongs to the other plane.
    OtherPlane(Plane),
    /// The path is served, with these methods.
    WrongMethod(Vec<&'static str>),
}

/// Finds the operation that a plane serves under a method and path.
pub(super) fn route(plane: Plane, method: &Method, path: &str) -> Result<Route, NoRoute> {
    // Most requests name one row as it stands. A brace would make a template of the path.
    let is_meant = |row: &&Endpoint| {
        row.path == path && row.plane == plane && name(row.method) == method.as_str()
    };
    if let Some(row) = ENDPOINTS.iter().find(is_meant).filter(|_| !path.contains('{')) {
        return Ok(Route { operation: row.operation, parameter: String::new() });
    }
    let matches: Vec<(&Endpoint, String)> =
        ENDPOINTS.iter().filter_map(|row| Some((row, match_path(row.path, path)?))).collect();
    let Some((first, _)) = matches.first() else { return Err(NoRoute::UnknownPath) };
    if first.plane != plane {
        return Err(NoRoute::OtherPlane(first.plane));
    }
    let allowed: Vec<_> = matches.iter().map(|(row, _)| name(row.method)).collect();
    matches
        .into_iter()
        .find(|(row, _)| name(row.method) == method.as_str())
        .map(|(row, parameter)| Route { operation: row.operation, parameter })
        .ok_or(NoRoute::WrongMethod(allowed))
}

fn name(method: lodgepole_api::Method) -> &'static str {
    match method {
        lodgepole_api::Method::Get => "GET",
        lodgepole_api::Method::Post => "POST",
        lodgepole_api::Method::Patch => "PATCH",
        lodgepole_api::Method::Delete => "DELETE",
    }
}

/// The parameter of a path that fits the template, empty for a template without one. No operation
/// has two. A parameter is never empty and never undecodable: such paths fit nothing.
fn match_path(template: &str, path: &str) -> Option<String> {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    let mut parameter = String::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(parameter),
            (Some(wanted), Some(given)) if wanted.starts_with('{') => {
                let value = percent_decode_str(given).decode_utf8().ok()?;
                if value.is_empty() {
                    return None;
                }
                parameter = value.into_owned();
            }
            (Some(wanted), Some(given)) if wanted == given => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    //! Goal: every row of the table is reached, and nothing else. Method: the table itself, and
    //! paths made wrong by hand.
    use super::*;

    #[test]
    fn every_endpoint_is_reached_with_its_parameter() {
        for row in ENDPOINTS {
            let path: Vec<_> = row
                .path
                .split('/')
                .map(|part| if part.starts_with('{') { "a%2Fb" } else { part })
                .collect();
            let found = route(row.plane, &name(row.method).parse().unwrap(), &path.join("/"));
            let parameter = if row.path.contains('{') { "a/b" } else { "" };
            let wanted = Route { operation: row.operation, parameter: parameter.to_owned() };
            assert_eq!(found, Ok(wanted), "{}", row.path);
            assert!(row.path.matches('{').count() <= 1, "{} has one parameter", row.path);
        }
    }

    #[test]
    fn wrong_paths_methods_and_planes_are_told_apart() {
        let go = |plane, method: Method, path| route(plane, &method, path).unwrap_err();
        for path in ["/", "", "/indexes/", "/indexes/a/b/c", "/nothing", "/indexes/%ff"] {
            assert_eq!(go(Plane::Control, Method::GET, path), NoRoute::UnknownPath, "{path}");
        }
        let wrong = go(Plane::Control, Method::PUT, "/indexes");
        assert_eq!(wrong, NoRoute::WrongMethod(vec!["GET", "POST"]));
        let other = go(Plane::Control, Method::POST, "/query");
        assert_eq!(other, NoRoute::OtherPlane(Plane::Data));
    }
}
