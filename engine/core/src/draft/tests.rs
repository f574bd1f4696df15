//! Drafts of every dialect validate, whatever the names are.
