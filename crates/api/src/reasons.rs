//! The reasons that errors about aliases of namespaces give to programs.
//!
//! The constants are Pinecone's (API 2026-07). The kind of the error, which decides the status, is
//! chosen where the error is made.

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a request about an alias was refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// Every reason, for tables and tests.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The constant as clients know it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

reasons! {
    /// The name of the alias breaks a rule.
    AliasNameInvalid = "ALIAS_NAME_INVALID",
    /// No target was given.
    TargetNamespaceRequired = "TARGET_NAMESPACE_REQUIRED",
    /// The name of the target is too long.
    NamespaceTooLong = "NAMESPACE_TOO_LONG",
    /// The name of the target breaks a rule.
    NamespaceInvalid = "NAMESPACE_INVALID",
    /// The target does not exist.
    TargetNamespaceNotFound = "TARGET_NAMESPACE_NOT_FOUND",
    /// The target is an alias.
    TargetIsAlias = "TARGET_IS_ALIAS",
    /// The index has as many aliases as it may.
    AliasesPerIndexExceeded = "ALIASES_PER_INDEX_EXCEEDED",
    /// The version of the request has no aliases.
    ApiVersionTooOld = "API_VERSION_TOO_OLD",
    /// The limit of a listing is out of range or no number.
    ListInvalidLimit = "LIST_INVALID_LIMIT",
    /// The token is not ours.
    InvalidPaginationToken = "INVALID_PAGINATION_TOKEN",
    /// The token is of a listing without prefix, and the request has one.
    ListInvalidTokenWithPrefix = "LIST_INVALID_TOKEN_WITH_PREFIX",
    /// The token is of a listing of all targets, and the request names one.
    ListInvalidTokenWithTarget = "LIST_INVALID_TOKEN_WITH_TARGET",
    /// The token is of a listing with another prefix.
    ListInvalidTokenWithNewPrefix = "LIST_INVALID_TOKEN_WITH_NEW_PREFIX",
    /// The token is of a listing with another target.
    ListInvalidTokenWithNewTarget = "LIST_INVALID_TOKEN_WITH_NEW_TARGET",
    /// The target to list by is the empty text.
    TargetFilterEmpty = "TARGET_FILTER_EMPTY",
    /// The prefix is longer than any name.
    PrefixTooLong = "PREFIX_TOO_LONG",
    /// The prefix is not ASCII.
    PrefixMustBeAscii = "PREFIX_MUST_BE_ASCII",
    /// The prefix holds a NUL.
    PrefixMustNotContainNull = "PREFIX_MUST_NOT_CONTAIN_NULL_CHARACTER",
    /// Records are changed under the name of their namespace only.
    WriteToAlias = "WRITE_TO_ALIAS",
    /// Namespaces are described and deleted under their own name only.
    NamespaceOperationOnAlias = "NAMESPACE_OPERATION_ON_ALIAS",
    /// Aliases stand for the namespace.
    NamespaceTargetedByAlias = "NAMESPACE_TARGETED_BY_ALIAS",
    /// There is an alias of this name.
    AliasAlreadyExists = "ALIAS_ALREADY_EXISTS",
    /// A namespace has the name.
    NameInUseByNamespace = "NAME_IN_USE_BY_NAMESPACE",
    /// An alias has the name.
    NameInUseByAlias = "NAME_IN_USE_BY_ALIAS",
    /// There is no such alias.
    AliasNotFound = "ALIAS_NOT_FOUND",
}

#[cfg(test)]
mod tests {
    //! Goal: a program can tell the reasons apart. Method: look for double constants.
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_has_its_own_constant() {
        let constants: HashSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(constants.len(), Reason::ALL.len());
    }
}
