-- Batches are committed by one statement that the server puts together; what it replaces would be a second way.
DROP FUNCTION journal_append;
