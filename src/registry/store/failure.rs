//! What a database's error means for the connection, and for those who wait.

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Another transaction was in the way: the same again, on the same connection.
    Conflict,
    /// The server is gone, is going, or does not take writes (any more): another connection.
    Connection,
    /// The store as a whole: full, read-only, or a lock held too long. Nobody's fault who waits.
    Store,
    /// The file is damaged.
    Damage,
    /// This statement with these values.
    Statement,
}

impl Failure {
    pub(super) fn of(error: &sqlx::Error) -> Failure {
        match error {
            sqlx::Error::Database(error) => {
                let code = error.code().unwrap_or_default();
                if error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() {
                    of_postgres(&code)
                } else {
                    of_sqlite(&code)
                }
            }
            sqlx::Error::Encode(_)
            | sqlx::Error::Decode(_)
            | sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::RowNotFound => Failure::Statement,
            _ => Failure::Connection,
        }
    }
}

/// See the appendix "`PostgreSQL` Error Codes" of its manual.
fn of_postgres(code: &str) -> Failure {
    match code {
        // serialization_failure, deadlock_detected
        "40001" | "40P01" => Failure::Conflict,
        // read_only_sql_transaction: the server was demoted under us
        "25006" => Failure::Connection,
        // lock_not_available, query_canceled (statement_timeout)
        "55P03" | "57014" => Failure::Store,
        _ => match code.get(..2) {
            // connection exceptions, invalid authorization, idle-in-transaction and too many
            // connections, shutdown and crash, errors of the system
            Some("08" | "28" | "25" | "57" | "58") => Failure::Connection,
            Some("53") if code == "53300" => Failure::Connection,
            // insufficient resources: disk full, out of memory; internal error
            Some("53" | "XX") => Failure::Store,
            _ => Failure::Statement,
        },
    }
}

/// Extended result codes carry the primary one in their low byte.
fn of_sqlite(code: &str) -> Failure {
    match code.parse::<u32>().map(|code| code & 0xff) {
        // CORRUPT
        Ok(11) => Failure::Damage,
        // CONSTRAINT, MISMATCH, RANGE, TOOBIG
        Ok(18 | 19 | 20 | 25) => Failure::Statement,
        _ => Failure::Store,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_remedy() {
        for (code, expected) in [
            ("40001", Failure::Conflict),
            ("40P01", Failure::Conflict),
            ("25006", Failure::Connection),
            ("57P01", Failure::Connection),
            ("57P03", Failure::Connection),
            ("08006", Failure::Connection),
            ("53300", Failure::Connection),
            ("53100", Failure::Store),
            ("55P03", Failure::Store),
            ("57014", Failure::Store),
            ("22021", Failure::Statement),
            ("23505", Failure::Statement),
        ] {
            assert_eq!(of_postgres(code), expected, "{code}");
        }
        // FULL, READONLY, IOERR with its extension, CONSTRAINT_UNIQUE
        for (code, expected) in [
            ("13", Failure::Store),
            ("8", Failure::Store),
            ("1034", Failure::Store),
            ("11", Failure::Damage),
            ("2067", Failure::Statement),
        ] {
            assert_eq!(of_sqlite(code), expected, "{code}");
        }
    }
}
