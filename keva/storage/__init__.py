"""One SQLite file: readers, transactions, the one writer, the schema, backups."""
