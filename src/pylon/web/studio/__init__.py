"""Studio: the operator's pages at `/studio`, their sign-in, and nothing that the admin API doesn't offer as well."""
