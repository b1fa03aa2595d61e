-- Which chat a branch began as a copy of. Deleting that one leaves the branch whole: it has its own messages.
ALTER TABLE chat ADD COLUMN branch_of INTEGER REFERENCES chat (number) ON DELETE SET NULL;

-- What deleting a chat looks up.
CREATE INDEX chat_by_branch ON chat (branch_of) WHERE branch_of IS NOT NULL;
